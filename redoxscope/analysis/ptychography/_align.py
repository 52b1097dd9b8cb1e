"""Where two images lie against each other, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Shift", "match", "moved", "shift_between"]


@dataclass(frozen=True)
class Shift:
    """By how much an image has to be moved to lie on another.

    Attributes
    ----------
    dy, dx : float
        Pixels, along rows and columns.
    sigma_y, sigma_x : float
        Their standard deviations (pixels), from the scatter of the four quarters; infinite where
        the images have nothing in common.
    """

    dy: float
    dx: float
    sigma_y: float
    sigma_x: float


def shift_between(image: ArrayLike, reference: ArrayLike, *, largest: float = 20.0) -> Shift:
    """Find the shift that brings an image onto a reference.

    Parameters
    ----------
    image, reference : array_like of float or complex [ny, nx]
        On grids of one pixel; no NaN. A mean and edges are taken off.
    largest : float
        Largest shift looked for (pixels).

    Returns
    -------
    Shift

    Raises
    ------
    ValueError
        Shapes differ, an image is smaller than 16 pixels along an axis, or a pixel has no value:
        what the Fourier sum makes of that is a shift all the same.

    Notes
    -----
    The maximum of the cross-correlation, found to a hundredth of a pixel by evaluating its Fourier
    sum around it (M. Guizar-Sicairos, S. T. Thurman, J. R. Fienup, Opt. Lett. 33 (2008) 156). Its σ
    is the scatter of the shifts of the four quarters, by two: they are independent.
    """
    a, b = np.asarray(image), np.asarray(reference)
    if a.ndim != 2 or a.shape != b.shape:
        raise ValueError(f"shapes {a.shape} and {b.shape} must be the same, [ny, nx]")
    if min(a.shape) < 16:
        raise ValueError(f"an image of {a.shape} pixels is smaller than 16 along an axis")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("an image has pixels without a value: fill them before it is compared")
    dy, dx = _peak(a, b, largest)
    if not (math.isfinite(dy) and math.isfinite(dx)):
        return Shift(0.0, 0.0, math.inf, math.inf)
    half_y, half_x = a.shape[0] // 2, a.shape[1] // 2
    quarters = np.array(
        [
            _peak(a[rows, columns], b[rows, columns], largest)
            for rows in (slice(half_y), slice(half_y, None))
            for columns in (slice(half_x), slice(half_x, None))
        ]
    )
    known = quarters[np.isfinite(quarters).all(axis=1)]
    if len(known) < 3:
        return Shift(dy, dx, math.inf, math.inf)
    sy, sx = np.sqrt(np.mean((known - (dy, dx)) ** 2, axis=0) / len(known))
    return Shift(dy, dx, float(sy), float(sx))


def _peak(a: NDArray, b: NDArray, largest: float) -> tuple[float, float]:
    """The shift; twice, since the edges that are faded out stay where they are and hold it back."""
    dy, dx = _once(a, b, largest)
    if not math.isfinite(dy) or (dy, dx) == (0.0, 0.0):
        return dy, dx
    more_y, more_x = _once(moved(a, dy, dx), b, largest)
    return dy + more_y, dx + more_x


def _once(a: NDArray, b: NDArray, largest: float) -> tuple[float, float]:
    window = np.hanning(a.shape[0])[:, None] * np.hanning(a.shape[1])[None, :]
    f, g = (np.fft.fft2((v - v.mean()) * window) for v in (a, b))
    product = g * np.conj(f)
    if not np.any(product):
        return math.nan, math.nan
    return _strongest(product, [np.fft.fftfreq(n) for n in a.shape], largest)


def _strongest(
    product: NDArray, at: list[NDArray[np.floating]], largest: float
) -> tuple[float, float]:
    """Where ``|Σ product exp(2πi (u row + v column))|`` is largest, to a hundredth.

    Parameters
    ----------
    product : numpy.ndarray of complex [ny, nx]
    at : list of numpy.ndarray
        u of the rows and v of the columns: whole multiples of 1/ny and 1/nx.
    largest : float
        Of the distance looked at.
    """
    whole = np.abs(np.fft.ifft2(product))
    lags = [np.fft.fftfreq(n, 1 / n) for n in product.shape]
    near = np.hypot(lags[0][:, None], lags[1][None, :]) <= largest
    row, column = np.unravel_index(np.argmax(np.where(near, whole, -1.0)), product.shape)
    best = [float(lags[0][row]), float(lags[1][column])]
    for step in (0.1, 0.01):
        fine = np.arange(-10, 11) * step
        left = np.exp(2j * np.pi * (best[0] + fine)[:, None] * at[0][None, :])
        right = np.exp(2j * np.pi * at[1][:, None] * (best[1] + fine)[None, :])
        # einsum, not @: a pool of BLAS threads that wakes for so little is slower than one
        value = np.abs(np.einsum("uy,yv->uv", left, np.einsum("yx,xv->yv", product, right)))
        row, column = np.unravel_index(np.argmax(value), value.shape)
        best = [best[0] + float(fine[row]), best[1] + float(fine[column])]
    return best[0], best[1]


def match(
    a: NDArray[np.complexfloating], b: NDArray[np.complexfloating]
) -> NDArray[np.complexfloating]:
    """Object `a` with the scale, the phase and the ramp of `b`."""
    ny, nx = a.shape
    y, x = np.arange(ny) / ny, np.arange(nx) / nx
    common = b * np.conj(a) * np.hanning(ny)[:, None] * np.hanning(nx)[None, :]
    u, v = _strongest(common, [y, x], min(ny, nx) / 2)
    moved = a * np.exp(-2j * np.pi * (u * y[:, None] + v * x[None, :]))
    power = float(np.sum(np.abs(moved) ** 2))
    return moved * (np.sum(b * np.conj(moved)) / power) if power else moved


def moved(image: NDArray, dy: float, dx: float) -> NDArray[np.complexfloating]:
    """An image moved by parts of a pixel; what leaves it on one side comes in on the other."""
    qy, qx = (np.fft.fftfreq(n) for n in image.shape)
    return np.fft.ifft2(
        np.fft.fft2(image) * np.exp(-2j * np.pi * (qy[:, None] * dy + qx[None, :] * dx))
    )
