"""Brings a line source to where it flies lines, whatever comes between, and keeps the lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ophyd.status import Status

from ...documents import LineStatus
from ...scan import Raster
from .._base import LOST, DeviceError
from .._line_source import FlownLine, LineSource
from .._shutter import ScanShutter
from .._steps import Steps, run_steps
from .._timers import Watchdog
from .._watch import Held, Watch
from ._approach import Approach
from ._beam import BEAM_POLL
from ._due_lock import DueLock
from ._judge import Blade, Judge, Verdict
from ._outbox import Outbox
from ._record import LineRecord
from ._tries import Tries

__all__ = ["Flight", "FlightSettings"]

log = logging.getLogger("redoxscope.scanner")


class FlightSettings(Protocol):
    """What a user sets: signals of a value each, see `RasterScanner`."""

    margin: Any
    outage: Any
    beam_patience: Any
    position_tolerance: Any


class Flight:
    """From kickoff to complete: lines that come, lines that must be flown again, what goes wrong.

    How the source comes to fly a line, and what an interruption makes void, is the `Approach`'s.
    Statuses are finished after the lock is released. It is the `LineListener` of its source.

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
        self._raster: Raster | None = None
        self._origin: tuple[float, float] | None = None
        self._watch = Watch()
        self.out = Outbox(self.lock)
        self._tries = Tries(name)
        self.open = False  # between kickoff and complete
        self.mine = False  # this client had it fly, and has not seen it at rest since
        self._line_patience = 0.0  # of the source, for this raster; it may be silent later
        self._approach = Approach(self, source, self._watch, settings.outage, self._late)
        self._patience = Watchdog(self._stuck)

    # -- what the scanner asks ----------------------------------------------------------------

    def attach(self, record: LineRecord, shutter: ScanShutter | None) -> None:
        """Take what is recorded with a line, and what lets the beam in."""
        self._record, self._approach.shutter = record, shutter
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
            flight = self._approach.flight
            self._line_patience = patience
            self._judge.beam.another_raster(self._raster, raster)
            self._raster, self._origin, self.out.total = raster, origin, raster.ny
            self.out.ready.clear()

        def steps() -> Steps:
            yield self._source.until_idle(self.line_timeout())
            yield self._write()

        return run_steps(steps(), lambda: flight == self._approach.flight)

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
        shutter = self._approach.shutter
        following = [] if shutter is None else shutter.following()
        with self.lock:
            self.out.begin()
            self._approach.held = [*held, *own, *following]
            self._tries = Tries(self.name)
            self._judge.beam.begin_image()
            self.open = True
        return self._approach.fly_from(0, halt=False)

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
            if self._approach.armed:
                self._tries.broken_off(self.out.next)
            self._rest()
            if self._judge is not None:
                self._judge.beam.interrupted()
        self._approach.halt()
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
            self._approach.fly_from(line, halt=True)

    def cancel(self) -> None:
        """End the image, whoever waits for it; the source is not halted here."""
        with self.lock:
            if self.open:
                self.out.error = self.out.error or DeviceError(f"{self.name}: was stopped")
            self._close()
            self.out.tell(anyway=True)
        self._approach.halt()

    def _write(self) -> Status:
        assert self._raster is not None
        return self._source.write(self._raster, self._origin or (0.0, 0.0))

    def _rest(self) -> None:
        self._approach.disarm()
        self._patience.rest()
        self._watch.rest()

    def _close(self) -> None:
        self.open = False
        self._rest()

    def line_timeout(self) -> float:
        """As `FlownImage.line_timeout`."""
        return self._line_patience + float(self._settings.margin.get())

    def _longest_wait(self) -> float:
        """Time (s) after which something was forgotten: each step has a shorter limit itself."""
        outage, beam = self._settings.outage.get(), self._settings.beam_patience.get()
        return float(2 * (self.line_timeout() + outage + beam))

    # -- what the way to a line asks --------------------------------------------------------

    @property
    def next_line(self) -> int:
        """As `FlownImage.next_line`."""
        return self.out.next

    def be_patient(self, seconds: float) -> None:
        """As `FlownImage.be_patient`."""
        self._patience.feed(self._longest_wait() + seconds)

    def launching(self) -> None:
        """As `FlownImage.launching`."""
        assert self._judge is not None
        self._judge.blade.begin()
        self.mine = True

    def outage(self, line: int, text: str) -> None:
        """As `FlownImage.outage`."""
        self._tries.outage(line, text)

    # -- what the source tells ----------------------------------------------------------------

    def still(self, flight: int, action: Callable[[], None]) -> bool:
        """As `LineListener.still`: under the lock, so that no halt overtakes it."""
        with self.lock:
            if flight != self._approach.flight:
                return False
            action()
            return True

    def on_line(self, flown: FlownLine) -> None:
        """As `LineListener.on_line`."""
        try:
            with self.lock:
                now, raster = self._approach, self._raster
                if flown.flight == now.flight and now.armed and raster is not None:
                    self._line_came(flown, raster)
        except (TimeoutError, *LOST) as exc:  # what the line is judged by does not answer
            self.on_lost(exc)
        except Exception as exc:
            self.fail(exc)

    def _line_came(self, flown: FlownLine, raster: Raster) -> None:
        assert self._judge is not None
        if flown.line != self.out.next:
            where = self._source.where()["line"]
            raise DeviceError(
                f"{self.name}: {where} says line {flown.line} where {self.out.next} is due"
            )
        if self._approach.shut:
            self._tries.broken_off(flown.line)
            self._approach.expect_pause()
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
            self._approach.fly_again(line, wait=min(BEAM_POLL, patience))
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
            self._approach.fly_again(line)
            return
        log.error("%s: line %d %s; stored as %s", self.name, line, text, status.name)
        self._hand_out(status, flown)
        if self._approach.armed and self._watch.off():
            self._approach.fly_again(self.out.next)  # what is away is asked for again

    def _hand_out(self, status: LineStatus, flown: FlownLine) -> None:
        assert self._raster is not None and self._record is not None
        self.out.put(self._record.row(flown, status, self._raster.nx))
        if not self.out.flown:
            self._approach.watchdog.feed(self.line_timeout())
            self._patience.feed(self._longest_wait())
        else:
            self._approach.clean = True
            self._rest()
        self.out.tell()

    def _blade_moved(self, *, value: Any, **_: Any) -> None:
        with self.lock:
            if self._approach.armed and self._judge is not None:
                self._judge.blade.moved(value)

    # -- what goes wrong --------------------------------------------------------------------

    def on_lost(self, error: Exception) -> None:
        """As `LineListener.on_lost`."""
        try:
            with self.lock:
                if not self._approach.armed:
                    return  # whoever is on the way to a line finds it out himself
                patience = self._settings.outage.get()
                self._tries.outage(
                    self.out.next, f"{error}; waiting for it, at most {patience:g} s"
                )
                self._approach.fly_again(self.out.next)
        except Exception as exc:
            self.fail(exc)

    def on_error(self, error: Exception, flight: int | None = None) -> None:
        """As `LineListener.on_error`."""
        with self.lock:
            if flight is None or (flight == self._approach.flight and self._approach.armed):
                self.fail(error)

    def fail(self, error: BaseException) -> None:
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
            now, raster = self._approach, self._raster
            if not now.armed or not now.watchdog.late or raster is None:
                return
            line = self.out.next
            text = (
                f"{self.name}: line {line} did not end within {self.line_timeout():.3g} s "
                f"(its live time is {raster.line_time:.3g} s); "
                f"no new value of {self._source.where()['index']}"
            )

            def verdict() -> None:
                with self.lock:
                    again = self._tries.again(line, raster.retries)
                if not again:
                    raise DeviceError(text)
                log.warning("%s; flown again", text)

            self._approach.fly_again(line, verdict=verdict)

    def _stuck(self) -> None:
        """Callback of the last watchdog: neither a line nor an error, for far too long."""
        with self.lock:
            if not (self.open and self._patience.late):
                return
            line, limit = self.out.next, self._longest_wait()
            self.fail(DeviceError(f"{self.name}: line {line} did not come within {limit:.3g} s"))
