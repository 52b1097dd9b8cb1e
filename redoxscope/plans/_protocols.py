"""What plans need of devices: what they can do, not what class they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from bluesky.protocols import EventPageCollectable, Flyable, Movable, Stageable, Triggerable

from ..contract import Raster, Region

__all__ = ["LineScanner", "Microscope", "Placement", "Stage"]


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

    flown: bool

    def prepare(self, raster: Raster) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...


class Stage(Protocol):
    """Coarse stage."""

    x: Movable[float]
    y: Movable[float]


@runtime_checkable
class Microscope(Stageable, Protocol):
    """Microscope that can fly images at one energy after the other."""

    name: str
    energy: Any
    monochromator: Any
    sample_stage: Any
    scanner: Any
    shutter: Any
    line_detectors: Sequence[Any]

    def check_stack(
        self, energies: Sequence[float], region: Region, dwell: float, *, edge: str | None = None
    ) -> None: ...

    def place(self, region: Region, dwell: float, *, retries: int = 1) -> Placement: ...
