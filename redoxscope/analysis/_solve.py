"""From sums to maps: coefficients, fraction, and what counting statistics say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._result import PixelFlag

__all__ = ["MAX_CONDITION", "Solver", "scaled_condition"]

Array = NDArray[np.float64]
MAX_CONDITION = 1e3
"""Condition number, columns scaled to one, beyond which references count as collinear: noise of
0.1 % in the optical density is then of the order of the coefficients themselves."""
HIGH_OD = 2.0
"""Optical density above which a pixel is flagged."""


def scaled_condition(design: Array) -> float:
    """Condition number of the design matrix with columns scaled to unit length."""
    norm = np.linalg.norm(design, axis=0)
    if len(design) < design.shape[1] or not (norm > 0).all():
        return float("inf")
    return float(np.linalg.cond(design / norm))


@dataclass(frozen=True)
class Solver:
    """Least squares for all pixels that share a set of energies.

    An energy's weight goes with its dwell and is the same for all pixels: ``c = G^-1 A^T W y``
    with ``G = A^T W A``. This is within 1 % of the Cramér-Rao bound for optical densities up to
    1, and 15 % at 2.5. Its covariance is the sandwich ``G^-1 A^T W V W A G^-1`` with the pixel's
    own counting variances V on the diagonal, which is right whatever the weights. I0's variance,
    shared by all pixels, adds to V.

    Attributes
    ----------
    design : numpy.ndarray [n, K+1]
        Rows of the design matrix for the energies present.
    species : int
        Leading columns that are species.
    i0_variance : numpy.ndarray [n]
        Variance of ln I0 at these energies.
    weight : numpy.ndarray [n]
        Of each energy.
    """

    design: Array
    species: int
    i0_variance: Array
    weight: Array

    @property
    def rows(self) -> Array:
        """Rows of the design matrix, each times its weight: ``W A``."""
        return self.design * self.weight[:, None]

    @property
    def solvable(self) -> bool:
        """Whether the energies determine the coefficients."""
        return scaled_condition(self.design) < MAX_CONDITION

    def maps(
        self, rhs: Array, od: Array, variance: Array, bad: NDArray[np.bool_]
    ) -> dict[str, NDArray]:
        """Maps of a block of P pixels.

        Parameters
        ----------
        rhs : numpy.ndarray [K+1, P]
            ``A^T W y``.
        od, variance : numpy.ndarray [n, P]
            Optical density and its counting variance, without I0's; finite in good pixels.
        bad : numpy.ndarray of bool [P]
            Pixels without a value.

        Returns
        -------
        dict
            ``fraction, sigma, thickness, thickness_sigma, chi2`` [P], ``coefficients``
            [K+1, P], and ``high`` [P], the highest optical density.
        """
        design, k = self.design, self.species
        rows = self.rows
        weights = np.linalg.solve(rows.T @ design, rows.T)  # G^-1 A^T W
        c = np.linalg.solve(rows.T @ design, rhs)
        c[:, bad] = np.nan
        total = c[:k].sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            fraction = c[0] / total
            gradient = np.where(np.arange(k)[:, None] == 0, 1.0 - fraction, -fraction) / total
        w = weights[:k]
        first, second = np.triu_indices(k)
        products = (w[first] * w[second]).astype(variance.dtype)
        with np.errstate(invalid="ignore"):
            covariance = (products @ variance).astype(np.float64)
        covariance += ((w[first] * w[second]) @ self.i0_variance)[:, None]
        double = np.where(first == second, 1.0, 2.0)[:, None]
        chi2 = self._chi2(c, od, variance)
        with np.errstate(invalid="ignore"):
            of_fraction = (double * gradient[first] * gradient[second] * covariance).sum(axis=0)
            of_total = (double * covariance).sum(axis=0)
            sigma, total_sigma = np.sqrt(of_fraction), np.sqrt(of_total)
            high = od.max(axis=0)
        total_sigma[bad] = high[bad] = np.nan
        return {
            "fraction": fraction,
            "sigma": sigma,
            "thickness": total,
            "thickness_sigma": total_sigma,
            "coefficients": c,
            "chi2": chi2,
            "high": high,
        }

    def _chi2(self, c: NDArray, od: NDArray, variance: NDArray) -> Array:
        freedom = self.design.shape[0] - self.design.shape[1]
        if freedom <= 0:
            return np.full(od.shape[1], np.nan)
        with np.errstate(invalid="ignore"):
            residual = od - self.design.astype(od.dtype) @ c.astype(od.dtype)
            residual *= residual
            residual /= variance
            return residual.sum(axis=0, dtype=np.float64) / freedom


def flags_of(
    counts: tuple[NDArray, NDArray | None], limits: Sequence[tuple[NDArray, NDArray] | None]
) -> NDArray[np.uint8]:
    """Flags that the counts [n, P] of a block give its P pixels.

    Of the transmission, and of the monitor where there is one; each with limits [n, 1]: counts
    that are none, and counts from which on the detector is saturated.
    """
    flags = np.zeros(counts[0].shape[1], dtype=np.uint8)
    for values, limit in zip(counts, limits, strict=True):
        if values is None or limit is None:
            continue
        least, most = limit
        flags[(values <= least).any(axis=0)] |= np.uint8(PixelFlag.NON_POSITIVE)
        flags[np.isnan(values).any(axis=0)] |= np.uint8(PixelFlag.INCOMPLETE)
        flags[(values >= most).any(axis=0)] |= np.uint8(PixelFlag.SATURATED)
    return flags
