"""The raster scanner: flies lines, judges what was counted, hands out whole lines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bluesky.utils import NoReplayAllowed
from ophyd import Component as Cpt
from ophyd import Device, Signal
from ophyd.status import Status

from ...scan import Raster
from .._asked import Asked
from .._base import done, logged
from .._counter import LineCounter
from .._line_source import LineSource, ScannerState
from .._numbers import zero_or_more
from .._owner import BeamlineBusyError
from .._setting import Setting
from .._shutter import ScanShutter
from .._times import FrameTime
from ._flight import Flight
from ._record import LineRecord
from ._stamped import StampedLines

__all__ = ["RasterScanner", "flown_by"]

log = logging.getLogger("redoxscope.scanner")


class RasterScanner(Device):
    """Scanner that flies the lines of an image and hands out each when it is done.

    It is composed: ``source`` flies lines (a `LineSource`: one for each kind of controller, see
    `flown_by`), `Flight` sees to it that all is as asked for and keeps the lines, `Judge` rules
    on each, `LineRecord` makes it a row.

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
    """

    source = Cpt(StampedLines, "", kind="normal", doc="what flies the lines")
    margin = Cpt(
        Setting, value=2.0, check=zero_or_more, unit="s", kind="config",
        doc="a line may be late by so much beyond what its source allows",
    )  # fmt: skip
    outage = Cpt(
        Setting, value=60.0, check=zero_or_more, unit="s", kind="config",
        doc="without an answer an image survives so long",
    )  # fmt: skip
    beam_patience = Cpt(
        Setting, value=60.0, check=zero_or_more, unit="s", kind="config",
        doc="time to try for beam, line by line",
    )  # fmt: skip
    position_tolerance = Cpt(
        Setting, value=0.2, check=zero_or_more, unit="um", kind="config",
        doc="a line may be off by so much, beyond half a pixel",
    )  # fmt: skip

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        if not isinstance(self.source, LineSource):
            raise TypeError(f"{name}: {type(self.source).__name__} is no LineSource")
        self._flight = Flight(name, self.source, self)
        self._record: LineRecord | None = None
        self._shutter: ScanShutter | None = None
        self._asked: Asked | None = None
        self._guard: Callable[[Raster], None] | None = None

    def attach(
        self,
        detectors: Sequence[LineCounter],
        scalars: Mapping[str, Signal],
        shutter: ScanShutter | None = None,
        asked: Asked | None = None,
        axes: tuple[Any, Any] = (None, None),
    ) -> None:
        """Name what is recorded with every line, what lets the beam in, and what must hold.

        Parameters
        ----------
        detectors : sequence of LineCounter
            One array of counts per line each, under the detector's ``field``.
        scalars : mapping of str to Signal
            Monitored signals, one value per line, by data key.
        shutter : ScanShutter, optional
            Made to follow the scanner before every flight (a pause closes it).
        asked : Asked, optional
            What must stay where it was asked to be while lines are flown.
        axes : tuple of Motor
            Fine stage, x and y, for a source that moves them itself.
        """
        if self._record is not None:
            raise RuntimeError(f"{self.name}: detectors are attached already")
        self.source.attach(detectors, axes, self._flight)
        self._record = LineRecord(detectors, scalars, self.source.where())
        self._shutter, self._asked = shutter, asked
        self._flight.attach(self._record, shutter)

    def guard(self, check: Callable[[Raster], None]) -> None:
        """Have ``check(raster)`` refuse a raster by raising; used by the interlock."""
        self._guard = check

    def frame_time(self, nx: int, ny: int, dwell: float) -> FrameTime:
        """Time (s) that the source declares for an image; nothing moves.

        Parameters
        ----------
        nx, ny : int
            Pixels of a line, and lines.
        dwell : float
            Per pixel (s).

        Raises
        ------
        DeviceError
            It says nothing sensible.
        """
        return self.source.frame_time(nx, ny, dwell)

    # -- bluesky's verbs ------------------------------------------------------------------

    def prepare(self, raster: Raster) -> Status:
        """Write the raster's parameters that differ from the present ones, and read them back.

        Where the stage and the optics stand now is where they have to stay.
        """
        if self._record is None:
            raise RuntimeError(f"{self.name}: attach detectors before prepare")
        if self._guard is not None:
            self._guard(raster)
        origin = None if self._asked is None else self._asked.pin(raster)
        return self._flight.prepare(raster, origin)

    def kickoff(self) -> Status:
        """Fly every line of the prepared raster; done when the controller was told to."""
        return self._flight.begin([] if self._asked is None else self._asked.held())

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
        return self._flight.news()

    @property
    def flown(self) -> bool:
        """Whether every line of the image is ready to collect, or was collected."""
        return self._flight.flown

    @property
    def finished(self) -> bool:
        """Whether every line of the image was handed out."""
        return self._flight.finished

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        """One event page with the lines that are ready, in order; none when none is."""
        rows = self._flight.out.rows()
        if rows:
            yield {
                "data": {key: [row[key][0] for row in rows] for key in rows[0]},
                "timestamps": {key: [row[key][1] for row in rows] for key in rows[0]},
            }

    def describe_collect(self) -> dict[str, dict[str, Any]]:
        """Data keys of a line: the document contract, ``docs/reference/documents.md``."""
        return self._flight.describe()

    def complete(self) -> Status:
        """End the image."""
        self._flight.end()
        return done()

    def pause(self) -> None:
        """Halt at once; the line being flown is flown again after ``resume``."""
        if self._flight.pause():
            raise NoReplayAllowed

    def resume(self) -> None:
        """Go on with the first line that was not finished before ``pause``."""
        self._flight.resume()

    def stage(self) -> list[object]:
        """Forget the lines of an earlier run, its beam, and where it sent things.

        Raises
        ------
        BeamlineBusyError
            Somebody else flies.
        """
        self.check_free()
        self._flight.forget()
        if self._asked is not None:
            self._asked.begin()
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
        if self.source.doing(ask=True) != ScannerState.FLYING:
            self._flight.mine = False
        elif not self._flight.mine:
            raise BeamlineBusyError(
                f"{self.name} ({self.source.where()['state']}) flies for somebody else: nothing "
                f"was moved. {self.source.how_to_halt()} halts it all the same"
            )

    def stop(self, *, success: bool = False) -> None:
        """Halt at once. An image that was open has ended, whoever waits for it."""
        self._flight.cancel()
        # What seems idle may just have been started by somebody else: it is left alone, too.
        doing = self.source.doing(ask=False)
        if self._flight.mine or doing == ScannerState.ERROR:
            self.source.halt_now()
        elif doing == ScannerState.FLYING:
            log.warning(
                "%s flies for somebody else; it is not halted. %s halts it",
                self.name,
                self.source.how_to_halt(),
            )

    def unstage(self) -> list[object]:
        """Halt what this client had fly.

        A failure is logged only, for it must not hide what ended the plan.
        """
        if self._flight.mine:
            logged(log, self.name, lambda: self.stop(success=True))
            self._flight.mine = False
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


def flown_by(source: type, **options: Any) -> type[RasterScanner]:
    """Class of a scanner whose lines another source flies.

    Parameters
    ----------
    source : type
        Device class of a `LineSource`.
    **options
        For it, e.g. ``pvs``.

    Examples
    --------
    >>> flown_by(StampedLines, pvs={"Go": "BL:START"})
    <class 'redoxscope.devices.scanner._scanner.RasterScanner'>
    """
    part = Cpt(source, "", kind="normal", doc="what flies the lines", **options)
    return type("RasterScanner", (RasterScanner,), {"source": part, "__module__": __name__})
