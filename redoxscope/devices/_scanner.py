"""The raster scanner: flies lines, joins what the detectors counted, hands out whole lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bluesky.utils import NoReplayAllowed
from ophyd import Signal
from ophyd.status import Status

from ..scan import Raster
from ._asked import Asked
from ._base import DeviceError, done, logged, put_now, settle, typed
from ._counter import LineCounter
from ._judged import JudgedFlight
from ._lines import LineJoiner
from ._owner import BeamlineBusyError
from ._record import LineRecord
from ._scanner_pvs import ScannerState
from ._shutter import Shutter

__all__ = ["RasterScanner", "ScannerState"]

log = logging.getLogger("redoxscope.scanner")


class RasterScanner(JudgedFlight):
    """Scanner that flies the lines of an image by itself and publishes each when it is done.

    As a bluesky flyer: ``prepare`` takes a `Raster`, ``kickoff`` flies all its lines,
    ``trigger`` is done when another line is ready (or fails), ``collect_pages`` hands out the
    lines that are, in order, and ``complete`` ends the image. A line that was missed, lost on
    the way or never ended is flown again from its start before any later line is handed
    out, ``retries`` times; after that it is handed out as missed, all NaN (never ended: the
    status fails). The same for a line during which something was not as asked for: its energy
    and focus are set again, it is flown again, and after that it is handed out as disturbed;
    what only its owner may move back ends the image. A line without beam is tried again for
    ``beam_patience`` seconds. While the controller does not answer, nothing is lost for
    ``outage`` seconds.

    It halts in ``pause``, ``stop`` and ``unstage`` (the RunEngine never calls ``stop`` on a
    flyer), and ``resume`` goes on with the first line not yet handed out. Because it does, it
    tells the RunEngine to replay nothing while an image is being flown.

    PV contract: ``docs/reference/pvs.md``.
    """

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._asked: Asked | None = None
        self._guard: Callable[[Raster], None] | None = None

    def attach(
        self,
        detectors: Sequence[LineCounter],
        scalars: Mapping[str, Signal],
        shutter: Shutter | None = None,
        asked: Asked | None = None,
    ) -> None:
        """Name what is recorded with every line, what lets the beam in, and what must hold.

        Parameters
        ----------
        detectors : sequence of LineCounter
            One array of counts per line each, under the detector's ``field``.
        scalars : mapping of str to Signal
            Monitored signals, one value per line, by data key.
        shutter : Shutter, optional
            Made to follow the scanner before every flight (a pause closes it).
        asked : Asked, optional
            What must stay where it was asked to be while lines are flown.
        """
        if self._joiner is not None:
            raise RuntimeError(f"{self.name}: detectors are attached already")
        self._record = LineRecord(detectors, scalars, x=self.x, y=self.y, info=self.info)
        self._shutter = shutter
        self._asked = asked
        own = {"x": self.x, "y": self.y, "info": self.info}
        sources = {self.name: (self.index, own)}
        for det in detectors:
            sources[det.field] = (det.index, {"line": det.line})
        self._joiner = LineJoiner(sources, self._line_arrived, self._fail_image, self._lost)
        self.state.subscribe(self._state_changed, run=False)
        if shutter is not None:
            shutter.status.subscribe(self._blade_moved, run=False)

    def guard(self, check: Callable[[Raster], None]) -> None:
        """Have ``check(raster)`` refuse a raster by raising; used by the interlock."""
        self._guard = check

    # -- bluesky's verbs ------------------------------------------------------------------

    def prepare(self, raster: Raster) -> Status:
        """Write the raster's parameters that differ from the present ones, and read them back.

        Where the stage and the optics stand now is where they have to stay.
        """
        if self._record is None:
            raise RuntimeError(f"{self.name}: attach detectors before prepare")
        if self._guard is not None:
            self._guard(raster)
        with self._locked():
            self._raster = raster
            self._forget()
            self._beam.begin()
        if self._asked is not None:
            self._origin = self._asked.pin(raster)
        return self._write(raster)

    def kickoff(self) -> Status:
        """Fly every line of the prepared raster; done when the controller was told to."""
        if self._raster is None:
            raise RuntimeError(f"{self.name}: kickoff before prepare")
        held = self._conditions([] if self._asked is None else self._asked.held())
        with self._locked():
            self._forget()
            self._held = held
            self._tried, self._outages = {}, {}
            self._beam.begin_image()
            self._error = None
            self._next = 0
            self._image_open = True
        return self._fly_from(0, halt=False)

    def trigger(self) -> Status:
        """Status that is done when a line is ready to collect, or the image is finished.

        It fails with `DeviceError` when a line never ends, the controller reports an error or
        does not come back, something was moved that only its owner may move back, or, whatever
        happens, when there is no line for far too long. A pause stops the clock.

        Raises
        ------
        DeviceError
            No image is being flown.
        """
        with self._locked():
            if not (self._image_open or self._error or self._has_news()):
                raise DeviceError(f"{self.name}: trigger, but no image is being flown")
            if self._waiter is None or self._waiter.done:
                self._waiter = Status()
            waiter = self._waiter
            if self._image_open:
                self._patience.feed(self._longest_wait())
            self._notify()
        return waiter

    @property
    def flown(self) -> bool:
        """Whether every line of the image is ready to collect, or was collected."""
        with self._locked():
            return self._raster is None or self._next >= self._raster.ny

    @property
    def finished(self) -> bool:
        """Whether every line of the image was handed out."""
        with self._locked():
            return self._raster is None or (self._next >= self._raster.ny and not self._ready)

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        """One event page with the lines that are ready, in order; none when none is."""
        with self._locked():
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
        with self._locked():
            self._close_image()
        return done()

    def pause(self) -> None:
        """Halt at once; the line being flown is flown again after ``resume``."""
        with self._locked():
            flying = self._image_open
            self._disarm()
            self._patience.rest()
            self._watch.rest()
            self._beam.interrupted()
        self._halt_restoring()
        try:
            put_now(self.abort, 1)
        except Exception as exc:  # raised here it would end the plan without its clean-up
            self._fail_image(DeviceError(f"{self.name}: no halt by {self.abort.pvname}: {exc}"))
        if flying:
            raise NoReplayAllowed

    def resume(self) -> None:
        """Go on with the first line that was not finished before ``pause``."""
        with self._locked():
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
                f"{typed(self)}.abort.put(1) halts it all the same"
            )

    def stop(self, *, success: bool = False) -> None:
        """Halt at once. An image that was open has ended, whoever waits for it."""
        with self._locked():
            if self._image_open:
                self._error = self._error or DeviceError(f"{self.name}: was stopped")
            self._close_image()
            waiter = self._waiter
            if waiter is not None:
                self._due.append(lambda: settle(waiter, None))
        self._halt_restoring()
        # What seems idle may just have been started by somebody else: it is left alone, too.
        state = int(self.state.get())
        if self._mine or state == ScannerState.ERROR:
            put_now(self.abort, 1)
        elif state == ScannerState.FLYING:
            log.warning(
                "%s flies for somebody else; it is not halted. %s.abort.put(1) halts it",
                self.name,
                typed(self),
            )

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
        with self._locked():
            self._ready.clear()

    def _close_image(self) -> None:
        self._image_open = False
        self._disarm()
        self._patience.rest()
        self._watch.rest()
