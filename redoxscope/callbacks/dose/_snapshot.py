"""What a run has left in one region, at one moment."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

__all__ = ["DoseSnapshot"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DoseSnapshot:
    """Photons and dose of the pixels of one region, never changed once published.

    Attributes
    ----------
    uid : str
        Run.
    part : str
        The region's name where the run has several, else empty.
    region : str
    x, y : numpy.ndarray [nx], [ny]
        Middles of the pixels (µm), as asked for.
    photons : numpy.ndarray [ny, nx]
        On each pixel so far, all its images together.
    gray : numpy.ndarray [ny, nx]
        Absorbed per mass (Gy), by the phase that absorbs most; NaN where it is not known.
    before, limit : float
        What the place had before the run, and may have (Gy); NaN without a limit.
    title, message : str
    pixel : (float, float), optional
        Width and height of a pixel (µm), where a single column or row does not tell.
    """

    uid: str
    part: str
    region: str
    x: Array
    y: Array
    photons: Array
    gray: Array
    before: float = math.nan
    limit: float = math.nan
    title: str = ""
    message: str = ""
    pixel: tuple[float, float] | None = None

    def __repr__(self) -> str:
        return f"<DoseSnapshot {self.title}: at most {self.most:.3g} Gy in this run>"

    @property
    def most(self) -> float:
        """Dose of the pixel that has most in this run (Gy); NaN where none is known."""
        return float(np.nanmax(self.gray)) if np.isfinite(self.gray).any() else math.nan

    def thinned(self, most: int = 512) -> DoseSnapshot:
        """Return a copy for a screen: every n-th pixel, at most ``most`` a side."""
        step = max(1, -(-max(self.gray.shape) // most))
        return replace(
            self, x=self.x[::step], y=self.y[::step], photons=self.photons[::step, ::step],
            gray=self.gray[::step, ::step],
        )  # fmt: skip
