"""Photons of one pixel on their way through the calibration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from ...photons import Photons
from ._refine import Fit

__all__ = ["PixelPhotons"]

OUTLIER = 8.0
"""Records whose pretrigger mean lies so many robust standard deviations out are left out: pulses
on the tail of another, or a jump of the readout."""
NEIGHBOURS = 15
"""Photons over which the pretrigger mean is averaged where the drift is looked for: the noise of
one record would make the slope look smaller than it is."""
MOST = 20_000
"""Photons of a pixel that are used, evenly chosen: the lines are then known to 0.02 eV."""


@dataclass
class PixelPhotons:
    """Photons of one pixel.

    Attributes
    ----------
    channel : int
    total : int
        Photons, the unsuitable ones included.
    filtered, pretrigger : numpy.ndarray [n]
        Pulse height, and pretrigger mean less `reference` (arbitrary units), in order of time.
    level : numpy.ndarray [n]
        Pretrigger mean averaged over neighbours in time.
    time_ns : numpy.ndarray of int64 [n]
    reference : float
    problem : str or None
        Why nothing can be done with the pixel.
    slope : float
        Relative change of the gain per unit of pretrigger mean.
    height : numpy.ndarray [n]
        Pulse heights, corrected for drift.
    fit : Fit or None
    """

    channel: int
    total: int
    filtered: NDArray[np.float64]
    pretrigger: NDArray[np.float64]
    level: NDArray[np.float64]
    time_ns: NDArray[np.int64]
    reference: float
    problem: str | None
    slope: float
    height: NDArray[np.float64]
    fit: Fit | None = None

    @classmethod
    def of(cls, channel: int, photons: Photons, least: int) -> PixelPhotons:
        """The usable photons of a channel; `problem` where they are fewer than `least`."""
        mine = photons[photons.pixel == channel]
        mine = mine[np.argsort(mine.time_ns, kind="stable")]
        f = mine.filtered.astype(float)
        p = mine.pretrigger.astype(float)
        good = np.isfinite(f) & np.isfinite(p) & (f > 0)
        reference = 0.0
        if good.any():
            reference = float(np.median(p[good]))
            spread = 1.4826 * float(np.median(np.abs(p[good] - reference)))
            good &= np.abs(p - reference) <= OUTLIER * max(spread, 1e-6 * abs(reference))
            # Noise triggers: far below anything that is a line.
            good &= f > 0.03 * float(np.quantile(f[good], 0.95)) if good.any() else good
        n = int(good.sum())
        if n > MOST:
            keep = np.flatnonzero(good)[np.linspace(0, n - 1, MOST).astype(int)]
            good = np.isin(np.arange(len(good)), keep)
        problem = None
        if not len(mine):
            problem = "no photons"
        elif n < least:
            problem = f"only {n} usable photons of {len(mine)}; at least {least} are needed"
        away = p[good] - reference
        return cls(
            channel=channel,
            total=len(mine),
            filtered=f[good],
            pretrigger=away,
            level=uniform_filter1d(away, NEIGHBOURS, mode="nearest") if n else away,
            time_ns=mine.time_ns[good],
            reference=reference,
            problem=problem,
            slope=0.0,
            height=f[good],
        )

    def drift(self, slope: float) -> None:
        """Set the drift slope and correct the pulse heights with it."""
        self.slope = slope
        self.height = self.filtered * (1 + slope * self.pretrigger)
