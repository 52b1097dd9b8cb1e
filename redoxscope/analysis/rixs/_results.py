"""What comes out of RIXS counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redoxscope.documents import Bins, Window

__all__ = ["EmissionSpectrum", "RixsMapResult", "Yield"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RixsMapResult:
    """Excitation x emission map; arrays [nE, nb], NaN where there is no value.

    Attributes
    ----------
    energies : numpy.ndarray [nE]
        Excitation energies (eV).
    bins : Bins
        Emission energies.
    rate, sigma : numpy.ndarray
        Photons per second in each bin at the mean flux of the run, and the standard deviation
        from counting (the monitor's included). A bin without counts has the sigma of one count.
    counts : numpy.ndarray of int
        Photons the rate was made of.
    coverage : numpy.ndarray
        Part of the chosen passes that has the cell, 0 to 1.
    """

    energies: Array
    bins: Bins
    rate: Array
    sigma: Array
    counts: NDArray[np.int64]
    coverage: Array

    def __repr__(self) -> str:
        n_e, n_b = self.rate.shape
        return f"<RixsMapResult {n_e} energies x {n_b} bins, {self.counts.sum()} photons>"


@dataclass(frozen=True)
class Yield:
    """A fluorescence yield over the excitation energy; arrays [nE], NaN where there is no value.

    Attributes
    ----------
    window : Window
        As it was taken: limits on edges of bins.
    energies : numpy.ndarray
        Excitation energies (eV).
    value, sigma : numpy.ndarray
        Photons per second at the mean flux of the run and its standard deviation; seconds per
        photon for iPFY.
    counts : numpy.ndarray of int
        Photons in the window.
    coverage : numpy.ndarray
        Part of the window and of the chosen passes that the value rests on, 0 to 1: below 1
        where the elastic line was masked or a pass lacks the point.
    refused : numpy.ndarray of bool
        Measured, but no value is given.
    reason : str
        Why, for those refused; empty where there is none.
    """

    window: Window
    energies: Array
    value: Array
    sigma: Array
    counts: NDArray[np.int64]
    coverage: Array
    refused: NDArray[np.bool_]
    reason: str = ""

    def __repr__(self) -> str:
        return f"<Yield {self.window}: {len(self.energies)} energies, {self.counts.sum()} photons>"


@dataclass(frozen=True)
class EmissionSpectrum:
    """An emission spectrum at some excitation energies; arrays [nb], NaN where there is no value.

    Attributes
    ----------
    window : Window
        Range of the excitation energy.
    bins : Bins
        Emission energies.
    excitations : numpy.ndarray [n]
        Excitation energies in the range (eV), whether measured or not.
    value, sigma : numpy.ndarray
        Photons per second in each bin at the mean flux of the run, averaged over the range, and
        the standard deviation. A bin without counts has the sigma of one count.
    counts : numpy.ndarray of int
    coverage : numpy.ndarray
        Part of the points in the range that the bin rests on, 0 to 1.
    """

    window: Window
    bins: Bins
    excitations: Array
    value: Array
    sigma: Array
    counts: NDArray[np.int64]
    coverage: Array

    def __repr__(self) -> str:
        return (
            f"<EmissionSpectrum {self.window}: {len(self.excitations)} excitations, "
            f"{self.counts.sum()} photons>"
        )
