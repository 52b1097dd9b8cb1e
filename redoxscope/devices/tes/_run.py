"""A run of the TES, and what the parts of the TES ask of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...analysis.tes import Calibration
from ...documents import Bins
from ...formats import PhotonAsset
from ._acquisition import Acquisition

__all__ = ["Run", "Whole"]


@dataclass(frozen=True)
class Run:
    """What belongs to one run, from stage to unstage."""

    acquisition: Acquisition
    asset: PhotonAsset
    path: Path
    bins: Bins
    windows: dict[str, slice]


class Whole(Protocol):
    """The device as its parts see it, see `TES`."""

    name: str
    run: Run | None
    shutter: Any
    i0: Any
    ring: Any
    holder: Any
    outage: Any

    @property
    def where(self) -> str: ...

    @property
    def source(self) -> str: ...

    @property
    def counters(self) -> tuple[Any, ...]: ...

    @property
    def pixels(self) -> NDArray[np.int32]: ...

    @property
    def calibration(self) -> Calibration | None: ...

    def set_calibration(self, calibration: Calibration | None) -> None: ...

    def patience(self, seconds: float) -> float: ...

    def staged_run(self, what: str) -> Run: ...
