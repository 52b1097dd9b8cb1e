"""Brings the scanner to where it flies lines, whatever comes between."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from ophyd import Signal
from ophyd.status import Status

from ..scan import Raster
from ._base import DeviceError, Move, done, logged, settle
from ._lines import LineJoiner
from ._record import Row
from ._scanner_pvs import PARAMETERS, ScannerPVs
from ._shutter import Shutter, ShutterMode
from ._steps import Steps, run_steps
from ._timers import Watchdog, call_later
from ._watch import Held, Watch

__all__ = ["Flight"]

log = logging.getLogger("redoxscope.scanner")

OUTAGES = 3
"""How often the controller may fall silent at one line before the image fails."""

ANSWER = 0.5
"""Time (s) for a halt of a controller that answers; beyond it there was an outage."""


class Flight(ScannerPVs):
    """What happens before and between the lines: halt, shutter, what must hold, go.

    A *flight* is a number that grows with every interruption; what belongs to an earlier one is
    void, in whichever thread it still runs. Statuses are finished after the lock is released.
    """

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._lock = threading.RLock()
        self._depth = 0
        self._due: list[Callable[[], None]] = []
        self._joiner: LineJoiner | None = None
        self._shutter: Shutter | None = None
        self._raster: Raster | None = None
        self._held: list[Held] = []
        self._watch = Watch()
        self._restoring: list[Held] = []
        self._halting: Move | None = None
        self._waiter: Status | None = None
        self._error: Exception | None = None
        self._next = 0
        self._ready: deque[Row] = deque()
        self._tried: dict[int, int] = {}
        self._outages: dict[int, int] = {}
        self._image_open = False  # between kickoff and complete
        self._mine = False  # this client had it fly, and has not seen it at rest since
        self._flight = 0
        self._armed = False  # lines that arrive now belong to the image
        self._clean = False  # every line flown so far has arrived
        self._opened = self._closed = False  # the shutter, since the flight began
        self._watchdog = Watchdog(self._late)
        self._patience = Watchdog(self._stuck)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock; statuses that became due are finished when it is free again."""
        due: list[Callable[[], None]] = []
        with self._lock:
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    due, self._due = self._due, []
        for finish in due:
            finish()

    def line_timeout(self) -> float:
        """Longest time (s) between two finished lines before the later one counts as hung."""
        assert self._raster is not None
        return 2 * sum(self.frame_time(self._raster.nx, 1, self._raster.dwell)) + self.margin.get()

    def _longest_wait(self) -> float:
        """Time (s) after which something was forgotten: each step has a shorter limit itself."""
        return 2 * (self.line_timeout() + self.outage.get() + self.beam_patience.get())

    # -- the way to a line ------------------------------------------------------------------

    def _fly_from(
        self,
        line: int,
        *,
        halt: bool,
        verdict: Callable[[float], None] | None = None,
        wait: float = 0.0,
        flight: int | None = None,
    ) -> Status:
        """Bring the controller to rest, see that all is as asked for, fly on from ``line``.

        Whatever interrupts the image meanwhile makes the steps that are left void. The
        status returned is done then too; a step that fails, fails it and the image.

        Parameters
        ----------
        line : int
        halt : bool
            Halt; else wait until the controller has come to rest.
        verdict : callable, optional
            Given the time (s) that this took; it may end the image by raising.
        wait : float
            Time (s) to wait before flying on.
        flight : int, optional
            The interruption that asks for this; without effect when there was another since.
        """
        with self._locked():
            if flight is not None and flight != self._flight:
                return done()
            self._disarm()
            flight = self._flight
            self._patience.feed(self._longest_wait() + wait)
        steps = self._approach(line, flight, halt, verdict, wait)
        status = run_steps(steps, lambda: flight == self._flight)

        def report(status: Status) -> None:
            error = status.exception(timeout=0)
            if error is not None:
                self._fail_image(error)

        status.add_callback(report)
        return status

    def _fly_again(self, line: int, **options: Any) -> None:
        """Interrupt, and fly from ``line`` once the lock is free."""
        self._disarm()
        flight = self._flight

        def again() -> None:
            try:
                self._fly_from(line, halt=True, flight=flight, **options)
            except Exception as exc:
                self._fail_image(exc)

        self._due.append(again)

    def _approach(
        self,
        line: int,
        flight: int,
        halt: bool,
        verdict: Callable[[float], None] | None,
        wait: float,
    ) -> Steps:
        while True:
            coming_to_rest, began = True, time.monotonic()
            try:
                yield self._halt_for_good() if halt else self._until_idle(self.line_timeout())
                coming_to_rest = False
                judge, verdict = verdict, None
                if judge is not None:
                    judge(time.monotonic() - began)
                if wait:
                    yield _pause(wait)
                yield self._let_follow()
                yield from self._restore()
                self._launch(line, flight)
                return
            except Exception as error:
                if coming_to_rest and halt:
                    raise
                began = time.monotonic()
                yield self._halt_for_good()
                if time.monotonic() - began < ANSWER:
                    raise  # the controller answers: it is not because of an outage
                self._count_outage(line, f"{error}")
                halt = True

    def _halt_for_good(self) -> Status:
        needed: list[Signal] = [] if self._joiner is None else list(self._joiner.signals)
        needed += [one.signal for one in self._held if hasattr(one.signal, "pvname")]
        self._halting = self._halt(needed, self.outage.get())
        return self._halting

    def _let_follow(self) -> Status | None:
        if self._shutter is None or self._shutter.follows:
            return None
        return self._shutter.set("follow")

    def _restore(self) -> Steps:
        """Ask again for what does not stand where it was asked to; fail where nobody may."""
        wrong = self._watch.expect(self._held)
        texts = {held.signal: text for held, text in self._watch.off()}
        for held in wrong:
            if held.restore is None:
                raise DeviceError(f"{self.name}, line {self._next}: {texts[held.signal]}")
        asked: list[Callable[[], Status]] = []
        try:
            for held in wrong:
                if held.restore is None or held.restore in asked:
                    continue
                log.warning("%s: %s; asked for again", self.name, texts[held.signal])
                asked.append(held.restore)
                self._restoring = [held]
                yield held.restore()
        finally:
            self._restoring = []
        if wrong and self._watch.expect(self._held):
            text = "; ".join(text for _, text in self._watch.off())
            raise DeviceError(f"{self.name}, line {self._next}: {text}, although asked for again")

    def _halt_restoring(self) -> None:
        """Stop what was on its way back; the pause or the end of the plan comes first."""
        for held in self._restoring:
            if held.halt is not None:
                logged(log, held.name, held.halt)

    def _launch(self, line: int, flight: int) -> None:
        """Fly from ``line`` on; the controller is idle."""
        assert self._joiner is not None
        # After an interruption, monitors of lines that do not count may still be on
        # their way: ask for the indices instead of believing the last monitor.
        origin = self._joiner.origin(ask=not self._clean)
        with self._locked():
            if flight != self._flight or not self._image_open:
                return
            self._joiner.start(flight, line, origin)
            self._clean = False
            self._armed = True
            self._opened = self._closed = False
            self._watchdog.feed(self.line_timeout())
            self._mine = True
            self.go.put(line, wait=False)  # under the lock: no halt may overtake it

    def _disarm(self) -> None:
        self._flight += 1
        if self._halting is not None:  # it must not halt what is flown later
            self._due.append(self._halting.end)
            self._halting = None
        self._armed = False
        self._watchdog.rest()

    def _conditions(self, held: Sequence[Held]) -> list[Held]:
        """What must hold in an image: what is given, the raster, and the shutter following."""
        raster = self._raster
        assert raster is not None
        write = partial(self._write, raster)
        own = [
            Held(self.name, getattr(self, name), getattr(raster, name), 0.0, unit, write)
            for name, unit in PARAMETERS.items()
        ]
        if self._shutter is not None:
            mode = float(ShutterMode.FOLLOW)
            own.append(Held(self._shutter.name, self._shutter.mode, mode, 0.0, ""))
        return [*held, *own]

    # -- what goes wrong --------------------------------------------------------------------

    def _lost(self, error: DeviceError) -> None:
        """Callback of the joiner: a PV disconnected."""
        try:
            with self._locked():
                if not self._armed:
                    return  # whoever is on the way to a line finds it out himself
                self._count_outage(
                    self._next, f"{error}; waiting for it, at most {self.outage.get():g} s"
                )
                self._fly_again(self._next)
        except Exception as exc:
            self._fail_image(exc)

    def _count_outage(self, line: int, text: str) -> None:
        """Say that the controller was away, unless that was too often.

        Raises
        ------
        DeviceError
        """
        with self._locked():
            self._outages[line] = count = self._outages.get(line, 0) + 1
        if count > OUTAGES:
            raise DeviceError(f"{self.name}, line {line}: {text}; for the {count}th time")
        log.warning("%s, line %d: %s; flown again", self.name, line, text)

    def _fail_image(self, error: BaseException) -> None:
        """End the open image with an error; without effect when none is open."""
        with self._locked():
            if not self._image_open or self._error is not None:
                return
            if not isinstance(error, DeviceError):
                error = DeviceError(f"{self.name}, line {self._next}: {error!r}")
            self._error = error
            self._disarm()
            self._patience.rest()
            self._watch.rest()
            self._notify()

    def _notify(self) -> None:
        """Have the waiting status finished, if there is anything to tell."""
        waiter = self._waiter
        if waiter is None or waiter.done:
            return
        if self._has_news():
            self._due.append(lambda: settle(waiter, None))
        elif self._error is not None:
            error = self._error
            self._due.append(lambda: settle(waiter, error))

    def _has_news(self) -> bool:
        """Whether a line is ready, or none is left to come."""
        return bool(self._ready) or (self._raster is not None and self._next >= self._raster.ny)

    def _late(self) -> None:
        """Callback of the watchdog: a line should have ended by now."""
        with self._locked():
            if not self._armed or not self._watchdog.late or self._raster is None:
                return
            line, retries = self._next, self._raster.retries
            text = (
                f"{self.name}: line {line} did not end within {self.line_timeout():.3g} s "
                f"(its live time is {self._raster.line_time:.3g} s); "
                f"no new value of {self.index.pvname}"
            )

            def verdict(seconds: float) -> None:
                if seconds > ANSWER:  # it was not this line: nothing was answered
                    self._count_outage(line, f"no answer for {seconds:.1f} s")
                    return
                with self._locked():
                    tried = self._tried.get(line, 0)
                    self._tried[line] = tried + 1
                if tried >= retries:
                    raise DeviceError(text)
                log.warning("%s; flown again", text)

            self._fly_again(line, verdict=verdict)

    def _stuck(self) -> None:
        """Callback of the last watchdog: neither a line nor an error, for far too long."""
        with self._locked():
            if not (self._image_open and self._patience.late):
                return
            text = (
                f"{self.name}: line {self._next} did not come within {self._longest_wait():.3g} s"
            )
            self._fail_image(DeviceError(text))


def _pause(seconds: float) -> Status:
    status = Status()
    call_later(seconds, lambda: settle(status, None))
    return status
