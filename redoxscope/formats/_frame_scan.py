"""Frames of one scan in a file, each with the place at which it was taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

__all__ = ["FrameScan"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class FrameScan:
    """A scan of ptychography at one energy, as a file has it.

    Rows of a frame rise with y, columns with x; (x, y) is where the beam was on the sample.

    Attributes
    ----------
    path : Path
    energy_ev : float
    distance_um : float
        From the sample to the detector (um).
    pixel_um : float
        Of the detector (um).
    shape : (int, int)
        Rows and columns of a frame.
    x_um, y_um : numpy.ndarray [n]
    times : tuple of float
        Exposure times (s) of the frames at each place, in their order; one 0 where frames are
        clean: merged, without background.
    mask : numpy.ndarray of bool [ny, nx]
        True where a pixel is good.
    darks : numpy.ndarray [m, ny, nx] or None
        Mean frame without beam of each exposure time; None where frames are clean.
    illumination : numpy.ndarray of complex [ny, nx] or None
        The beam on the sample, where the file knows it.
    read : callable
        ``read(first, last)`` gives the frames [last - first, m, ny, nx] of places.
    notes : tuple of str
        What the user should know of the file.
    """

    path: Path
    energy_ev: float
    distance_um: float
    pixel_um: float
    shape: tuple[int, int]
    x_um: Array
    y_um: Array
    times: tuple[float, ...]
    mask: NDArray[np.bool_]
    darks: Array | None
    illumination: NDArray[np.complex64] | None
    read: Callable[[int, int], NDArray[np.float32]]
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether frames are merged and without background."""
        return self.darks is None

    def blocks(self, places: int = 32) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Places and frames, a few at a time."""
        for first in range(0, len(self.x_um), places):
            last = min(first + places, len(self.x_um))
            yield slice(first, last), self.read(first, last)
