"""Photon counting: Poisson statistics and dead time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import finite

__all__ = ["CountingDetector"]


@dataclass(frozen=True)
class CountingDetector:
    """A pulse counter that is blind for a fixed time after each count (non-paralysable).

    Parameters
    ----------
    dead_time_s : float
        s per count; 0: none.
    saturation : float
        Count rate above which the counter is not to be trusted (counts/s); 0: unknown.

    Raises
    ------
    ValueError
        A value is NaN or negative.
    """

    dead_time_s: float = 5e-9
    saturation: float = 4e7

    def __post_init__(self) -> None:
        finite("detector.dead_time", self.dead_time_s, "s", 0, 1e-3)
        finite("detector.saturation", self.saturation, "counts/s", 0, 1e12)

    def count(
        self, expected: ArrayLike, dwell_s: float, rng: np.random.Generator
    ) -> NDArray[np.float64]:
        """Counts in a dwell.

        Parameters
        ----------
        expected : array_like
            Photons expected in the dwell, at the detector.
        dwell_s : float
            s.
        rng : numpy.random.Generator

        Returns
        -------
        ndarray of float
            Whole numbers.

        Notes
        -----
        n ~ Poisson(expected); each is kept with probability 1/(1 + n τ/T). The mean is the
        non-paralysable n/(1 + n τ/T); the variance is within 0.5 % of that of renewal
        theory, N/(1 + x)^3, while x = n τ/T is at most 0.05.
        """
        arrived = rng.poisson(np.asarray(expected, dtype=float))
        if self.dead_time_s == 0:
            return arrived.astype(float)
        lost = arrived * (self.dead_time_s / dwell_s)
        return rng.binomial(arrived, 1 / (1 + lost)).astype(float)
