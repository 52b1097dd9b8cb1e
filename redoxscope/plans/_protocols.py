"""What plans need of devices: what they can do, not what class they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import EventPageCollectable, Flyable, Movable, Stageable, Triggerable

from ..scan import Block, Exposures, Raster, Region, Scan

__all__ = [
    "AbsorptionStation",
    "AlignableMicroscope",
    "EnergyAxis",
    "Heater",
    "LineScanner",
    "Microscope",
    "Placement",
    "PtychographyStation",
    "Spectrometer",
]


class Placement(Protocol):
    """Coarse targets (µm; None: stay) and the raster in fine coordinates."""

    coarse_x: float | None
    coarse_y: float | None
    raster: Raster


@runtime_checkable
class LineScanner(Flyable, Triggerable, EventPageCollectable, Protocol):
    """Flyer that has a status for "another line is ready".

    ``flown``: every line of the image is ready or was collected.
    """

    name: str
    flown: bool

    def prepare(self, raster: Raster) -> Any: ...

    def read_configuration(self) -> Any: ...

    def describe_configuration(self) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...


@runtime_checkable
class Microscope(Stageable, Protocol):
    """Microscope that can fly images at one energy after the other.

    ``fixed_parts`` do not move while an image is flown; what they say is written into the
    descriptor of the lines. ``check_scan`` raises the first of what ``checks`` raise one by one.
    """

    name: str
    energy: Any
    monochromator: Any
    sample_stage: Any
    scanner: Any
    shutter: Any
    line_detectors: Sequence[Any]
    fixed_parts: Sequence[Any]

    def check_scan(self, scan: Scan) -> None: ...

    def checks(self, scan: Scan) -> Iterable[Callable[[], Any]]: ...

    def place(
        self,
        region: Region,
        dwell: float,
        *,
        retries: int = 1,
        at: tuple[float, float] | None = None,
    ) -> Placement: ...

    def back_after(self, error: BaseException) -> Any: ...


@runtime_checkable
class AlignableMicroscope(Microscope, Protocol):
    """Microscope whose optics can be scanned: zone plate along the beam, aperture across it.

    ``focus`` is the zone plate as an axis (µm), whose ``nominal(energy)`` says where the sample is
    in focus at an energy (eV), and ``nominal_on_aperture(energy)`` where the aperture is. ``osa``
    has axes ``x`` and ``y`` (µm). Each of ``line_detectors`` counts a point, too, when it is
    triggered, for its ``dwell``.
    """

    focus: Any
    osa: Any
    ring: Any


class EnergyAxis(Movable[float], Protocol):
    """Photon energy (eV), true to an offset that belongs to an edge; arrives within tolerance."""

    tolerance: float
    edge: Any

    def offset_at(self, edge: str | None) -> float: ...

    def check_value(self, energy: float, *, offset: float | None = None) -> None: ...

    def back_after(self, error: BaseException) -> Any: ...


@runtime_checkable
class Heater(Movable[float], Protocol):
    """Heating stage (degC): ``set`` is done when the temperature is reached and changes no more.

    ``rate`` (degC/min) is of the next ramp. ``soaking`` is set to a time in band (s); ``soaked``
    says what that was. ``make_safe`` returns at once a status, done when the output is off, whose
    ``ordered`` is a status too: done when the controller has taken the order.
    ``clock.now()`` is the beamline's time (s).
    """

    name: str
    position: float
    limits: tuple[float, float]
    temperature: Any
    setpoint: Any
    output: Any
    rate: Any
    tolerance: Any
    settle_s: Any
    clock: Any
    soaking: Any
    soaked: Any
    in_band: bool
    safe_temperature: float

    def check_value(self, temperature: float) -> None: ...

    def check_rate(self, rate: float) -> float: ...

    def time_to(
        self, target: float, start: float | None = None, rate: float | None = None
    ) -> float: ...

    def soak(self, seconds: float, timeout: float | None = None) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...

    def make_safe(self, *, success: bool = False) -> Any: ...

    def back_after(self, error: BaseException) -> Any: ...


class Spectrometer(Stageable, Triggerable, Protocol):
    """Energy-dispersive detector whose points are windows in photon time.

    ``counters``: detectors that count beside it, e.g. the beam monitor. ``shutter``, ``ring`` and
    ``holder`` may be None. ``conditions`` watches during a point what others could change.
    """

    name: str
    dwell: Any
    windows: Any
    pixel_limit: Any
    calibrating: Any
    photons: Any
    totals: Any
    calibrator: Any
    conditions: Any
    shutter: Any
    ring: Any
    holder: Any
    counters: Sequence[Any]

    def check_scan(
        self, *, dwell: float, windows: Sequence[str], pixels: int, calibrating: bool
    ) -> None: ...

    def back_after(self, error: BaseException) -> Any: ...


class AbsorptionStation(Stageable, Protocol):
    """What measures absorption spectra at points: an energy, and channels that count.

    ``dwells``: what sets the time (s) of a point, for each detector; ``counters``: those with a
    ``point_time``; ``darkened``: settings that
    are True while a point is measured without light; ``parts``: what is read into an event;
    ``modes``: `redoxscope.documents.XasMode` by name; ``flown_modes``: those of lines, which
    ``sweep`` flies and ``flown`` reads point by point. ``shutter``, ``ring``, ``holder`` and
    ``sweep`` may be None. ``conditions`` watches during a point what others could change.
    """

    name: str
    mono: Any
    detectors: Sequence[Any]
    dwells: Sequence[Any]
    counters: Sequence[Any]
    darkened: Sequence[Any]
    parts: Sequence[Any]
    modes: Any
    flown_modes: Any
    flown: Any
    sweep: Any
    conditions: Any
    shutter: Any
    ring: Any
    holder: Any

    def check_scan(self, *, dwell: float) -> None: ...

    def point_time(self, dwell: float) -> float: ...

    def stop(self, *, success: bool = False) -> None: ...

    def back_after(self, error: BaseException) -> Any: ...


class PtychographyStation(Stageable, Triggerable, Protocol):
    """What takes blocks of frames along a path: camera, path controller, stages, shutter.

    ``prepare`` is given a `redoxscope.scan.Block`; the status of ``trigger`` is done when its
    frames were judged, whatever came of them. ``taken`` is what came: ``block``, ``good``,
    ``reasons`` and the ``status`` of each frame; None from ``prepare`` on, and where a pause broke
    the block off, which ends its status well. ``block_frames`` is set to the length of the arrays
    that ``read`` gives; ``parts`` are what else is read into an event. ``block_places``: most
    places of a block of such exposure times (s); ``block_time``: how long a block takes (s);
    ``place``: where the coarse stage goes for a part of a scan (x, y in µm, None: it stays);
    ``info``: the fields of `redoxscope.documents.PtychoInfo`.
    """

    name: str
    energy: Any
    monochromator: Any
    sample_stage: Any
    shutter: Any
    parts: Sequence[Any]
    images: Any
    taken: Any
    block_frames: Any

    def prepare(self, block: Block) -> Any: ...

    def checks(self, scan: Scan) -> Iterable[Callable[[], Any]]: ...

    def block_places(self, times: Sequence[float]) -> int: ...

    def block_time(self, block: Block) -> float: ...

    def place(
        self, part: Exposures, *, at: tuple[float, float] | None = None
    ) -> tuple[float | None, float | None]: ...

    def info(self, energies: Sequence[float]) -> Mapping[str, Any]: ...

    def stop(self, *, success: bool = False) -> None: ...

    def back_after(self, error: BaseException) -> Any: ...
