"""Exposures of several times at one place, merged by their variances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number, as_whole

__all__ = ["Merged", "merge_exposures"]


@dataclass(frozen=True)
class Merged:
    """Frames of all exposures together.

    Attributes
    ----------
    counts : numpy.ndarray of float32 [n, ny, nx]
        Photons in the total time of the exposures that were asked for; NaN where `mask` is False.
    variance : numpy.ndarray of float32 [n, ny, nx]
        Of the counts (photons²): counting and read noise; infinite where `mask` is False.
    mask : numpy.ndarray of bool [n, ny, nx]
        True where at least one exposure has a value.
    time : float
        The total time (s).
    """

    counts: NDArray[np.float32]
    variance: NDArray[np.float32]
    mask: NDArray[np.bool_]
    time: float


def merge_exposures(
    frames: ArrayLike,
    gates: ArrayLike,
    darks: ArrayLike,
    *,
    gain: float,
    read_noise: float,
    saturation: float,
    dark_variance: ArrayLike | float = 0.0,
    use: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    bloom: int = 1,
    total_time: float | None = None,
) -> Merged:
    """Merge the exposures of each place.

    Parameters
    ----------
    frames : array_like [n, m, ny, nx]
        Raw values of n places at m exposure times.
    gates : array_like [n, m] or [m]
        Actual exposure times (s); NaN for a frame that is to be left out.
    darks : array_like [m, ny, nx]
        Mean raw values without beam, of each exposure time.
    gain : float
        Raw counts per photon.
    read_noise : float
        Standard deviation of one raw value without light (raw counts).
    saturation : float
        Raw value from which on a pixel is full.
    dark_variance : array_like [m, ny, nx] or float
        Of the mean darks (raw counts²).
    use : array_like of bool [n, m], optional
        False for frames to be left out.
    mask : array_like of bool [ny, nx], optional
        True where the detector is good.
    bloom : int
        Neighbours of a full pixel that are left out with it, along rows and columns.
    total_time : float, optional
        The time that counts are given for (s); by default the sum over m of the median gates.

    Returns
    -------
    Merged

    Raises
    ------
    ValueError
        A shape does not fit, or a number is out of its range. A gate that is not positive.

    Notes
    -----
    Each exposure k measures the rate λ as n/t with variance (λ t + σ²)/t². They are averaged with
    the inverse of it, λ being the sum of the counts over the sum of the times, of a pixel and its
    eight neighbours: taken from the pixel alone it would favour the exposures that are low by
    chance. Without read noise that is the sum of counts over the sum of times, the most likely
    rate of a Poisson process; with it a short exposure of few counts adds its read noise to a
    plain sum, but nearly nothing to the mean.
    """
    raw = np.asarray(frames)
    if raw.ndim != 4:
        raise ValueError(f"frames of shape {raw.shape} must be [places, exposures, rows, columns]")
    n, m = raw.shape[:2]
    per_photon = as_number("gain", gain, "counts/photon", above=0.0)
    noise = as_number("read_noise", read_noise, "counts", at_least=0.0)
    full = as_number("saturation", saturation, "counts", above=0.0)
    reach = as_whole("bloom", bloom)
    times, used = _times(gates, use, n, m)
    dark = np.asarray(darks, dtype=np.float32)
    if dark.shape != raw.shape[1:]:
        raise ValueError(f"darks of shape {dark.shape} must be {raw.shape[1:]}, one per exposure")
    spread = np.asarray(dark_variance, dtype=np.float32)
    base = np.broadcast_to((noise**2 + spread) / np.float32(per_photon**2), dark.shape)
    if total_time is None:
        with np.errstate(all="ignore"):
            middle = np.nanmedian(np.where(used, times, np.nan), axis=0) if n else np.zeros(m)
        total = float(np.nansum(middle))
    else:
        total = as_number("total_time", total_time, "s", above=0.0)
    good = ~_spread(raw >= full, reach)
    good &= used[:, :, None, None]
    if mask is not None:
        good &= np.asarray(mask, dtype=bool)
    t = np.where(used, times, 0.0).astype(np.float32)[:, :, None, None]
    photons = (raw.astype(np.float32) - dark) / np.float32(per_photon)
    photons[~good] = 0
    exposed = (t * good).sum(axis=1)
    rate = np.maximum(_around(photons.sum(axis=1)), 0) / np.maximum(_around(exposed), 1e-30)
    # 1/variance of each exposure's rate, over t: so counts are weighted, not rates
    weight = good * t / (rate[:, None] * t + base + np.float32(1e-12))
    information = (weight * t).sum(axis=1)
    any_good = np.asarray(good.any(axis=1))
    with np.errstate(divide="ignore", invalid="ignore"):
        merged = (weight * photons).sum(axis=1) * np.float32(total) / information
        variance = np.float32(total**2) / information
    counts = np.where(any_good, merged, np.nan).astype(np.float32)
    return Merged(counts, np.where(any_good, variance, np.inf).astype(np.float32), any_good, total)


def _times(
    gates: ArrayLike, use: ArrayLike | None, n: int, m: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    times = np.asarray(gates, dtype=float)
    if times.shape not in {(n, m), (m,)}:
        raise ValueError(f"gates of shape {times.shape} must be ({n}, {m}), one per frame")
    times = np.broadcast_to(times, (n, m))
    used = np.isfinite(times)
    if use is not None:
        chosen = np.asarray(use, dtype=bool)
        if chosen.shape != (n, m):
            raise ValueError(f"use of shape {chosen.shape} must be ({n}, {m}), one per frame")
        used = used & chosen
    if np.any(times[used] <= 0):
        worst = float(np.min(times[used]))
        raise ValueError(f"gates = {worst:g} s must be greater than 0 s")
    return times, used


def _spread(mask: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """A mask and its neighbours, along the last two axes."""
    for _ in range(reach if mask.any() else 0):
        for axis in (-2, -1):
            grown = mask.copy()
            low = [slice(None)] * mask.ndim
            high = [slice(None)] * mask.ndim
            low[axis], high[axis] = slice(None, -1), slice(1, None)
            grown[tuple(low)] |= mask[tuple(high)]
            grown[tuple(high)] |= mask[tuple(low)]
            mask = grown
    return mask


def _around(values: NDArray) -> NDArray[np.float32]:
    """Sum over a pixel and its eight neighbours, along the last two axes."""
    total = values.astype(np.float32, copy=True)
    for axis in (-2, -1):
        part = total.copy()
        low = [slice(None)] * total.ndim
        high = [slice(None)] * total.ndim
        low[axis], high[axis] = slice(None, -1), slice(1, None)
        total[tuple(low)] += part[tuple(high)]
        total[tuple(high)] += part[tuple(low)]
    return total
