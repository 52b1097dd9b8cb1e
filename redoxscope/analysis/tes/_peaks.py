"""Peaks in the pulse heights of one pixel: where they are, how many photons, how wide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

__all__ = ["Peaks", "find_pulse_peaks", "modes", "width_at_half"]

RELATIVE_KERNEL = 0.0017
"""Smoothing (standard deviation) before peaks are looked for, over the highest pulse height."""
MIN_SIGNIFICANCE = 3.5
MAX_PEAKS = 16
OVERSTEP = 1.5
"""Mean shift goes half of the way to a maximum as wide as the kernel, and all of it to a sharp
one: this makes both fast."""


@dataclass(frozen=True)
class Peaks:
    """Peaks of one pixel, pulse heights rising.

    Attributes
    ----------
    height : numpy.ndarray [n]
        Pulse heights (arbitrary units).
    counts : numpy.ndarray [n]
        Photons that stand out of what is around.
    """

    height: NDArray[np.float64]
    counts: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.height)


def find_pulse_peaks(heights: NDArray[np.float64], most: int = MAX_PEAKS) -> Peaks:
    """Peaks of a distribution of pulse heights, the most significant ones.

    Parameters
    ----------
    heights : numpy.ndarray [n]
        Pulse heights (arbitrary units).
    most : int
        At most so many peaks.
    """
    h = heights[heights > 0]
    if len(h) < 20:
        return Peaks(np.empty(0), np.empty(0))
    top = float(np.quantile(h, 0.995)) * 1.1
    kernel = RELATIVE_KERNEL * top
    step = kernel / 3
    counts = np.bincount((h[h < top] / step).astype(int), minlength=round(top / step) + 1)
    # The density in photons per kernel area: its variance is itself, up to a factor.
    scale = 2 * np.sqrt(np.pi) * kernel / step
    density = gaussian_filter1d(counts.astype(float), kernel / step, mode="constant") * scale
    found, info = find_peaks(density, prominence=1.0)
    prominence = info["prominences"]
    significance = prominence / np.sqrt(np.maximum(density[found], 1.0))
    good = (significance > MIN_SIGNIFICANCE) & (prominence > 4)
    found, prominence, significance = found[good], prominence[good], significance[good]
    keep = np.sort(np.argsort(significance)[::-1][:most])
    position = (found[keep] + 0.5) * step
    return Peaks(modes(h, position, np.full(len(keep), kernel)), prominence[keep])


def modes(
    values: NDArray[np.float64],
    start: NDArray[np.float64],
    kernel: NDArray[np.float64],
    steps: int = 30,
) -> NDArray[np.float64]:
    """Maxima of the smoothed density of `values` that lie uphill of `start` (mean shift).

    Parameters
    ----------
    values : numpy.ndarray [n]
        Sorted or not.
    start : numpy.ndarray [m]
        Where to begin.
    kernel : numpy.ndarray [m]
        Standard deviation of the Gauss kernel, one per start.

    Returns
    -------
    numpy.ndarray [m]
        NaN where there are no values within four kernels.
    """
    ordered = np.sort(values)
    out = np.empty(len(start))
    for i, (x, s) in enumerate(zip(start, kernel, strict=True)):
        x0 = x
        low, high = np.searchsorted(ordered, (x - 8 * s, x + 8 * s))
        near = ordered[low:high]
        for _ in range(steps):
            w = np.exp(-0.5 * ((near - x) / s) ** 2)
            total = w.sum()
            if total < 1e-6 or abs(x - x0) > 6 * s:
                x = np.nan
                break
            new = float((w * near).sum() / total)
            done = abs(new - x) < 3e-4 * s
            x += OVERSTEP * (new - x)
            if done:
                break
        out[i] = x
    return out


def width_at_half(values: NDArray[np.float64], centre: float, guess: float) -> float:
    """Full width at half maximum of the peak at `centre`.

    From the high-energy side alone, where neither tails nor losses nor other lines reach: the
    distance in which the cumulated counts beyond the centre follow a Gaussian's.

    Parameters
    ----------
    values : numpy.ndarray [n]
    centre : float
    guess : float
        Rough width; values farther than 1.5 of it are background.

    Returns
    -------
    float
        NaN where there are fewer than 8 photons on that side.
    """
    above = values[(values >= centre) & (values < centre + 1.5 * guess)] - centre
    if len(above) < 8:
        return float("nan")
    # Half of a half-Gaussian lies within 0.6745 standard deviations.
    sigma = float(np.median(above)) / 0.6745
    for _ in range(8):
        inside = above[above < 2.5 * sigma]
        if len(inside) < 8:
            break
        # 0.9112: variance of a Gaussian cut at 2.5 standard deviations, over the uncut one
        sigma = float(np.sqrt(np.mean(inside**2) / 0.9112))
    return 2.3548 * sigma
