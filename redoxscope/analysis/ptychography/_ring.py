"""Resolution from two reconstructions: the correlation of their spatial frequencies, by rings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number
from ._align import match, shift_between

__all__ = ["RingCorrelation", "ring_correlation"]


@dataclass(frozen=True)
class RingCorrelation:
    """Fourier ring correlation.

    Attributes
    ----------
    frequency : numpy.ndarray of float64
        Middle of each ring (1/µm).
    value : numpy.ndarray of float64
        Correlation there, 1 where both are the same.
    threshold : numpy.ndarray of float64
        Value below which a ring counts as noise.
    half_pitch_um : float
        Half of the period at which the correlation falls below the threshold (µm). A pixel where
        it never does: finer is not to be seen; NaN where it does from the first ring on.
    """

    frequency: NDArray[np.float64]
    value: NDArray[np.float64]
    threshold: NDArray[np.float64]
    half_pitch_um: float


def ring_correlation(
    a: ArrayLike,
    b: ArrayLike,
    pixel_um: float,
    *,
    threshold: str | float = "half-bit",
    area: ArrayLike | None = None,
) -> RingCorrelation:
    """How fine two reconstructions agree.

    Parameters
    ----------
    a, b : array_like of complex or float [ny, nx]
        On the same grid.
    pixel_um : float
        Their pixel (µm).
    threshold : str or float
        ``"half-bit"`` for two halves of the frames, ``"one-bit"``, or a fixed value: 0.5 where one
        of the two is the truth without noise.
    area : array_like of bool [ny, nx], optional
        Pixels to compare. The largest rectangle in the middle of it is taken.

    Returns
    -------
    RingCorrelation

    Raises
    ------
    ValueError
        Shapes differ; the area is smaller than 16 pixels along an axis; the threshold is unknown.

    Notes
    -----
    M. van Heel, M. Schatz, J. Struct. Biol. 151 (2005) 250, with their half-bit and one-bit curves.
    What a reconstruction leaves open is matched first: scale, phase, its ramp, and a shift up to
    four pixels. Edges are faded out with a cosine over a fifth of the side: they are no structure.
    """
    one, two = np.asarray(a), np.asarray(b)
    if one.ndim != 2 or one.shape != two.shape:
        raise ValueError(f"shapes {one.shape} and {two.shape} must be the same, [ny, nx]")
    pixel = as_number("pixel_um", pixel_um, "µm", above=0.0)
    fixed = None
    if not isinstance(threshold, str):
        fixed = as_number("threshold", threshold, above=0.0, at_most=1.0)
    elif threshold not in _BITS:
        raise ValueError(f"threshold = {threshold!r} must be 'half-bit', 'one-bit' or a number")
    mask = np.isfinite(one) & np.isfinite(two)
    if area is not None:
        mask = mask & np.asarray(area, dtype=bool)
    rows, columns = _rectangle(mask)
    one, two = one[rows, columns], two[rows, columns]
    if min(one.shape) < 16:
        raise ValueError(f"the area has {one.shape} pixels, fewer than 16 along an axis")
    if np.iscomplexobj(one) or np.iscomplexobj(two):
        one = match(one, two)
    window = _fade(one.shape[0])[:, None] * _fade(one.shape[1])[None, :]
    moved = shift_between(one, two, largest=4.0)
    f, g = (np.fft.fft2((v - v.mean()) * window) for v in (one, two))
    fy, fx = (np.fft.fftfreq(n) for n in one.shape)
    f *= np.exp(-2j * np.pi * (fy[:, None] * moved.dy + fx[None, :] * moved.dx))
    q = np.hypot(
        np.fft.fftfreq(one.shape[0], pixel)[:, None], np.fft.fftfreq(one.shape[1], pixel)[None, :]
    )
    width = 1 / (min(one.shape) * pixel)
    ring = np.rint(q / width).astype(int).ravel()
    count = min(one.shape) // 2 + 1

    def summed(values: NDArray) -> NDArray[np.float64]:
        return np.bincount(ring, values.ravel(), minlength=count)[:count].astype(np.float64)

    cross = summed((f * np.conj(g)).real)
    power = np.sqrt(summed(np.abs(f) ** 2) * summed(np.abs(g) ** 2))
    value = np.divide(cross, power, out=np.zeros(count), where=power > 0)
    # the window's main lobe makes neighbours alike: fewer independent values than pixels
    n = np.maximum(summed(np.ones(ring.shape)) * float(np.mean(window**2)) / 2, 1.0)
    if fixed is None:
        x, y, z = _BITS[str(threshold)]
        limit = (x + y / np.sqrt(n)) / (1 + x + z / np.sqrt(n))
    else:
        limit = np.full(count, fixed)
    frequency = np.arange(count) * width
    return RingCorrelation(
        frequency[1:], value[1:], limit[1:], _half_pitch(frequency, value, limit, pixel)
    )


_BITS = {"half-bit": (0.2071, 1.9102, 0.9102), "one-bit": (0.5, 2.4142, 1.4142)}


def _half_pitch(frequency: NDArray, value: NDArray, limit: NDArray, pixel: float) -> float:
    above = value - limit
    above[0] = 1.0  # the mean is taken off, so the first ring says nothing
    below = np.flatnonzero(above[1:] < 0) + 1
    if not below.size:
        return pixel
    k = int(below[0])
    if k == 1:
        return float("nan")
    share = above[k - 1] / (above[k - 1] - above[k])
    return float(1 / (2 * (frequency[k - 1] + share * (frequency[k] - frequency[k - 1]))))


def _fade(n: int) -> NDArray[np.float64]:
    from scipy.signal.windows import tukey

    return np.asarray(tukey(n, 0.4), dtype=float)


def _rectangle(mask: NDArray[np.bool_]) -> tuple[slice, slice]:
    """A large rectangle of true pixels: the box of all, cut from the side that lacks most."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return slice(0, 0), slice(0, 0)
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    while top < bottom and left < right:
        box = mask[top:bottom, left:right]
        if box.all():
            break
        lacking = {
            "top": 1 - box[0].mean(),
            "bottom": 1 - box[-1].mean(),
            "left": 1 - box[:, 0].mean(),
            "right": 1 - box[:, -1].mean(),
        }
        worst = max(lacking, key=lambda side: lacking[side])
        top, bottom = top + (worst == "top"), bottom - (worst == "bottom")
        left, right = left + (worst == "left"), right - (worst == "right")
    return slice(int(top), int(bottom)), slice(int(left), int(right))
