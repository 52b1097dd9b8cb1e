"""The raster scanner: flies lines, joins what the detectors counted, hands out whole lines."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from bluesky.utils import NoReplayAllowed
from ophyd import Signal
from ophyd.status import Status

from ..contract import LineStatus, Raster
from ._base import DeviceError, done, logged, put_now, then
from ._counter import LineCounter
from ._lines import LineJoiner, Parts
from ._owner import BeamlineBusyError
from ._record import LineRecord, Row
from ._scanner_pvs import ScannerPVs, ScannerState
from ._shutter import Shutter
from ._timers import Watchdog

__all__ = ["RasterScanner", "ScannerState"]

log = logging.getLogger("redoxscope.scanner")


class RasterScanner(ScannerPVs):
    """Scanner that flies the lines of an image by itself and publishes each when it is done.

    As a bluesky flyer: ``prepare`` takes a `Raster`, ``kickoff`` flies all its lines,
    ``trigger`` is done when another line is ready (or fails), ``collect_pages`` hands out the
    lines that are, in order, and ``complete`` ends the image. A line that was missed, lost on
    the way or never ended is flown again from its start before any later line is handed
    out, ``retries`` times; after that it is handed out as missed, all NaN (never ended: the
    status fails).

    It halts in ``pause``, ``stop`` and ``unstage`` (the RunEngine never calls ``stop`` on a
    flyer), and ``resume`` goes on with the first line not yet handed out. Because it does, it
    tells the RunEngine to replay nothing while an image is being flown.

    PV contract: ``docs/reference/pvs.md``.
    """

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._lock = threading.RLock()
        self._record: LineRecord | None = None
        self._joiner: LineJoiner | None = None
        self._shutter: Shutter | None = None
        self._guard: Callable[[Raster], None] | None = None
        self._raster: Raster | None = None
        self._ready: deque[Row] = deque()
        self._waiter: Status | None = None
        self._error: Exception | None = None
        self._next = 0
        self._tried: dict[int, int] = {}
        self._image_open = False  # between kickoff and complete
        self._mine = False  # this client had it fly, and has not seen it at rest since
        self._flight = 0  # counts interruptions: what belongs to an earlier one is void
        self._armed = False  # lines that arrive now belong to the image
        self._clean = False  # every line flown so far has arrived
        self._watchdog = Watchdog(self._late)

    def attach(
        self,
        detectors: Sequence[LineCounter],
        scalars: Mapping[str, Signal],
        shutter: Shutter | None = None,
    ) -> None:
        """Name what is recorded with every line, and what lets the beam in.

        Parameters
        ----------
        detectors : sequence of LineCounter
            One array of counts per line each, under the detector's ``field``.
        scalars : mapping of str to Signal
            Monitored signals, one value per line, by data key.
        shutter : Shutter, optional
            Made to follow the scanner before every flight (a pause closes it).
        """
        if self._joiner is not None:
            raise RuntimeError(f"{self.name}: detectors are attached already")
        self._record = LineRecord(detectors, scalars, x=self.x, y=self.y, info=self.info)
        self._shutter = shutter
        own = {"x": self.x, "y": self.y, "info": self.info}
        sources = {self.name: (self.index, own)}
        for det in detectors:
            sources[det.field] = (det.index, {"line": det.line})
        self._joiner = LineJoiner(sources, self._line_arrived, self._fail_image)
        self.state.subscribe(self._state_changed, run=False)

    def guard(self, check: Callable[[Raster], None]) -> None:
        """Have ``check(raster)`` refuse a raster by raising; used by the interlock."""
        self._guard = check

    # -- bluesky's verbs ------------------------------------------------------------------

    def prepare(self, raster: Raster) -> Status:
        """Write the raster's parameters that differ from the present ones, and read them back."""
        if self._record is None:
            raise RuntimeError(f"{self.name}: attach detectors before prepare")
        if self._guard is not None:
            self._guard(raster)
        with self._lock:
            self._raster = raster
            self._forget()
        return self._write(raster)

    def kickoff(self) -> Status:
        """Fly every line of the prepared raster; done when the controller was told to."""
        if self._raster is None:
            raise RuntimeError(f"{self.name}: kickoff before prepare")
        with self._lock:
            self._forget()
            self._tried = {}
            self._error = None
            self._next = 0
            self._image_open = True
        return self._fly_from(0, halt=False)

    def trigger(self) -> Status:
        """Status that is done when a line is ready to collect, or the image is finished.

        It fails with `DeviceError` when a line never ends, the controller reports an error,
        or a PV disconnects.
        """
        with self._lock:
            if self._waiter is None or self._waiter.done:
                self._waiter = Status()
            waiter = self._waiter
            self._notify()
        return waiter

    @property
    def flown(self) -> bool:
        """Whether every line of the image is ready to collect, or was collected."""
        with self._lock:
            return self._raster is None or self._next >= self._raster.ny

    @property
    def finished(self) -> bool:
        """Whether every line of the image was handed out."""
        with self._lock:
            return self._raster is None or (self._next >= self._raster.ny and not self._ready)

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        """One event page with the lines that are ready, in order; none when none is."""
        with self._lock:
            rows = list(self._ready)
            self._ready.clear()
        if rows:
            yield {
                "data": {key: [row[key][0] for row in rows] for key in rows[0]},
                "timestamps": {key: [row[key][1] for row in rows] for key in rows[0]},
            }

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """Data keys of a line: the document contract, ``docs/reference/documents.md``."""
        if self._record is None or self._raster is None:
            raise RuntimeError(f"{self.name}: describe_collect before prepare")
        return self._record.describe(self._raster.nx)

    def complete(self) -> Status:
        """End the image."""
        with self._lock:
            self._image_open = False
            self._disarm()
        return done()

    def pause(self) -> None:
        """Halt at once; the line being flown is flown again after ``resume``."""
        with self._lock:
            flying = self._image_open
            self._disarm()
        try:
            put_now(self.abort, 1)
        except Exception as exc:  # raised here it would end the plan without its clean-up
            self._fail_image(DeviceError(f"{self.name}: no halt by {self.abort.pvname}: {exc}"))
        if flying:
            raise NoReplayAllowed

    def resume(self) -> None:
        """Go on with the first line that was not finished before ``pause``."""
        with self._lock:
            line = self._next
            todo = self._raster is not None and line < self._raster.ny
            again = todo and self._image_open and self._error is None
        if again:
            self._fly_from(line, halt=True)

    def stage(self) -> list[object]:
        """Forget the lines of an earlier run.

        Raises
        ------
        BeamlineBusyError
            Somebody else flies.
        """
        self.check_free()
        self._forget()
        return super().stage()

    def check_free(self) -> None:
        """Refuse to fly while somebody else does.

        Raises
        ------
        BeamlineBusyError
            Names whom, where that can be known.
        """
        if self._shutter is not None:
            self._shutter.check_free()
        if int(self.state.get(use_monitor=False)) != ScannerState.FLYING:
            self._mine = False
        elif not self._mine:
            raise BeamlineBusyError(
                f"{self.name} ({self.state.pvname}) flies for somebody else: nothing was moved. "
                f"{self.abort.name}.put(1) halts it all the same"
            )

    def stop(self, *, success: bool = False) -> None:
        """Halt at once. An image that was open has ended, whoever waits for it."""
        with self._lock:
            if self._image_open:
                self._error = self._error or DeviceError(f"{self.name}: was stopped")
            self._image_open = False
            self._disarm()
            waiter = self._waiter
            if waiter is not None and not waiter.done:
                waiter.set_finished()
        if self._mine or int(self.state.get()) != ScannerState.FLYING:
            put_now(self.abort, 1)
        else:
            log.warning("%s flies for somebody else; it is not halted", self.name)

    def unstage(self) -> list[object]:
        """Halt what this client had fly.

        A failure is logged only, for it must not hide what ended the plan.
        """
        if self._mine:
            logged(log, self.name, lambda: self.stop(success=True))
            self._mine = False
        return super().unstage()

    def read_configuration(self) -> dict[str, Any]:
        values = super().read_configuration()
        for device in self._record.configured() if self._record else ():
            values.update(device.read_configuration())
        return values

    def describe_configuration(self) -> dict[str, Any]:
        keys = super().describe_configuration()
        for device in self._record.configured() if self._record else ():
            keys.update(device.describe_configuration())
        return keys

    def _forget(self) -> None:
        with self._lock:
            self._ready.clear()

    # -- flying ---------------------------------------------------------------------------

    def line_timeout(self) -> float:
        """Longest time (s) between two finished lines before the later one counts as hung."""
        assert self._raster is not None
        return 2 * (self._raster.line_time + self.flyback.get()) + self.margin.get()

    def _fly_from(self, line: int, *, halt: bool) -> Status:
        """Bring the controller to rest, let the shutter follow, fly on from ``line``.

        Whatever interrupts the image meanwhile makes the steps that are left void. The
        status returned is done then too; a step that fails, fails it and the image.
        """
        with self._lock:
            self._disarm()
            flight = self._flight
        timeout = self.line_timeout()
        rest = self._halt if halt else partial(self._until_idle, timeout)
        steps = [rest, self._let_follow]

        def next_step() -> Status | None:
            with self._lock:
                if flight != self._flight:
                    return None
            if not steps:
                self._launch(line, flight)
                return None
            status = steps.pop(0)()
            return next_step() if status is None else then(status, next_step)

        try:
            status = next_step() or done()
        except Exception as exc:
            self._fail_image(exc)
            status = Status()
            status.set_exception(exc)
            return status

        def report(status: Status) -> None:
            error = status.exception(timeout=0)
            if error is not None:
                self._fail_image(error)

        status.add_callback(report)
        return status

    def _let_follow(self) -> Status | None:
        if self._shutter is None or self._shutter.follows:
            return None
        return self._shutter.set("follow")

    def _launch(self, line: int, flight: int) -> None:
        """Fly from ``line`` on; the controller is idle."""
        assert self._joiner is not None
        # After an interruption, monitors of lines that do not count may still be on
        # their way: ask for the indices instead of believing the last monitor.
        origin = self._joiner.origin(ask=not self._clean)
        with self._lock:
            if flight != self._flight or not self._image_open:
                return
            self._joiner.start(flight, line, origin)
            self._clean = False
            self._armed = True
            self._watchdog.feed(self.line_timeout())
            self._mine = True
            self.go.put(line, wait=False)  # under the lock: no halt may overtake it

    def _disarm(self) -> None:
        self._flight += 1
        self._armed = False
        self._watchdog.rest()

    def _line_arrived(self, flight: int, line: int, parts: Parts | None, when: float) -> None:
        """Callback of the joiner: a line is whole, or (``parts`` None) was lost on the way."""
        with self._lock:
            if flight != self._flight or not self._armed or self._raster is None:
                return
            own = {} if parts is None else parts[self.name]
            _, number, trouble = (0, line, 1) if parts is None else own["info"]
            if int(number) != line or line != self._next:
                raise DeviceError(
                    f"{self.name}: {self.info.pvname} says line {number} where {self._next} is due"
                )
            failed = int(trouble) != 0
            tried = self._tried.get(line, 0)
            again = failed and tried < self._raster.retries
            if again:
                self._tried[line] = tried + 1
                self._disarm()
            else:
                status = LineStatus.RETRIED if tried else LineStatus.OK
                self._hand_out(line, LineStatus.MISSED if failed else status, when, own, parts)
        if again:
            log.warning("%s: line %d was missed, flown again", self.name, line)
            self._fly_from(line, halt=True)

    def _hand_out(
        self, line: int, status: LineStatus, when: float, own: dict[str, Any], parts: Parts | None
    ) -> None:
        assert self._raster is not None and self._record is not None
        counts: dict[str, Any] = {}
        if parts is not None and status is not LineStatus.MISSED:
            counts = {det.field: parts[det.field]["line"] for det in self._record.detectors}
        self._ready.append(self._record.row(line, status, when, self._raster.nx, own, counts))
        self._next += 1
        if self._next < self._raster.ny:
            self._watchdog.feed(self.line_timeout())
        else:
            self._clean = True
            self._disarm()
        self._notify()

    def _state_changed(self, *, value: Any, **_: Any) -> None:
        try:
            if int(value) == ScannerState.ERROR and self._armed:
                text = self.message.get() or "an error without a message"
                raise DeviceError(f"{self.name} ({self.state.pvname}) reports: {text}")
        except Exception as exc:
            self._fail_image(exc)

    def _fail_image(self, error: BaseException) -> None:
        """End the open image with an error; without effect when none is open."""
        with self._lock:
            if not self._image_open or self._error is not None:
                return
            if not isinstance(error, DeviceError):
                error = DeviceError(f"{self.name}, line {self._next}: {error!r}")
            self._error = error
            self._disarm()
            self._notify()

    def _notify(self) -> None:
        """Finish the waiting status if there is anything to tell."""
        waiter = self._waiter
        if waiter is None or waiter.done:
            return
        if self._ready or (self._raster is not None and self._next >= self._raster.ny):
            waiter.set_finished()
        elif self._error is not None:
            waiter.set_exception(self._error)

    def _late(self) -> None:
        """Callback of the watchdog: a line should have ended by now."""
        with self._lock:
            if not self._armed or not self._watchdog.late or self._raster is None:
                return
            line = self._next
            retry = self._tried.get(line, 0) < self._raster.retries
            self._tried[line] = self._tried.get(line, 0) + 1
            text = (
                f"{self.name}: line {line} did not end within {self.line_timeout():.3g} s "
                f"(its live time is {self._raster.line_time:.3g} s); "
                f"no new value of {self.index.pvname}"
            )
            self._disarm()
        if retry:
            log.warning("%s; flown again", text)
            self._fly_from(line, halt=True)
            return
        self._fail_image(DeviceError(text))
        logged(log, self.name, lambda: put_now(self.abort, 1))
