"""The way to a line: at rest, all as asked for, the controller ready; then it is flown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ophyd import Signal
from ophyd.status import Status

from .._base import DeviceError, Move, done, settle
from .._line_source import LineSource
from .._shutter import ScanShutter
from .._steps import Steps, run_steps
from .._timers import Watchdog, call_later
from .._watch import Held, Watch
from ._due_lock import DueLock
from ._restorer import NotRestoredError, Restorer

__all__ = ["Approach", "FlownImage"]

ANSWER = 0.5
"""Time (s) for a halt of a controller that answers; beyond it there was an outage."""

PAUSE_TIMEOUT = 2.0
"""Time (s) within which the RunEngine pauses the scanner, once it has stopped what it had set."""


class FlownImage(Protocol):
    """What the way to a line asks of the image whose lines are flown, see `Flight`."""

    name: str
    lock: DueLock
    open: bool

    @property
    def next_line(self) -> int:
        """First line that was not handed out yet."""

    def line_timeout(self) -> float:
        """Longest time (s) between two finished lines before the later one counts as hung."""

    def be_patient(self, seconds: float) -> None:
        """Wait for the next line so much longer (s) than usual."""

    def launching(self) -> None:
        """A line is about to be flown."""

    def outage(self, line: int, text: str) -> None:
        """Count an outage at a line; raises `DeviceError` when there were too many."""

    def fail(self, error: BaseException) -> None:
        """End the image with an error; without effect when none is open."""


class Approach:
    """Brings the source to where it flies on from a line, whatever comes between.

    A *flight* is a number that grows with every interruption; what belongs to an earlier one is
    void, in whichever thread it still runs. Everything here is changed under the image's lock.

    Parameters
    ----------
    image : FlownImage
    source : LineSource
    watch : Watch
        Of the values that must hold.
    outage : signal
        Longest time (s) for servers that do not answer to come back.
    late : callable
        A line should have ended by now.

    Attributes
    ----------
    flight : int
    armed : bool
        Lines that arrive now belong to the image.
    clean : bool
        Every line flown so far has arrived.
    held : sequence of Held
        What must hold before a line is flown.
    """

    def __init__(
        self,
        image: FlownImage,
        source: LineSource,
        watch: Watch,
        outage: Any,
        late: Callable[[], None],
    ):
        self._image, self._source, self._outage = image, source, outage
        self._restorer = Restorer(image.name, watch)
        self.shutter: ScanShutter | None = None
        self.held: Sequence[Held] = ()
        self.flight = 0
        self.armed = False
        self.clean = False
        self.watchdog = Watchdog(late)
        self._halting: Move | None = None

    def fly_from(
        self,
        line: int,
        *,
        halt: bool,
        verdict: Callable[[], None] | None = None,
        wait: float = 0.0,
        flight: int | None = None,
        reopen: bool = True,
    ) -> Status:
        """Bring the source to rest, see that all is as asked for, fly on from ``line``.

        Whatever interrupts the image meanwhile makes the steps that are left void. The
        status returned is done then too; a step that fails, fails it and the image.

        Parameters
        ----------
        line : int
        halt : bool
            Halt; else wait until the controller has come to rest.
        verdict : callable, optional
            Called where the controller answers at once, so that there was no outage; it may end
            the image by raising.
        wait : float
            Time (s) to wait before flying on.
        flight : int, optional
            The interruption that asks for this; without effect when there was another since.
        reopen : bool
            Let the shutter follow again where this client has closed it: not within an image.
        """
        with self._image.lock:
            if flight is not None and flight != self.flight:
                return done()
            self.disarm()
            flight = self.flight
            self._image.be_patient(wait)
        steps = self._steps(line, flight, halt, verdict, wait, reopen)
        status = run_steps(steps, lambda: flight == self.flight)

        def report(status: Status) -> None:
            error = status.exception(timeout=0)
            if error is not None:
                self._image.fail(error)

        status.add_callback(report)
        return status

    def fly_again(self, line: int, **options: Any) -> None:
        """Interrupt, and fly from ``line`` once the lock is free; options as of `fly_from`."""
        self.disarm()
        flight = self.flight

        def again() -> None:
            try:
                self.fly_from(line, halt=True, flight=flight, reopen=False, **options)
            except Exception as exc:
                self._image.fail(exc)

        self._image.lock.later(again)

    def _steps(
        self,
        line: int,
        flight: int,
        halt: bool,
        verdict: Callable[[], None] | None,
        wait: float,
        reopen: bool,
    ) -> Steps:
        while True:
            coming_to_rest, began = True, time.monotonic()
            try:
                rest = self._source.until_idle
                yield self._halt_for_good() if halt else rest(self._image.line_timeout())
                coming_to_rest = False
                judge, verdict = verdict, None
                if judge is not None:
                    seconds = time.monotonic() - began
                    if seconds > ANSWER:  # it was not this line: nothing was answered
                        self._image.outage(line, f"no answer for {seconds:.1f} s")
                    else:
                        judge()
                if wait:
                    yield _pause(wait)
                if self.shut and not reopen:
                    raise self.was_shut()
                yield self._let_follow()
                reopen = False
                yield from self._restorer.restore(
                    self.held, self._image.next_line, lambda: flight == self.flight
                )
                yield self._source.ready(flight, line, clean=self.clean)
                self._launch(line, flight)
                return
            except Exception as error:
                if coming_to_rest and halt:
                    raise
                began = time.monotonic()
                yield self._halt_for_good()
                if time.monotonic() - began < ANSWER:  # it answers: there was no outage
                    if self.shut or isinstance(error, NotRestoredError):
                        yield _pause(PAUSE_TIMEOUT)  # the engine stopped it: a pause comes next
                    raise
                self._image.outage(line, f"{error}")
                halt = True

    def _halt_for_good(self) -> Status:
        needed: list[Signal] = list(self._source.signals())
        needed += [one.signal for one in self.held if hasattr(one.signal, "pvname")]
        self._halting = self._source.halt(needed, self._outage.get())
        return self._halting

    def _launch(self, line: int, flight: int) -> None:
        """Fly from ``line`` on; the controller is ready."""
        with self._image.lock:
            if flight != self.flight or not self._image.open:
                return
            self.clean = False
            self.armed = True
            self._image.launching()
            self.watchdog.feed(self._image.line_timeout())
            self._source.launch(flight, line)  # under the lock: no halt may overtake it

    def disarm(self) -> None:
        """Interrupt: lines that arrive from now on belong to nothing."""
        self.flight += 1
        if self._halting is not None:  # it must not halt what is flown later
            self._image.lock.later(self._halting.end)
            self._halting = None
        self.armed = False
        self.watchdog.rest()

    def halt(self) -> None:
        """Stop what was on its way back to where it must be."""
        self._restorer.halt()

    # -- the shutter --------------------------------------------------------------------------

    def _let_follow(self) -> Status | None:
        if self.shutter is None or self.shutter.follows:
            return None
        return self.shutter.set("follow")

    @property
    def shut(self) -> bool:
        """Whether the shutter was closed from here: a pause comes next, or the image ends."""
        return self.shutter is not None and not self.shutter.told_to_follow

    def was_shut(self) -> DeviceError:
        """The error of an image within which it was."""
        name = "" if self.shutter is None else self.shutter.name
        where = f"{self._image.name}, line {self._image.next_line}"
        return DeviceError(f"{where}: {name} was closed within the image")

    def expect_pause(self) -> None:
        """Interrupt, and fail the image that was shut unless a pause comes."""
        self.disarm()
        flight = self.flight

        def no_pause_came() -> None:
            if flight == self.flight:
                self._image.fail(self.was_shut())

        call_later(PAUSE_TIMEOUT, no_pause_came)


def _pause(seconds: float) -> Status:
    status = Status()
    call_later(seconds, lambda: settle(status, None))
    return status
