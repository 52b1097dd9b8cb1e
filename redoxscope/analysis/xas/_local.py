"""Local polynomials: smooth values and slopes of points that lie unevenly, with their sigma."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from ._spectrum import Array, Spectrum

__all__ = ["LocalFit", "local_fit", "noise_of", "noise_shape", "running_mean", "with_noise"]

REACH = 2.5
"""Points farther away than so many widths do not count."""
MOST_POINTS = 41
"""Most points of one local polynomial."""
ROUNDS = 6
FAR_OFF = 4.0
"""So many times the usual distance is no noise."""
NORMAL = 0.6745
"""Median of |x| of a normal distribution of standard deviation 1."""


@dataclass(frozen=True, eq=False)
class LocalFit:
    """Local polynomials at places [T]: ``value + slope dx + bend dx² + ...``.

    Attributes
    ----------
    at : numpy.ndarray [T]
        Places (eV).
    coefficients : numpy.ndarray [T, order + 1]
    weights : numpy.ndarray [T, order + 1, k]
        Each coefficient is the sum of its weights times the values of `index`.
    index : numpy.ndarray of int [T, k]
        Points used.
    """

    at: Array
    coefficients: Array
    weights: Array
    index: NDArray[np.intp]

    def sigma(self, of: int, sigma: Array) -> Array:
        """Standard deviation of a coefficient at each place, from that of each point [n]."""
        return np.sqrt((self.weights[:, of] ** 2 * sigma[self.index] ** 2).sum(axis=1))


def local_fit(energy: Array, value: Array, at: Array, width: float, order: int = 3) -> LocalFit:
    """Fit a polynomial around each place, weighted with a Gaussian.

    Parameters
    ----------
    energy, value : numpy.ndarray [n]
        Points (eV), rising; without NaN, more than ``order``.
    at : numpy.ndarray [T]
        Places (eV).
    width : float
        Standard deviation of the Gaussian (eV). Where the points lie too far apart for it, it is
        as wide as the polynomial needs.
    order : int
        Of the polynomial.
    """
    n = len(energy)
    near = np.searchsorted(energy, [energy - REACH * width, energy + REACH * width])
    inside = int((near[1] - near[0]).max())
    k = min(n, max(min(inside, MOST_POINTS), order + 2))
    first = np.clip(np.searchsorted(energy, at) - k // 2, 0, n - k)
    index = first[:, None] + np.arange(k)
    away = energy[index] - at[:, None]
    distance = np.abs(away)
    needed = np.partition(distance, min(order + 1, k - 1), axis=1)[:, min(order + 1, k - 1)]
    scale = np.maximum(width, needed / 1.5)
    x = away / scale[:, None]
    weight = np.exp(-0.5 * x**2)
    powers = np.ones((*x.shape, order + 1))
    for i in range(order):
        powers[:, :, i + 1] = powers[:, :, i] * x
    weighted = np.swapaxes(powers * weight[:, :, None], 1, 2)
    weights = np.linalg.solve(weighted @ powers, weighted)
    weights /= (scale[:, None] ** np.arange(order + 1))[:, :, None]
    coefficients = (weights @ value[index][:, :, None])[:, :, 0]
    return LocalFit(at, coefficients, weights, index)


def running_mean(values: Array, half: int) -> Array:
    """Mean over each point and ``half`` neighbours on both sides, fewer at the ends; NaN left out.

    Parameters
    ----------
    values : numpy.ndarray [n]
    half : int
    """
    good = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(good, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(good)])
    n = len(values)
    low = np.maximum(np.arange(n) - half, 0)
    high = np.minimum(np.arange(n) + half + 1, n)
    held = count[high] - count[low]
    with np.errstate(invalid="ignore"):
        return np.where(held > 0, (total[high] - total[low]) / np.maximum(held, 1), np.nan)


def noise_shape(variance: Array, *shapes: Array) -> Array:
    """Variance as a sum of shapes that are not negative, from single estimates of it.

    A constant, the value and its square are what an amplifier, counting and an unsteady beam make;
    the square of the slope is what an unsteady energy makes. Taken together over all energies they
    are known far better than at one energy alone.

    Parameters
    ----------
    variance : numpy.ndarray [n]
        Estimates, each with few degrees of freedom; NaN where there is none.
    *shapes : numpy.ndarray [n]
        At least one of them positive everywhere.

    Returns
    -------
    numpy.ndarray [n]
        NaN everywhere where there are no estimates.
    """
    good = np.isfinite(variance)
    columns = np.stack([np.abs(shape) for shape in shapes], axis=1)
    size = columns.mean(axis=0)
    columns = columns[:, size > 0] / size[size > 0]
    if good.sum() <= columns.shape[1] or not variance[good].any():
        return np.full(len(variance), np.nan)
    found = np.full(len(variance), float(variance[good].mean()))
    for _ in range(ROUNDS):  # an estimate of a variance scatters with the variance itself
        weighted = columns[good] / found[good, None]
        parts, _ = optimize.nnls(weighted, variance[good] / found[good])
        floor = 1e-6 * float(variance[good].mean())
        found = np.maximum(columns @ parts, floor)
    return found


def noise_of(energy: Array, value: Array, half: int = 15) -> Array:
    """Standard deviation of each point from how far it lies off a cubic through its neighbours.

    The cubic goes through two neighbours on each side. What is found at all points is described by
    a constant, a part that grows with the value and one with its square; where points lie far
    beyond that (a sharp line of a few points), they do not count. Noise that neighbours share
    makes it too small.

    Parameters
    ----------
    energy, value : numpy.ndarray [n]
        Without NaN.
    half : int
        Points on each side over which a median first tells what lies far off.

    Returns
    -------
    numpy.ndarray [n]
        NaN with fewer than 7 points.
    """
    n = len(energy)
    if n < 7:
        return np.full(n, np.nan)
    middle = np.arange(2, n - 2)
    neighbours = middle[:, None] + np.array([-2, -1, 1, 2])
    x = energy[neighbours] - energy[middle][:, None]
    weights = np.ones(x.shape)
    for i in range(4):  # Lagrange's polynomial at 0
        for j in range(4):
            if i != j:
                weights[:, i] *= x[:, j] / (x[:, j] - x[:, i])
    smooth = (weights * value[neighbours]).sum(axis=1)
    off = np.abs(value[middle] - smooth) / np.sqrt(1 + (weights**2).sum(axis=1))
    padded = np.pad(off, half, mode="reflect" if len(off) > half else "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    usual = np.median(windows, axis=1) / NORMAL
    variance = np.full(n, np.nan)
    variance[middle] = np.where(off <= FAR_OFF * usual, off**2, np.nan)
    level = np.array(value)
    level[middle] = 0.5 * (value[middle] + smooth)
    found = noise_shape(variance, np.ones(n), level - level.min(), (level - level.min()) ** 2)
    if np.isfinite(found).all():
        return np.sqrt(found)
    return np.concatenate([usual[:1], usual[:1], usual, usual[-1:], usual[-1:]])


def with_noise(spectrum: Spectrum) -> Spectrum:
    """The spectrum, with standard deviations from the scatter of neighbours where it has none."""
    known = spectrum.known
    unknown = known & ~np.isfinite(spectrum.sigma)
    if not unknown.any():
        return spectrum
    sigma = np.array(spectrum.sigma)
    sigma[unknown] = _spread(known, noise_of(spectrum.energy[known], spectrum.value[known]))[
        unknown
    ]
    return spectrum.changed(sigma=sigma, dof=min(spectrum.dof, max(int(known.sum()) / 8, 1.0)))


def _spread(known: NDArray[np.bool_], values: Array) -> Array:
    full = np.full(len(known), np.nan)
    full[known] = values
    return full
