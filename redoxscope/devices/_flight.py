"""Brings a line source to where it flies lines, whatever comes between, and keeps the lines."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ophyd import Signal
from ophyd.status import Status

from ..contract import LineStatus
from ..scan import Raster
from ._base import LOST, DeviceError, Move, done, settle
from ._beam import BEAM_POLL
from ._due_lock import DueLock
from ._judge import Blade, Judge, Verdict
from ._line_source import FlownLine, LineSource
from ._outbox import Outbox
from ._record import LineRecord
from ._restorer import NotRestoredError, Restorer
from ._shutter import ScanShutter
from ._steps import Steps, run_steps
from ._timers import Watchdog, call_later
from ._tries import Tries
from ._watch import Held, Watch

__all__ = ["Flight", "FlightSettings"]

log = logging.getLogger("redoxscope.scanner")

ANSWER = 0.5
"""Time (s) for a halt of a controller that answers; beyond it there was an outage."""

PAUSE_TIMEOUT = 2.0
"""Time (s) within which the RunEngine pauses the scanner, once it has stopped what it had set."""


class FlightSettings(Protocol):
    """What a user sets: signals of a value each, see `RasterScanner`."""

    margin: Any
    outage: Any
    beam_patience: Any
    position_tolerance: Any


class Flight:
    """From kickoff to complete: halt, shutter, what must hold, lines, and what goes wrong.

    A *flight* is a number that grows with every interruption; what belongs to an earlier one is
    void, in whichever thread it still runs. Statuses are finished after the lock is released.
    It is the `LineListener` of its source.

    Parameters
    ----------
    name : str
        Of the scanner, for messages.
    source : LineSource
    settings : FlightSettings
    """

    def __init__(self, name: str, source: LineSource, settings: FlightSettings):
        self.name, self._source, self._settings = name, source, settings
        self.lock = DueLock()
        self._record: LineRecord | None = None
        self._judge: Judge | None = None
        self._shutter: ScanShutter | None = None
        self._raster: Raster | None = None
        self._origin: tuple[float, float] | None = None
        self._held: list[Held] = []
        self._watch = Watch()
        self._restorer = Restorer(name, self._watch)
        self._halting: Move | None = None
        self.out = Outbox(self.lock)
        self._tries = Tries(name)
        self.open = False  # between kickoff and complete
        self.mine = False  # this client had it fly, and has not seen it at rest since
        self._flight = 0
        self._line_patience = 0.0  # of the source, for this raster; it may be silent later
        self._armed = False  # lines that arrive now belong to the image
        self._clean = False  # every line flown so far has arrived
        self._watchdog = Watchdog(self._late)
        self._patience = Watchdog(self._stuck)

    # -- what the scanner asks ----------------------------------------------------------------

    def attach(self, record: LineRecord, shutter: ScanShutter | None) -> None:
        """Take what is recorded with a line, and what lets the beam in."""
        self._record, self._shutter = record, shutter
        self._judge = Judge(self.name, record, self._watch, Blade(shutter))
        if shutter is not None and shutter.blade is not None:
            shutter.blade.subscribe(self._blade_moved, run=False)

    def prepare(self, raster: Raster, origin: tuple[float, float] | None) -> Status:
        """Have the source take a raster, whose zero is at ``origin`` (µm), once it is at rest.

        After an image it may still be flying back. Where a pause or the end of the plan comes
        first, the status is done and nothing is written any more.
        """
        assert self._judge is not None
        patience = self._source.patience(raster)
        with self.lock:
            flight = self._flight
            self._line_patience = patience
            self._judge.beam.another_raster(self._raster, raster)
            self._raster, self._origin, self.out.total = raster, origin, raster.ny
            self.out.ready.clear()

        def steps() -> Steps:
            yield self._source.until_idle(self._line_timeout())
            yield self._write()

        return run_steps(steps(), lambda: flight == self._flight)

    def begin(self, held: Sequence[Held]) -> Status:
        """Fly every line of the raster; done when the source was told to.

        Parameters
        ----------
        held : sequence of Held
            What must hold, besides the raster and the shutter.
        """
        if self._raster is None or self._judge is None:
            raise RuntimeError(f"{self.name}: kickoff before prepare")
        own = self._source.held(self._raster, self._write)
        following = [] if self._shutter is None else self._shutter.following()
        with self.lock:
            self.out.begin()
            self._held = [*held, *own, *following]
            self._tries = Tries(self.name)
            self._judge.beam.begin_image()
            self.open = True
        return self._fly_from(0, halt=False)

    def news(self) -> Status:
        """Status that is done when a line is ready, or none will come any more."""
        with self.lock:
            if not (self.open or self.out.error or self.out.news):
                raise DeviceError(f"{self.name}: trigger, but no image is being flown")
            waiter = self.out.waiting()
            if self.open:
                self._patience.feed(self._longest_wait())
            self.out.tell()
        return waiter

    @property
    def flown(self) -> bool:
        """Whether every line of the image is ready, or was handed out."""
        with self.lock:
            return self.out.flown

    @property
    def finished(self) -> bool:
        """Whether every line of the image was handed out."""
        with self.lock:
            return self.out.flown and not self.out.ready

    def describe(self) -> dict[str, dict[str, Any]]:
        """Data keys of a line."""
        if self._record is None or self._raster is None:
            raise RuntimeError(f"{self.name}: describe_collect before prepare")
        return self._record.describe(self._raster.nx)

    def forget(self) -> None:
        """Another run: nothing is ready, and nothing known of the beam."""
        with self.lock:
            self.out.ready.clear()
            self._raster = self.out.total = None
            if self._judge is not None:
                self._judge.beam.begin()

    def end(self) -> None:
        """The image is over."""
        with self.lock:
            self._close()

    def pause(self) -> bool:
        """Halt at once; whether an image was being flown."""
        with self.lock:
            flying = self.open
            if self._armed:
                self._tries.broken_off(self.out.next)
            self._rest()
            if self._judge is not None:
                self._judge.beam.interrupted()
        self._restorer.halt()
        try:
            self._source.halt_now()
        except Exception as exc:  # raised here it would end the plan without its clean-up
            self.on_error(DeviceError(f"{self.name}: no halt: {exc}"))
        return flying

    def resume(self) -> None:
        """Go on with the first line that was not finished before the pause."""
        with self.lock:
            line = self.out.next
            todo = self._raster is not None and line < self._raster.ny
            again = todo and self.open and self.out.error is None
        if again:
            self._fly_from(line, halt=True)

    def cancel(self) -> None:
        """End the image, whoever waits for it; the source is not halted here."""
        with self.lock:
            if self.open:
                self.out.error = self.out.error or DeviceError(f"{self.name}: was stopped")
            self._close()
            self.out.tell(anyway=True)
        self._restorer.halt()

    def _write(self) -> Status:
        assert self._raster is not None
        return self._source.write(self._raster, self._origin or (0.0, 0.0))

    def _rest(self) -> None:
        self._disarm()
        self._patience.rest()
        self._watch.rest()

    def _close(self) -> None:
        self.open = False
        self._rest()

    def _line_timeout(self) -> float:
        """Longest time (s) between two finished lines before the later one counts as hung."""
        return self._line_patience + float(self._settings.margin.get())

    def _longest_wait(self) -> float:
        """Time (s) after which something was forgotten: each step has a shorter limit itself."""
        outage, beam = self._settings.outage.get(), self._settings.beam_patience.get()
        return float(2 * (self._line_timeout() + outage + beam))

    # -- the way to a line ------------------------------------------------------------------

    def _fly_from(
        self,
        line: int,
        *,
        halt: bool,
        verdict: Callable[[float], None] | None = None,
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
            Given the time (s) that this took; it may end the image by raising.
        wait : float
            Time (s) to wait before flying on.
        flight : int, optional
            The interruption that asks for this; without effect when there was another since.
        reopen : bool
            Let the shutter follow again where this client has closed it: not within an image.
        """
        with self.lock:
            if flight is not None and flight != self._flight:
                return done()
            self._disarm()
            flight = self._flight
            self._patience.feed(self._longest_wait() + wait)
        steps = self._approach(line, flight, halt, verdict, wait, reopen)
        status = run_steps(steps, lambda: flight == self._flight)

        def report(status: Status) -> None:
            error = status.exception(timeout=0)
            if error is not None:
                self._fail(error)

        status.add_callback(report)
        return status

    def _fly_again(self, line: int, **options: Any) -> None:
        """Interrupt, and fly from ``line`` once the lock is free."""
        self._disarm()
        flight = self._flight

        def again() -> None:
            try:
                self._fly_from(line, halt=True, flight=flight, reopen=False, **options)
            except Exception as exc:
                self._fail(exc)

        self.lock.later(again)

    def _approach(
        self,
        line: int,
        flight: int,
        halt: bool,
        verdict: Callable[[float], None] | None,
        wait: float,
        reopen: bool,
    ) -> Steps:
        while True:
            coming_to_rest, began = True, time.monotonic()
            try:
                rest = self._source.until_idle
                yield self._halt_for_good() if halt else rest(self._line_timeout())
                coming_to_rest = False
                judge, verdict = verdict, None
                if judge is not None:
                    judge(time.monotonic() - began)
                if wait:
                    yield _pause(wait)
                if self._shut and not reopen:
                    raise self._was_shut()
                yield self._let_follow()
                reopen = False
                yield from self._restorer.restore(
                    self._held, self.out.next, lambda: flight == self._flight
                )
                yield self._source.ready(flight, line, clean=self._clean)
                self._launch(line, flight)
                return
            except Exception as error:
                if coming_to_rest and halt:
                    raise
                began = time.monotonic()
                yield self._halt_for_good()
                if time.monotonic() - began < ANSWER:  # it answers: there was no outage
                    if self._shut or isinstance(error, NotRestoredError):
                        yield _pause(PAUSE_TIMEOUT)  # the engine stopped it: a pause comes next
                    raise
                self._tries.outage(line, f"{error}")
                halt = True

    def _halt_for_good(self) -> Status:
        needed: list[Signal] = list(self._source.signals())
        needed += [one.signal for one in self._held if hasattr(one.signal, "pvname")]
        self._halting = self._source.halt(needed, self._settings.outage.get())
        return self._halting

    def _let_follow(self) -> Status | None:
        if self._shutter is None or self._shutter.follows:
            return None
        return self._shutter.set("follow")

    def _launch(self, line: int, flight: int) -> None:
        """Fly from ``line`` on; the controller is ready."""
        assert self._judge is not None
        with self.lock:
            if flight != self._flight or not self.open:
                return
            self._clean = False
            self._armed = True
            self._judge.blade.begin()
            self._watchdog.feed(self._line_timeout())
            self.mine = True
            self._source.launch(flight, line)  # under the lock: no halt may overtake it

    def _disarm(self) -> None:
        self._flight += 1
        if self._halting is not None:  # it must not halt what is flown later
            self.lock.later(self._halting.end)
            self._halting = None
        self._armed = False
        self._watchdog.rest()

    # -- what the source tells ----------------------------------------------------------------

    def still(self, flight: int, action: Callable[[], None]) -> bool:
        """As `LineListener.still`: under the lock, so that no halt overtakes it."""
        with self.lock:
            if flight != self._flight:
                return False
            action()
            return True

    def on_line(self, flown: FlownLine) -> None:
        """As `LineListener.on_line`."""
        try:
            with self.lock:
                if flown.flight == self._flight and self._armed and self._raster is not None:
                    self._line_came(flown, self._raster)
        except (TimeoutError, *LOST) as exc:  # what the line is judged by does not answer
            self.on_lost(exc)
        except Exception as exc:
            self._fail(exc)

    def _line_came(self, flown: FlownLine, raster: Raster) -> None:
        assert self._judge is not None
        if flown.line != self.out.next:
            where = self._source.where()["line"]
            raise DeviceError(
                f"{self.name}: {where} says line {flown.line} where {self.out.next} is due"
            )
        if self._shut:
            self._shut_by_us()
            return
        patience = self._settings.beam_patience.get()
        tolerance = self._settings.position_tolerance.get()
        ruling = self._judge.rule(
            flown, raster, self._origin, tolerance=tolerance, patience=patience
        )
        line = flown.line
        if ruling.verdict is Verdict.MISSED:
            self._take_or_repeat(LineStatus.MISSED, ruling.text, flown)
        elif ruling.verdict is Verdict.DISTURBED:
            self._take_or_repeat(LineStatus.DISTURBED, ruling.text, flown)
        elif ruling.verdict is Verdict.DARK:
            self._tries.broken_off(line)
            self._fly_again(line, wait=min(BEAM_POLL, patience))
        elif ruling.verdict is Verdict.DARK_FOR_GOOD:
            self._hand_out(LineStatus.DISTURBED, flown)
        else:
            late = ruling.verdict is Verdict.TAKEN_LATE
            again = late or self._tries.failed(line)
            self._hand_out(LineStatus.RETRIED if again else LineStatus.OK, flown)

    def _take_or_repeat(self, status: LineStatus, text: str, flown: FlownLine) -> None:
        """Fly a line again that did not come as asked for; hand it out when tried enough."""
        assert self._raster is not None
        line = flown.line
        if self._tries.again(line, self._raster.retries):
            log.warning("%s: line %d %s; flown again", self.name, line, text)
            self._fly_again(line)
            return
        log.error("%s: line %d %s; stored as %s", self.name, line, text, status.name)
        self._hand_out(status, flown)
        if self._armed and self._watch.off():
            self._fly_again(self.out.next)  # what is away is asked for again

    def _hand_out(self, status: LineStatus, flown: FlownLine) -> None:
        assert self._raster is not None and self._record is not None
        self.out.put(self._record.row(flown, status, self._raster.nx))
        if not self.out.flown:
            self._watchdog.feed(self._line_timeout())
            self._patience.feed(self._longest_wait())
        else:
            self._clean = True
            self._rest()
        self.out.tell()

    def _blade_moved(self, *, value: Any, **_: Any) -> None:
        with self.lock:
            if self._armed and self._judge is not None:
                self._judge.blade.moved(value)

    @property
    def _shut(self) -> bool:
        """Whether the shutter was closed from here: a pause comes next, or the image ends."""
        return self._shutter is not None and not self._shutter.told_to_follow

    def _was_shut(self) -> DeviceError:
        name = "" if self._shutter is None else self._shutter.name
        return DeviceError(f"{self.name}, line {self.out.next}: {name} was closed within the image")

    def _shut_by_us(self) -> None:
        """Fail within a line, unless a pause comes."""
        self._tries.broken_off(self.out.next)
        self._disarm()
        flight = self._flight

        def no_pause_came() -> None:
            if flight == self._flight:
                self._fail(self._was_shut())

        call_later(PAUSE_TIMEOUT, no_pause_came)

    # -- what goes wrong --------------------------------------------------------------------

    def on_lost(self, error: Exception) -> None:
        """As `LineListener.on_lost`."""
        try:
            with self.lock:
                if not self._armed:
                    return  # whoever is on the way to a line finds it out himself
                patience = self._settings.outage.get()
                self._tries.outage(
                    self.out.next, f"{error}; waiting for it, at most {patience:g} s"
                )
                self._fly_again(self.out.next)
        except Exception as exc:
            self._fail(exc)

    def on_error(self, error: Exception, flight: int | None = None) -> None:
        """As `LineListener.on_error`."""
        with self.lock:
            if flight is None or (flight == self._flight and self._armed):
                self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """End the open image with an error; without effect when none is open."""
        with self.lock:
            if not self.open or self.out.error is not None:
                return
            if not isinstance(error, DeviceError):
                error = DeviceError(f"{self.name}, line {self.out.next}: {error!r}")
            self.out.error = error
            self._rest()
            self.out.tell()

    def _late(self) -> None:
        """Callback of the watchdog: a line should have ended by now."""
        with self.lock:
            if not self._armed or not self._watchdog.late or self._raster is None:
                return
            line, retries = self.out.next, self._raster.retries
            text = (
                f"{self.name}: line {line} did not end within {self._line_timeout():.3g} s "
                f"(its live time is {self._raster.line_time:.3g} s); "
                f"no new value of {self._source.where()['index']}"
            )

            def verdict(seconds: float) -> None:
                if seconds > ANSWER:  # it was not this line: nothing was answered
                    self._tries.outage(line, f"no answer for {seconds:.1f} s")
                    return
                with self.lock:
                    again = self._tries.again(line, retries)
                if not again:
                    raise DeviceError(text)
                log.warning("%s; flown again", text)

            self._fly_again(line, verdict=verdict)

    def _stuck(self) -> None:
        """Callback of the last watchdog: neither a line nor an error, for far too long."""
        with self.lock:
            if not (self.open and self._patience.late):
                return
            line, limit = self.out.next, self._longest_wait()
            self._fail(DeviceError(f"{self.name}: line {line} did not come within {limit:.3g} s"))


def _pause(seconds: float) -> Status:
    status = Status()
    call_later(seconds, lambda: settle(status, None))
    return status
