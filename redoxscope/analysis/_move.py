"""Moving an image by a part of a pixel, keeping its detail and its noise."""

from __future__ import annotations

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

__all__ = ["moved"]

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
    By its Fourier components, which are turned in phase; nothing is averaged, so that detail and
    noise stay as they are. Beyond the border the image goes on as in a mirror, and where there is
    no value, as the nearest one: there is no step for it to ring from.
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
            image = _turned(image, parts[axis], axis)
            before = np.roll(good, 1, axis)
            before[(slice(None),) * axis + (0,)] = False
            good = good & before
    return np.where(good, image, np.asarray(np.nan, image.dtype))


def _turned(image: NDArray, part: float, axis: int) -> NDArray:
    """Moved along an axis by turning the phases of its mirrored lines."""
    n = image.shape[axis]
    both = np.concatenate([image, np.flip(image, axis)], axis)
    spectrum = scipy.fft.rfft(both, axis=axis)
    phases = np.exp(-1j * np.pi * part / n * np.arange(n + 1)).astype(spectrum.dtype)
    spectrum *= phases[:, None] if axis == 0 else phases
    found = scipy.fft.irfft(spectrum, 2 * n, axis=axis)
    return np.asarray(found[:n] if axis == 0 else found[:, :n])


def _split(shift: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Whole pixels, and the rest, in 0..1."""
    wanted = np.asarray(shift, dtype=np.float64)
    near = np.round(wanted)
    wanted = np.where(np.abs(wanted - near) < WHOLE, near, wanted)
    whole = np.floor(wanted)
    return whole.astype(np.intp), wanted - whole


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
