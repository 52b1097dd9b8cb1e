"""Emission of a sample on a fixed energy grid, and what a detector's resolution makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtr

from ....documents import Bins

__all__ = [
    "ARRAY_PIXELS",
    "FWHM",
    "GRID",
    "Emission",
    "add_peak",
    "broadened",
    "piled_up",
    "rebinned",
]

Array = NDArray[np.float64]

GRID = Bins(200.0, 1300.0, 0.1)
"""Cells in which emission is given (eV); photons outside are not seen."""

ARRAY_PIXELS = 240
"""Pixels of the array whose counting rate an emission states."""

FWHM = 2 * float(np.sqrt(2 * np.log(2)))
"""Full width at half maximum of a Gaussian over its standard deviation."""


@dataclass(frozen=True, eq=False)
class Emission:
    """Photons that reach an array of `ARRAY_PIXELS` ideal pixels, by energy.

    Attributes
    ----------
    rate : numpy.ndarray of float64 [m]
        Photons/s at relative flux 1 in each cell of `GRID`; within a cell they are spread
        evenly.
    excitation_ev : float
        Energy of the light on the sample (eV).
    """

    rate: Array
    excitation_ev: float = float("nan")

    @property
    def energies(self) -> Array:
        """Middles of the cells (eV), [m]."""
        return GRID.centers

    @cached_property
    def total(self) -> float:
        """Photons/s at relative flux 1."""
        return float(self.rate.sum())

    @cached_property
    def cumulative(self) -> Array:
        """Share of the photons below the upper edge of each cell, [m]."""
        return np.asarray(np.cumsum(self.rate) / max(self.total, 1e-300))

    def draw(self, count: int, rng: np.random.Generator) -> Array:
        """Energies of photons (eV), [count], before any resolution."""
        cell = np.searchsorted(self.cumulative, rng.random(count), side="right")
        np.minimum(cell, len(self.rate) - 1, out=cell)
        return np.asarray(GRID.low + GRID.step * (cell + rng.random(count)))


def add_peak(rate: Array, centre: float, sigma: float, area: float) -> None:
    """Add a Gaussian of an area to cells of `GRID`, in place; exact integrals over each cell."""
    if area == 0:
        return
    first = max(int((centre - 8 * sigma - GRID.low) / GRID.step) - 1, 0)
    last = min(int((centre + 8 * sigma - GRID.low) / GRID.step) + 2, len(rate))
    if last <= first:
        return
    edges = GRID.low + GRID.step * np.arange(first, last + 1)
    rate[first:last] += area * np.diff(ndtr((edges - centre) / sigma))


def _second_difference(integral: Array) -> Array:
    return np.asarray(np.diff(integral, 2) / GRID.step)


def _gauss_kernel(sigma: float) -> Array:
    reach = int(np.ceil(8 * sigma / GRID.step)) + 1
    u = GRID.step * np.arange(-reach - 1, reach + 2)
    density = np.exp(-0.5 * (u / sigma) ** 2) / np.sqrt(2 * np.pi)
    kernel = _second_difference(u * ndtr(u / sigma) + sigma * density)
    return kernel / kernel.sum()


def _tail_kernel(tail_ev: float) -> Array:
    reach = int(np.ceil(30 * tail_ev / GRID.step)) + 1
    u = GRID.step * np.arange(-reach - 1, reach + 2)
    integral = np.where(u < 0, tail_ev * np.exp(np.minimum(u, 0) / tail_ev), u + tail_ev)
    kernel = _second_difference(integral)
    return kernel / kernel.sum()


def broadened(
    rate: Array, fwhm_ev: float, tail_fraction: float = 0.0, tail_ev: float = 4.0
) -> Array:
    """Rates as a detector sees them, on the same cells.

    Parameters
    ----------
    rate : numpy.ndarray of float64 [..., m]
        Per cell of `GRID`.
    fwhm_ev : float
        Width of the detector's Gaussian (eV); 0: none.
    tail_fraction, tail_ev : float
        Share of the photons that lose an exponentially distributed energy, and its mean (eV).

    Notes
    -----
    The kernels are integrals over source and target cell, so the result is exact for photons
    spread evenly in each cell, as `Emission.draw` spreads them.
    """
    out = np.asarray(rate, float)

    def convolved(kernel: Array) -> Array:
        size = next_fast_len(out.shape[-1] + len(kernel) - 1, real=True)
        whole = irfft(rfft(out, size) * rfft(kernel, size), size)
        half = len(kernel) // 2
        return np.asarray(whole[..., half : half + out.shape[-1]])

    if tail_fraction > 0:
        out = (1 - tail_fraction) * out + tail_fraction * convolved(_tail_kernel(tail_ev))
    if fwhm_ev > 0:
        out = convolved(_gauss_kernel(fwhm_ev / FWHM))
    return np.maximum(out, 0.0)  # the transform leaves -1e-17 where there is nothing


def rebinned(rate: Array, bins: Bins) -> Array:
    """Rates in other bins, [..., len(bins)]; what falls outside of them is left out."""
    flat = rate.reshape(-1, rate.shape[-1])
    total = np.concatenate([np.zeros((len(flat), 1)), np.cumsum(flat, axis=1)], axis=1)
    at = np.stack([np.interp(bins.edges, GRID.edges, row) for row in total])
    return np.asarray(np.diff(at, axis=1)).reshape(*rate.shape[:-1], len(bins))


def piled_up(rate: Array, gains: Array, compression: float) -> Array:
    """Rates if to each pulse another one is added, weakened by one of `gains`.

    Parameters
    ----------
    rate : numpy.ndarray of float64 [m]
        Per cell of `GRID`.
    gains : numpy.ndarray [k]
        Equally likely factors on the height of the pulse added; may be negative.
    compression : float
        1/eV; pulses are as high as ``E / (1 + compression * E)``.
    """
    size = round(GRID.high / GRID.step)
    heights: Array = GRID.step * np.arange(size + 1, dtype=np.float64)
    at: Array = GRID.edges / (1 + compression * GRID.edges)

    def moved(values: Array, source: Array, target: Array) -> Array:
        total = np.concatenate([[0.0], np.cumsum(values)])
        return np.asarray(np.diff(np.interp(target, source, total)))

    single = moved(rate, at, heights)
    share = single / max(float(single.sum()), 1e-300) / len(gains)
    used = np.flatnonzero(share > 1e-9)
    cells = np.rint(gains[:, None] * (used + 0.5)).astype(int)
    added = np.bincount((cells + size).ravel(), np.tile(share[used], len(gains)), 2 * size + 1)
    length = next_fast_len(size + len(added), real=True)
    both = irfft(rfft(single, length) * rfft(added, length), length)[size : 2 * size]
    return moved(np.maximum(both, 0.0), heights, at)
