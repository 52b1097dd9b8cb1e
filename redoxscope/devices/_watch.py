"""What must hold while lines are flown, and whether it did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ophyd import Signal
from ophyd.status import Status

from ._base import DeviceError, fail_when_lost

__all__ = ["Held", "Watch"]


@dataclass(frozen=True)
class Held:
    """A value that must stay what was asked for.

    Parameters
    ----------
    name : str
        The device, for messages.
    signal : Signal
        Monitored.
    target, tolerance : float
        In ``unit``; a value farther from ``target`` than ``tolerance``, or NaN, is off.
    unit : str
    restore : callable, optional
        Asks for it again; the same one for values that one move brings back. Without it nothing
        brings it back: what somebody else moved on purpose is not for a scan to move again.
    """

    name: str
    signal: Signal
    target: float
    tolerance: float
    unit: str
    restore: Callable[[], Status] | None = None
    halt: Callable[[], None] | None = None
    """Stops what ``restore`` began."""

    @property
    def where(self) -> str:
        """Device and PV."""
        return f"{self.name} ({getattr(self.signal, 'pvname', self.signal.name)})"

    def off(self, value: Any) -> str:
        """What is wrong with a value, in words; empty when nothing is."""
        try:
            if abs(float(value) - self.target) <= self.tolerance:
                return ""
        except (TypeError, ValueError):
            pass  # no number: then it is not the one that was asked for
        unit = f" {self.unit}" if self.unit else ""
        shown = f"{value:.7g}" if isinstance(value, float) else f"{value}"
        return (
            f"{self.where} is {shown}{unit} where {self.target:.7g}{unit} was asked for "
            f"(tolerance {self.tolerance:.3g}{unit})"
        )


class Watch:
    """Listens to values that must hold, and remembers those that did not.

    A value that goes away and comes back is noticed too: every monitor is compared.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[Signal, Held] = {}
        self._off: dict[Signal, str] = {}
        self._seen: dict[Signal, str] = {}
        self._known: set[Signal] = set()

    def expect(self, held: Sequence[Held]) -> list[Held]:
        """From now on these must hold; return those that do not. What was seen is forgotten.

        One that seems off is asked for anew: its monitor may still be on its way.
        """
        with self._lock:
            self._held = {one.signal: one for one in held}
            self._off, self._seen = {}, {}
            new = [one.signal for one in held if one.signal not in self._known]
            self._known.update(new)
        for signal in new:
            signal.subscribe(self._changed(signal), run=False)
            fail_when_lost([signal], self._lost(signal))
        wrong: list[Held] = []
        for one in held:
            text = f"{one.where} is disconnected" if not one.signal.connected else ""
            text = text or one.off(one.signal.get())
            if text and one.signal.connected and hasattr(one.signal, "pvname"):
                text = one.off(one.signal.get(use_monitor=False))
            if text:
                wrong.append(one)
                with self._lock:
                    self._off[one.signal] = text
        return wrong

    def rest(self) -> None:
        """Nothing must hold any more."""
        with self._lock:
            self._held, self._off, self._seen = {}, {}, {}

    def taken(self) -> list[str]:
        """What was off at any time since this was asked last, in words."""
        with self._lock:
            seen, self._seen = {**self._off, **self._seen}, {}
        return list(seen.values())

    def off(self) -> list[tuple[Held, str]]:
        """What is off now, and how."""
        with self._lock:
            return [(self._held[sig], text) for sig, text in self._off.items() if sig in self._held]

    def _lost(self, signal: Signal) -> Callable[[DeviceError], None]:
        def lost(error: DeviceError) -> None:
            with self._lock:
                if signal in self._held:
                    self._off[signal] = str(error)
                    self._seen.setdefault(signal, str(error))

        return lost

    def _changed(self, signal: Signal) -> Callable[..., None]:
        def changed(*, value: Any, **_: Any) -> None:
            with self._lock:
                held = self._held.get(signal)
                if held is None:
                    return
                text = held.off(value)
                if text:
                    self._off[signal] = text
                    self._seen.setdefault(signal, text)
                else:
                    self._off.pop(signal, None)

        return changed
