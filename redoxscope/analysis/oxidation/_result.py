"""What a fit says about each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["OxidationResult", "PixelFlag", "AreaSpectrum"]

Array = NDArray[np.float64]
Map = NDArray[np.floating[Any]]


class PixelFlag(IntFlag):
    """Why a pixel should be looked at twice, or shows nothing."""

    NONE = 0
    HIGH_OD = 1
    """Optical density above 2 at some energy: background and harmonics compress it there, which
    fakes a lower white line. Shown, and marked."""
    NON_POSITIVE = 2
    """No counts (or fewer) at some energy: no logarithm, so no value. Never patched."""
    SATURATED = 4
    """The count rate reached the detector's limit at some energy: no value."""
    INCOMPLETE = 8
    """Too few energies, or a pixel lacking one that its line has: no value."""
    MISSED = 16
    """A line was missed at some energy: the value rests on the others."""


@dataclass(frozen=True)
class OxidationResult:
    """Maps of one stack, all [ny, nx] unless said otherwise; NaN where there is no value.

    In the precision of the fit: single where a run is analysed.

    Attributes
    ----------
    fraction : numpy.ndarray
        Fraction of the first species, ``c[0] / sum(c[:species])``, dimensionless; NaN outside
        the mask, where it means nothing. (`coefficients` are there for every pixel fitted.)
    sigma : numpy.ndarray
        Standard deviation of the fraction from counting statistics, I0's included; NaN outside
        the mask.
    thickness, thickness_sigma : numpy.ndarray
        Sum of the species' coefficients, in the unit of the references' reciprocal (µm for
        absorption coefficients in 1/µm, else end-member thicknesses), and its deviation.
    coefficients : numpy.ndarray [K+1, ny, nx]
        One map per column of the design matrix, the constant last.
    chi2 : numpy.ndarray
        Reduced chi-square with counting variances; NaN without degrees of freedom.
    flags : numpy.ndarray of uint8
        Bits of `PixelFlag`.
    mask : numpy.ndarray of bool
        Where the fraction means something.
    n_energies : numpy.ndarray of int [ny]
        Energies that entered each line.
    ln_i0, ln_i0_sigma : numpy.ndarray [nE]
        ln(I0) used (of the ratio to the monitor where there is one) and its deviation.
    blank : numpy.ndarray of bool or None
        The blank area I0 was taken from.
    """

    fraction: Map
    sigma: Map
    thickness: Map
    thickness_sigma: Map
    coefficients: Map
    chi2: Map
    flags: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    n_energies: NDArray[np.intp]
    ln_i0: Array
    ln_i0_sigma: Array
    blank: NDArray[np.bool_] | None

    def __repr__(self) -> str:
        ny, nx = self.fraction.shape
        return f"<OxidationResult of {nx} x {ny} pixels: {self.in_words()}>"

    def in_words(self) -> str:
        """What the mask holds, in one line."""
        if not self.n_mask:
            return "no pixel in the mask"
        return (
            f"fraction {self.mean:.3f} (spread {self.std:.3f}) over {self.n_mask} pixels, "
            f"median σ {self.sigma_median:.3f}"
        )

    @property
    def n_mask(self) -> int:
        """Number of pixels in the mask."""
        return int(self.mask.sum())

    @property
    def mean(self) -> float:
        """Mean fraction over the mask; NaN if it is empty."""
        inside = self.fraction[self.mask]
        return float(inside.mean(dtype=np.float64)) if inside.size else float("nan")

    @property
    def std(self) -> float:
        """Standard deviation of the fraction over the mask; NaN if it is empty."""
        inside = self.fraction[self.mask]
        return float(inside.std(dtype=np.float64)) if inside.size else float("nan")

    @property
    def sigma_median(self) -> float:
        """Median of ``sigma`` over the mask; NaN if it is empty."""
        return float(np.median(self.sigma[self.mask])) if self.n_mask else float("nan")


@dataclass(frozen=True)
class AreaSpectrum:
    """Mean optical density of an area and its fit.

    Attributes
    ----------
    index : numpy.ndarray of int [n]
        Which energies of the stack every line of the area has.
    energies : numpy.ndarray [n]
        The same in eV; NaN where the fit was not told its energies.
    od, sigma, fit : numpy.ndarray [n]
        Mean optical density, its standard deviation (counting and I0), and the fit.
    coefficients : numpy.ndarray [K+1]
        Of the fit.
    fraction, fraction_sigma : float
        Fraction of the first species in the area.
    chi2 : float
        Reduced chi-square; NaN without degrees of freedom.
    n_pixels : int
        Pixels averaged.
    """

    index: NDArray[np.intp]
    energies: Array
    od: Array
    sigma: Array
    fit: Array
    coefficients: Array
    fraction: float
    fraction_sigma: float
    chi2: float
    n_pixels: int

    def __repr__(self) -> str:
        return (
            f"<AreaSpectrum of {self.n_pixels} pixels at {len(self.index)} energies: fraction "
            f"{self.fraction:.3f}, σ {self.fraction_sigma:.3f}, reduced χ² {self.chi2:.3g}>"
        )
