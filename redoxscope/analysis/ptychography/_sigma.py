"""The standard deviation of a reconstruction: its shape from theory, its size from two halves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._align import match, moved, shift_between
from ._result import PtychoResult
from ._ring import ring_correlation

__all__ = ["fisher_sigma", "optical_density", "with_sigma"]

_DARKEST = 1e-3
"""Amplitude below which the optical density is a lower limit only."""


def fisher_sigma(result: PtychoResult) -> NDArray[np.float32]:
    """σ of the optical density that the photons allow [ny, nx]; infinite without any.

    Notes
    -----
    The root of the counts of a frame's pixel has the variance 1/4 at any count. The information
    that all pixels of all frames have on real and imaginary part of an object's pixel is then
    twice the photons that have fallen on it, n = Σ|P|² (off-diagonal terms left out), so the
    amplitude's variance is 1/(2n) and that of OD = −2 ln|O| is 2/(n |O|²): twice that of counting
    the n |O|² photons that came through, because the phase is found from them as well.
    """
    light = result.coverage * np.maximum(result.amplitude, _DARKEST) ** 2
    with np.errstate(divide="ignore"):
        return np.sqrt(2 / light).astype(np.float32)


def with_sigma(result: PtychoResult, one: PtychoResult, two: PtychoResult) -> PtychoResult:
    """A result with σ and ring correlation from two halves of its frames.

    Parameters
    ----------
    result : PtychoResult
        Of all frames.
    one, two : PtychoResult
        Of the engines of `halves`, after about as many updates per frame.

    Returns
    -------
    PtychoResult
        `sigma` is `fisher_sigma` times one factor, so that it explains half of the difference of
        the halves' optical densities: each half has twice the variance, their difference four
        times. Counting, read noise, and a beam and places that are off differ between the halves
        and are in it; what is wrong in both alike (a blur, a wrong distance) is not.

    Raises
    ------
    ValueError
        The results lie on different grids, or both halves cover fewer than 16 pixels along an axis.
    """
    if not one.object.shape == two.object.shape == result.object.shape:
        raise ValueError(
            f"objects of shapes {result.object.shape}, {one.object.shape} and "
            f"{two.object.shape} are not on one grid"
        )
    area = result.covered & one.covered & two.covered
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    if min(rows.size, columns.size) < 16:
        raise ValueError("the two halves cover fewer than 16 pixels along an axis in common")
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    a, b, inside = one.object[box], two.object[box], area[box]
    a, b = (np.where(inside, v, 1) for v in (a, b))
    lag = shift_between(np.abs(a), np.abs(b), largest=4.0)
    a = match(moved(a, lag.dy, lag.dx), b)
    half = (_od(a) - _od(b)) / 2
    fisher = fisher_sigma(result)
    ratio = (half / fisher[box])[inside]
    ratio = ratio[np.isfinite(ratio)]
    # the median: an edge that one half has a pixel further does not make all pixels uncertain
    scale = 1.4826 * float(np.median(np.abs(ratio - np.median(ratio))))
    ring = ring_correlation(one.object, two.object, result.pixel_um, area=area)
    return replace(result, sigma=(scale * fisher).astype(np.float32), ring=ring)


def optical_density(
    result: PtychoResult, blank: ArrayLike | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Optical density and its σ.

    Parameters
    ----------
    result : PtychoResult
    blank : array_like of bool [ny, nx], optional
        Where there is no sample: the optical density there becomes 0 on average. By default the
        beam as reconstructed is what came in.

    Returns
    -------
    od, sigma : numpy.ndarray of float32 [ny, nx]
        ``-2 ln |O|``; NaN where frames hardly cover the object. Without the halves of `with_sigma`
        σ is `fisher_sigma` times the root of the residual.

    Raises
    ------
    ValueError
        The mask has another shape or fewer than 16 covered pixels.
    """
    area = result.covered
    od = _od(result.object)
    if result.sigma is not None:
        sigma = result.sigma.astype(np.float64)
    else:
        worse = result.residual if np.isfinite(result.residual) else 1.0
        sigma = fisher_sigma(result) * np.sqrt(max(worse, 1.0))
    if blank is not None:
        empty = np.asarray(blank, dtype=bool)
        if empty.shape != area.shape:
            raise ValueError(f"blank of shape {empty.shape} is not that of the object {area.shape}")
        empty = empty & area
        n = np.count_nonzero(empty)
        if n < 16:
            raise ValueError(f"blank has {n} pixels that frames cover, fewer than 16")
        od = od - np.mean(od[empty])
    nothing = np.float32(np.nan)
    return (
        np.where(area, od, nothing).astype(np.float32),
        np.where(area, sigma, nothing).astype(np.float32),
    )


def _od(o: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    return -2 * np.log(np.maximum(np.abs(o).astype(np.float64), _DARKEST))
