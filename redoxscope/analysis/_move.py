"""Moving an image by a part of a pixel, keeping its detail and its noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

__all__ = ["moved", "variance_when_moved"]

REACH = 6
"""Pixels that a moved pixel is made of, to either side."""
WHOLE = 1e-6
"""Shifts so close to whole pixels are whole."""


def moved(image: ArrayLike, shift: ArrayLike) -> NDArray:
    """Move an image; NaN comes in at the border.

    Parameters
    ----------
    image : array_like [ny, nx]
        NaN where there is no value.
    shift : array_like [2]
        (dy, dx), pixels: what was at p is at p + shift afterwards.

    Returns
    -------
    numpy.ndarray [ny, nx]
        In the precision of the image.

    Notes
    -----
    A sinc in Lanczos' window, six pixels to either side: C. E. Duchon, J. Appl. Meteorol. 18
    (1979) 1016. Linear interpolation would average neighbours, and the noise and detail of each
    image with them; one by Fourier rings across all of the image. Beyond the border, and where
    there is no value, the nearest one is taken to go on.
    """
    found = np.asarray(image)
    if found.dtype.kind != "f":
        found = found.astype(np.float64)
    whole, parts = _split(shift)
    if parts.any():
        found = _moved_on(found, parts)
    return _moved_whole(found, whole)


def _moved_on(image: NDArray, parts: NDArray[np.float64]) -> NDArray:
    """Moved on by parts of a pixel: a value where both neighbours that it lies between have one."""
    good = np.isfinite(image)
    if not good.all():
        if not good.any():
            return image
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        image = image[tuple(nearest)]
    for axis in (0, 1):
        if parts[axis]:
            weights = _weights(parts[axis])
            image = ndimage.correlate1d(image, weights, axis, mode="nearest")
            before = np.roll(good, 1, axis)
            before[(slice(None),) * axis + (0,)] = False
            good = good & before
    return np.where(good, image, np.asarray(np.nan, image.dtype))


def variance_when_moved(shift: ArrayLike) -> float:
    """Variance of white noise after `moved`, relative to its own; away from the border."""
    _, parts = _split(shift)
    return float(np.prod([(_weights(part) ** 2).sum() for part in parts]))


def _split(shift: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Whole pixels, and the rest, in 0..1."""
    wanted = np.asarray(shift, dtype=np.float64)
    near = np.round(wanted)
    wanted = np.where(np.abs(wanted - near) < WHOLE, near, wanted)
    whole = np.floor(wanted)
    return whole.astype(np.intp), wanted - whole


def _weights(part: float) -> NDArray[np.float64]:
    """Weights of the pixels before and after one that takes what lay ``part`` of a pixel before."""
    if not part:
        return np.ones(1)
    at = np.arange(-REACH, REACH) + part
    weights = np.sinc(at) * np.sinc(at / REACH)
    return np.asarray(weights / weights.sum())


def _moved_whole(image: NDArray, whole: NDArray[np.intp]) -> NDArray:
    out = np.full_like(image, np.nan)
    to, of = [], []
    for n, by in zip(image.shape, whole.tolist(), strict=True):
        if abs(by) >= n:
            return out
        to.append(slice(max(by, 0), n + min(by, 0)))
        of.append(slice(max(-by, 0), n - max(by, 0)))
    out[tuple(to)] = image[tuple(of)]
    return out
