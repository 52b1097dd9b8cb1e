"""Mean of a map against the distance from a particle's edge."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import signal

from ...inputs import as_number
from ._outlines import as_map
from ._types import Outline, Profile

__all__ = ["profile"]

Array = NDArray[np.float64]

FEWEST = 4
"""Pixels of a bin."""
WHOLE = 0.8
"""Part of a bin's pixels that must have a value, at the edge."""


def profile(
    fraction: ArrayLike,
    sigma: ArrayLike,
    outline: Outline,
    *,
    thickness: ArrayLike | None = None,
    bin: float | None = None,
) -> Profile:
    """Average a map over pixels of one distance from a particle's edge.

    Parameters
    ----------
    fraction, sigma : array_like of float [ny, nx]
        Map and its standard deviation; NaN where there is no value.
    outline : Outline
    thickness : array_like of float [ny, nx], optional
        In any unit. It tells a sphere from a plate where nobody says how thick the section is.
    bin : float, optional
        Width of a bin (um), at least a pixel; one pixel where not given.

    Returns
    -------
    Profile
        Bins of fewer than 4 pixels are joined to the one before. It begins with the first bin
        nearly all of whose pixels have a value: where only the thicker ones have, they are those
        that noise made so.

    Raises
    ------
    ValueError
        The maps differ in shape, the bin is narrower than a pixel, or no pixel has a value.
    """
    f, s = as_map("fraction", fraction), as_map("sigma", sigma)
    t = None if thickness is None else as_map("thickness", thickness)
    for name, other in (("sigma", s), ("outline", outline.mask), ("thickness", t)):
        if other is not None and other.shape != f.shape:
            raise ValueError(
                f"{name} has shape {other.shape}, fraction {f.shape}; they must be one map"
            )
    width = outline.pixel
    if bin is not None:
        width = as_number("bin", bin, "um", at_least=outline.pixel)
    used = outline.mask & np.isfinite(f) & np.isfinite(s) & (s > 0) & (outline.distance >= 0)
    if t is not None:
        used &= np.isfinite(t) & (t > 0)
    if not used.any():
        raise ValueError(f"particle {outline.label}: no pixel has a value with its sigma")
    edges = _whole(_edges(outline.distance[used], width), outline, used)
    used &= outline.distance >= edges[0]
    which = np.where(used, np.searchsorted(edges, outline.distance, side="right") - 1, -1)
    number = len(edges) - 1
    weights = _weights(which, s, t, number)
    total: Array = np.bincount(which[used], weights[used], number).astype(float)
    mean = np.bincount(which[used], (weights * np.where(used, f, 0.0))[used], number) / total
    far = np.bincount(which[used], (weights * np.where(used, outline.distance, 0.0))[used], number)
    residual = np.where(used, (f - mean[which]) / s, np.nan)
    length = _correlation_length(residual, which, weights, total, s)
    covariance = _covariance(which, weights, total, s, length)
    return Profile(
        outline, edges, far / total, mean, np.sqrt(np.diag(covariance)),
        np.bincount(which[used], minlength=number), covariance, weights, t,
        max(1.0, 4 * math.pi * length**2),
    )  # fmt: skip


def _weights(which: NDArray[np.intp], sigma: Array, thickness: Array | None, number: int) -> Array:
    """1/σ² of each pixel, with only so much of a pixel's own noise as makes the mean unbiased.

    Noise that raises one amount raises fraction and thickness, and lowers σ: a mean with 1/σ² as
    it is measured is too high (for f < 1/2), one with a smooth 1/σ² too low. What is linear in the
    noise is an amount, fraction times thickness: the mean with weights thickness times something
    smooth, here the bin's median of 1/(σ² thickness). Without a thickness, 1/σ stands for it.
    """
    used = which >= 0
    amount = np.zeros(sigma.shape)
    amount[used] = 1 / sigma[used] if thickness is None else thickness[used]
    weights = np.zeros(sigma.shape)
    for k in range(number):
        here = (which == k) & (amount > 0)
        weights[here] = amount[here] * np.median(1 / (sigma[here] ** 2 * amount[here]))
    return weights


def _edges(distance: Array, width: float) -> Array:
    """Of bins that hold enough pixels each, from the edge inwards."""
    last = float(distance.max())
    edges = [0.0]
    for k in range(1, int(last / width) + 2):
        between = (distance >= edges[-1]) & (distance < k * width)
        if between.sum() >= FEWEST:
            edges.append(k * width)
    if len(edges) == 1 or (distance >= edges[-1]).any():
        edges = [*edges[:-1], last + width] if len(edges) > 1 else [0.0, last + width]
    return np.array(edges)


def _whole(edges: Array, outline: Outline, used: NDArray[np.bool_]) -> Array:
    """The bins from the first on of whose pixels nearly all have a value."""
    inside = outline.mask & (outline.distance >= 0)
    there, _ = np.histogram(outline.distance[inside], edges)
    good, _ = np.histogram(outline.distance[inside & used], edges)
    whole = good >= WHOLE * there
    if not whole.any():
        raise ValueError(
            f"particle {outline.label}: at every distance from the edge pixels lack a value"
        )
    return edges[int(whole.argmax()) :]


def _correlation_length(
    residual: Array, which: NDArray[np.intp], weights: Array, total: Array, sigma: Array
) -> float:
    """Standard deviation (pixels) of the blur that would correlate white noise like this one.

    White noise through a Gaussian of deviation s is correlated by exp(-d²/4s²) at distance d;
    the correlation of direct and of diagonal neighbours is compared with it. Each bin's own mean
    has been taken off, and with it a part of what is common to neighbours: the larger, the
    longer they are correlated.
    """
    known = np.isfinite(residual)
    r = np.where(known, residual, 0.0)
    number = max(1, int(known.sum()))
    variance = float((r**2).sum()) / number
    if variance == 0:
        return 0.0
    found = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        there = np.roll(r, (dy, dx), (0, 1)) * r
        pairs = max(1, int((np.roll(known, (dy, dx), (0, 1)) & known).sum()))
        found.append((dy**2 + dx**2, float(there.sum()) / pairs / variance, pairs))
    if not any(rho > 2 / math.sqrt(pairs) for _, rho, pairs in found[:2]):
        return 0.0  # what white noise alone gives
    length = 0.0
    for _ in range(3):
        covariance = _covariance(which, weights, total, sigma, length)
        lost = min(0.5, float(total @ np.diag(covariance)) / number)
        true = [(d2, min(0.98, max(0.01, rho * (1 - lost) + lost))) for d2, rho, _ in found]
        length = float(np.median([math.sqrt(d2 / (-4 * math.log(rho))) for d2, rho in true]))
    return length


def _covariance(
    which: NDArray[np.intp], weights: Array, total: Array, sigma: Array, length: float
) -> Array:
    """Covariance of the bins' means: Σ w_p w_q σ_p σ_q ρ(p - q) over pixels p, q of two bins."""
    number = len(total)
    # w σ = 1/σ of each pixel, for each bin a map of its own.
    maps = np.zeros((number, *which.shape))
    used = which >= 0
    y, x = np.nonzero(used)
    maps[which[used], y, x] = weights[used] * sigma[used] / total[which[used]]
    rows, columns = slice(y.min(), y.max() + 1), slice(x.min(), x.max() + 1)
    maps = maps[:, rows, columns]
    spread = maps
    if length > 0:
        reach = math.ceil(6 * length)
        d = np.arange(-reach, reach + 1)
        kernel = np.exp(-(d**2) / (4 * length**2))
        spread = signal.fftconvolve(maps, (kernel[:, None] * kernel)[None], "same", axes=(1, 2))
    flat = maps.reshape(number, -1)
    covariance = flat @ spread.reshape(number, -1).T
    return (covariance + covariance.T) / 2
