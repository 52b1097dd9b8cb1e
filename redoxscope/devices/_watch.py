"""What must hold while something is measured, a line or a point, and whether it did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from ophyd import Signal
from ophyd.status import Status

from ._base import DeviceError, ask, fail_when_lost

__all__ = ["Expected", "Held", "Watch", "ask_all", "together"]

T = TypeVar("T")

SILENT = object()
"""In place of a value that nobody told."""
CATCH_UP = 1.0
"""Time (s) for the monitor of a value to bring what the server says already."""


@dataclass(frozen=True)
class Held:
    """A value that must stay what was asked for.

    Parameters
    ----------
    name : str
        The device, for messages.
    signal : Signal
        Monitored.
    target : float or str or None
        In ``unit``; None where any value will do: then all that came are kept, see `Watch.came`.
    tolerance : float
        In ``unit``; a number farther from ``target`` than this, or NaN, is off.
    unit : str
    restore : callable, optional
        Asks for it again; the same one for values that one move brings back. Without it nothing
        brings it back: what somebody else moved on purpose is not for a scan to move again.
    halt : callable, optional
        Stops what ``restore`` began.
    meaning : str
        Of the target, where the number alone says little.
    """

    name: str
    signal: Signal
    target: float | str | None
    tolerance: float = 0.0
    unit: str = ""
    restore: Callable[[], Status] | None = None
    halt: Callable[[], None] | None = None
    meaning: str = ""

    @property
    def where(self) -> str:
        """Device and PV."""
        return f"{self.name} ({getattr(self.signal, 'pvname', self.signal.name)})"

    def off(self, value: Any) -> str:
        """What is wrong with a value, in words; empty when nothing is."""
        if self.target is None:
            return ""
        if isinstance(self.target, str):
            if str(value) == self.target:
                return ""
            return f"{self.where} is {value} where {self.target} was asked for"
        try:
            if abs(float(value) - self.target) <= self.tolerance:
                return ""
        except (TypeError, ValueError):
            pass  # no number: then it is not the one that was asked for
        unit = f" {self.unit}" if self.unit else ""
        shown = f"{value:.7g}" if isinstance(value, float) else f"{value}"
        more = self.meaning or f"tolerance {self.tolerance:.3g}{unit}"
        return f"{self.where} is {shown}{unit} where {self.target:.7g}{unit} was asked for ({more})"


_asking = ThreadPoolExecutor(8, thread_name_prefix="ask")
"""One round trip for all values, and one time limit where nobody answers."""


def together(calls: Iterable[Callable[[], T]]) -> list[T]:
    """What the calls return, all made at once: one round trip where each asks a server.

    Raises
    ------
    Exception
        What the first that failed raised.
    """
    return list(_asking.map(lambda call: call(), calls))


def ask_all(signals: Iterable[Any]) -> list[Any]:
    """As `ask` of each, all at once.

    Raises
    ------
    TimeoutError
        One does not answer.
    """
    return list(_asking.map(ask, signals))


Expected = Mapping[Signal, Held]
"""What `Watch.hold` was told, by signal: void when something else has to hold."""


class Watch:
    """Listens to values that must hold, and remembers those that did not.

    A value that goes away and comes back is noticed too: every monitor is compared. Lines come
    too fast to ask the servers about each, so they rest on the monitors (`expect`, `taken`); a
    point asks at both ends as well (`hold`, `ask`), so that what no monitor brought is found.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._held: Expected = {}
        self._off: dict[Signal, str] = {}
        self._seen: dict[Signal, str] = {}
        self._last: dict[Signal, Any] = {}
        self._came: dict[Signal, list[Any]] = {}
        self._silent: dict[Signal, str] = {}
        self._known: set[Signal] = set()

    def hold(self, held: Sequence[Held]) -> Expected:
        """From now on these must hold; what was seen is forgotten. It waits for nobody."""
        with self._changed:
            new = [one.signal for one in held if one.signal not in self._known]
            self._known.update(new)
        for signal in new:
            signal.subscribe(self._listener(signal), run=True)
            fail_when_lost([signal], self._loser(signal))
        with self._changed:
            self._held = expected = {one.signal: one for one in held}
            self._off, self._seen, self._silent = {}, {}, {}
            self._came = {one.signal: [] for one in held if one.target is None}
        return expected

    def expect(self, held: Sequence[Held]) -> list[Held]:
        """As `hold`; return those that do not hold now.

        One that seems off is asked for anew: its monitor may still be on its way.
        """
        self.hold(held)
        wrong: list[Held] = []
        for one in held:
            text = f"{one.where} is disconnected" if not one.signal.connected else ""
            text = text or one.off(one.signal.get())
            if text and one.signal.connected and hasattr(one.signal, "pvname"):
                text = one.off(one.signal.get(use_monitor=False))
            if text:
                wrong.append(one)
                with self._changed:
                    self._off[one.signal] = text
        return wrong

    def ask(
        self,
        expected: Expected,
        *,
        anew: bool = False,
        only: Callable[[Held], bool] = lambda held: True,
    ) -> dict[Signal, str]:
        """Ask the servers for every value, all at once; what was off since `hold`, in words.

        It waits until the monitors have brought what the servers say, and what came before it.

        Parameters
        ----------
        expected : mapping
            What `hold` returned; when something else has to hold by now, nothing is done.
        anew : bool
            What was seen before counts no more, for instance what a monitor still brought from
            the time before.
        only : callable
            Which of them to ask; the others rest on their monitors.
        """
        asked = {signal: held for signal, held in expected.items() if only(held)}
        answers = dict(zip(asked, _asking.map(_answer, asked.values()), strict=True))
        right = [held for signal, held in asked.items() if not answers[signal][1]]
        with self._changed:
            if self._held is not expected:
                return {}
            self._changed.wait_for(
                lambda: self._held is not expected or self._caught_up(right, anew), CATCH_UP
            )
            if self._held is not expected:
                return {}
            if anew:
                self._seen, self._silent = {}, {}
                self._came = {signal: [] for signal in self._came}
            for signal, (value, text) in answers.items():
                if text:
                    self._seen.setdefault(signal, text)
                    if value is SILENT:
                        self._silent.setdefault(signal, text)
                elif signal in self._came:
                    self._came[signal].append(value)
            return dict(self._seen)

    @property
    def silent(self) -> list[str]:
        """Values that could not be had since `hold`, in words: there may be an outage."""
        with self._changed:
            return list(self._silent.values())

    def came(self, signal: Signal) -> list[Any]:
        """Every value of a signal without target since `hold`, in the order in which it came."""
        with self._changed:
            return list(self._came.get(signal, ()))

    def rest(self) -> None:
        """Nothing must hold any more."""
        with self._changed:
            self._held, self._off, self._seen, self._came = {}, {}, {}, {}
            self._silent = {}
            self._changed.notify_all()

    def taken(self) -> list[str]:
        """What was off at any time since this was asked last, in words."""
        with self._changed:
            seen, self._seen = {**self._off, **self._seen}, {}
        return list(seen.values())

    def off(self) -> list[tuple[Held, str]]:
        """What is off now, and how."""
        with self._changed:
            return [(self._held[sig], text) for sig, text in self._off.items() if sig in self._held]

    def _caught_up(self, right: Sequence[Held], anew: bool) -> bool:
        """Whether monitors that are right by now have said so, or were noticed to be off."""
        return all(
            one.signal not in self._last
            or not one.off(self._last[one.signal])
            or (not anew and one.signal in self._seen)
            for one in right
        )

    def _loser(self, signal: Signal) -> Callable[[DeviceError], None]:
        def lost(error: DeviceError) -> None:
            with self._changed:
                if signal in self._held:
                    self._off[signal] = str(error)
                    self._silent.setdefault(signal, str(error))
                    self._seen.setdefault(signal, str(error))

        return lost

    def _listener(self, signal: Signal) -> Callable[..., None]:
        def changed(*, value: Any, **_: Any) -> None:
            with self._changed:
                self._last[signal] = value
                held = self._held.get(signal)
                if signal in self._came:
                    self._came[signal].append(value)
                if held is not None:
                    text = held.off(value)
                    if text:
                        self._off[signal] = text
                        self._seen.setdefault(signal, text)
                    else:
                        self._off.pop(signal, None)
                self._changed.notify_all()

        return changed


def _answer(held: Held) -> tuple[Any, str]:
    """A value as its server has it, and what is wrong with it; `SILENT` where there is none."""
    try:
        value = ask(held.signal)
    except Exception as exc:  # whatever keeps it from being known
        return SILENT, f"{held.where} cannot be asked: {exc or type(exc).__name__}"
    return value, held.off(value)
