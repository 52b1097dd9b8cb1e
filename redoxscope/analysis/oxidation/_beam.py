"""Whether the beam held while an image was taken: what each line says of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .._move import moved
from ._measured import Measured
from ._noise import Noise

__all__ = ["beam_by_line"]

Array = NDArray[np.float64]
CLEAR_OD = 0.05
"""Optical density up to which a pixel is taken for clear."""
LOOKED_AT = 9
"""Energies of which that is found."""


def beam_by_line(measured: Measured, ln_i0: Array, noise: Noise) -> tuple[Array, Array]:
    """Light of each line: counts per pixel of the monitor, or of clear pixels.

    Clear are those that transmit as the blank area does, in the median over some energies: so a
    line in which the beam failed has some, which the blank area has thrown out. Where the images
    were moved onto each other, the clear pixels are moved with the sample.

    Returns
    -------
    light, sigma : numpy.ndarray [nE, ny]
        And the standard deviation from counting. NaN where the line was not measured, and where
        there is neither a monitor nor a clear pixel or two.
    """
    light, sigma = (np.full(measured.measured.shape, np.nan) for _ in range(2))
    monitor = measured.monitor
    clear = _clear(measured, ln_i0) if monitor is None else None
    frames = measured.counts.raw if monitor is None else monitor.raw
    unit = noise.unit if monitor is None else noise.monitor_unit
    for k, there in enumerate(measured.measured):
        lines = np.flatnonzero(there)
        values = frames[k, lines]
        used = np.isfinite(values)
        if clear is not None:
            used &= _of_frame(clear, measured.shifts, k)[lines]
        n = used.sum(axis=1)
        total = np.where(used, values, 0).sum(axis=1, dtype=np.float64)
        good = n > 1
        light[k, lines[good]] = total[good] / n[good]
        sigma[k, lines[good]] = np.sqrt(total[good] * unit) / n[good]
    return light, sigma


def _clear(measured: Measured, ln_i0: Array) -> NDArray[np.bool_]:
    """Pixels [ny, nx] that transmit as the blank area does, on the common grid."""
    there = measured.present
    clear = np.zeros(measured.shape, dtype=bool)
    known = np.flatnonzero(np.isfinite(ln_i0) & there.any(axis=1))
    if not known.size:
        return clear
    places = np.linspace(0, len(known) - 1, min(len(known), LOOKED_AT)).round()
    some = known[places.astype(np.intp)]
    level = np.exp(ln_i0[some])[:, None]
    for line in np.flatnonzero(there[some].any(axis=0)):
        have = there[some, line]
        share = measured.counts.aligned[some[have], line] / level[have]
        clear[line] = np.median(share, axis=0) > np.exp(-CLEAR_OD)
    return clear


def _of_frame(clear: NDArray[np.bool_], shifts: Array | None, k: int) -> NDArray[np.bool_]:
    """Clear pixels of the common grid, as they lie in a frame: those with clear ones around."""
    if shifts is None:
        return clear
    # A pixel of the frame lies between four of the grid.
    inner = ndimage.binary_erosion(clear, np.ones((3, 3), dtype=bool), border_value=0)
    return moved(inner.astype(np.float64), -np.rint(shifts[k])) == 1.0
