"""Pixels compared with each other: the same sample must look the same in all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from ._gain import energy_of

__all__ = ["Likeness", "choose", "rescaled"]

BIN_EV = 2.0
BLUR_EV = 4.0
BETTER = 0.03
"""A candidate other than a pixel's own best has to be more like the other pixels by this …"""
WORSE = 0.3
"""… and by this times how much lower, relatively, its own score is. Without it, one wrong
assignment that every pixel could have would do as well as the right one."""


class Likeness:
    """Spectra on a common energy axis, made comparable.

    Parameters
    ----------
    low, high : float
        Range of energies that is compared (eV).
    """

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.bins = max(round((high - low) / BIN_EV), 2)

    def spectrum(self, energy: NDArray[np.float64]) -> NDArray[np.float64]:
        """Blurred square root of the spectrum, mean 0 and norm 1; zeros where it is empty."""
        index = np.floor((energy - self.low) / BIN_EV)
        index = index[(index >= 0) & (index < self.bins)].astype(int)
        counts = np.bincount(index, minlength=self.bins).astype(float)
        # The square root makes the noise the same everywhere, and weak lines count.
        s = np.sqrt(gaussian_filter1d(counts, BLUR_EV / BIN_EV, mode="constant"))
        s -= s.mean()
        norm = float(np.linalg.norm(s))
        return s / norm if norm > 0 else s


def choose(
    spectra: Sequence[NDArray[np.float64]],
    scores: Sequence[NDArray[np.float64]],
    rounds: int = 6,
) -> tuple[list[int], NDArray[np.float64], NDArray[np.float64]]:
    """Which candidate of each pixel is most like the other pixels.

    Parameters
    ----------
    spectra : sequence of numpy.ndarray [candidates, bins]
        Of each pixel, its own best candidate first; may be empty.
    scores : sequence of numpy.ndarray [candidates]
        How well each candidate explains its own pixel (more is better).

    Returns
    -------
    chosen : list of int
        Candidate of each pixel; -1 where it has none.
    likeness : numpy.ndarray [pixels]
        Correlation with the mean of the others (1: the same); NaN without a candidate.
    template : numpy.ndarray [bins]
        Mean spectrum of the chosen.
    """
    pixels = [k for k, s in enumerate(spectra) if len(s)]
    likeness = np.full(len(spectra), np.nan)
    chosen = [-1] * len(spectra)
    if not pixels:
        return chosen, likeness, np.zeros(0)
    flat = np.concatenate([spectra[k] for k in pixels])
    owner = np.repeat(np.arange(len(pixels)), [len(spectra[k]) for k in pixels])
    starts = np.searchsorted(owner, np.arange(len(pixels)))
    handicap = np.concatenate([1 - scores[k] / max(scores[k].max(), 1e-9) for k in pixels])
    handicap = np.where(np.isin(np.arange(len(flat)), starts), 0, BETTER + WORSE * handicap)
    # Start from the pixel whose own best is like the own best of most others.
    first = flat[starts]
    alike = np.clip(first @ first.T, 0, None) ** 2
    template = first[int(alike.sum(1).argmax())]
    best = starts
    for _ in range(rounds):
        match = flat @ template - handicap
        best = np.array([s + int(match[owner == k].argmax()) for k, s in enumerate(starts)])
        weights = np.clip(flat[best] @ template, 0, None) ** 2
        total = (weights[:, None] * flat[best]).sum(0)
        new = total / np.linalg.norm(total)
        if np.allclose(new, template, atol=1e-9):
            break
        template = new
    others = total - weights[:, None] * flat[best] if len(pixels) > 1 else flat[best]
    norms = np.linalg.norm(others, axis=1)
    values = (flat[best] * others).sum(1) / np.where(norms > 0, norms, 1)
    for n, k in enumerate(pixels):
        chosen[k] = int(best[n] - starts[n])
        likeness[k] = values[n]
    return chosen, likeness, template


def rescaled(
    height: NDArray[np.float64],
    gain: NDArray[np.float64],
    template: NDArray[np.float64],
    likeness: Likeness,
    factors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], float]:
    """Another pixel's gain curve, stretched in pulse height until the spectra look alike.

    Parameters
    ----------
    height : numpy.ndarray [n]
        Pulse heights.
    gain : numpy.ndarray [ORDER]
        Curve of the other pixel.
    template : numpy.ndarray [bins]
        What the spectrum should look like.
    likeness : Likeness
    factors : numpy.ndarray
        Stretches to try.

    Returns
    -------
    gain : numpy.ndarray [ORDER]
    value : float
        Correlation with the template.
    """
    powers = np.arange(1, len(gain) + 1)
    values = [
        float(likeness.spectrum(energy_of(gain * k**powers, height)) @ template) for k in factors
    ]
    best = int(np.argmax(values))
    return gain * float(factors[best]) ** powers, values[best]
