"""The frames that an engine has: amplitudes ready for the update, with their places."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["FLOOR", "FULL", "Frames", "as_stack"]

FLOOR = 0.5
"""Smallest variance beyond counting (photons²): the step of a pixel without photons is finite."""

FULL = 255
"""Share of a pixel that all exposures have."""


def amplitudes(
    counts: NDArray[np.floating], good: NDArray[np.bool_], read: float
) -> NDArray[np.float16]:
    """Root of counts plus read variance, in the order of `fft2`; 0 where a pixel is no good.

    With the read variance added, the root has the same variance at any count: F. J. Anscombe,
    Biometrika 35 (1948) 246; with read noise F. Murtagh et al., Astron. Astrophys. Suppl. 112
    (1995) 179. Half precision has 2⁻¹¹ of the amplitude, less than counting has below 10⁶ photons.
    """
    root = np.sqrt(np.maximum(np.where(good, counts, 0.0) + np.float32(read), 0.0))
    root *= good
    return np.fft.ifftshift(root, axes=(-2, -1)).astype(np.float16)


class Frames:
    """Amplitudes, masks and places, in the order of arrival.

    Parameters
    ----------
    xp : module
        numpy, or one like it.
    size : int
        Rows and columns of a frame.
    """

    def __init__(self, xp: Any, size: int) -> None:
        self._xp, self._size = xp, size
        self.amplitude: list[Any] = []
        self.mask: list[Any] = []
        self.share: list[Any] = []
        self.read: list[float] = []
        self.padding: list[float] = []
        self.total: list[float] = []
        self._positions: list[tuple[float, float]] = []
        self._same: list[tuple[bytes, Any]] = [(b"", None), (b"", None)]
        self._sum, self._seen = np.zeros((size, size)), np.zeros((size, size), dtype=int)

    def __len__(self) -> int:
        return len(self.amplitude)

    def part(self, which: Sequence[int]) -> Frames:
        """Some of them; the arrays are shared, the places are not."""
        other = copy(self)
        for name in ("amplitude", "mask", "share", "read", "padding", "total", "_positions"):
            values = getattr(self, name)
            setattr(other, name, [values[k] for k in which])
        return other

    def place(self, k: int) -> tuple[float, float]:
        """(x, y) of a frame (µm)."""
        return self._positions[k]

    def move(self, k: int, x: float, y: float) -> None:
        """Give a frame another place (µm)."""
        self._positions[k] = (x, y)

    @property
    def positions(self) -> NDArray[np.float64]:
        """(x, y) of each [n, 2] (µm)."""
        return np.array(self._positions, dtype=float).reshape(-1, 2)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of all frames, beam in the middle; NaN where no frame has a good pixel."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self._seen > 0, self._sum / self._seen, np.nan)

    def append(
        self,
        counts: NDArray[np.float32],
        good: NDArray[np.bool_],
        x: float,
        y: float,
        read: float,
        variance: NDArray[np.float32] | None,
        unit: float,
    ) -> None:
        """Take a frame.

        Parameters
        ----------
        counts, good : numpy.ndarray [size, size]
            Photons, and where they are good.
        x, y : float
            Its place (µm).
        read : float
            Variance beyond counting (photons²), where no variance is given.
        variance : numpy.ndarray [size, size], optional
            Of the counts.
        unit : float
            What one photon is in `counts`.
        """
        filled = np.where(good, counts, np.float32(0))
        share = np.where(good, np.uint8(FULL), np.uint8(0))
        if variance is None:
            floor = max(read, FLOOR)
        else:
            counting = unit * np.maximum(filled, 0)
            beyond = variance - counting
            read = max(float(np.median(beyond[good])), 0.0)
            floor = max(read, FLOOR)
            # pixels of fewer exposures: their counts are fewer, and weigh less
            part = (counting + floor) / (counting + np.maximum(beyond, floor))
            share = np.where(good, np.rint(np.maximum(FULL * part, 1)), 0).astype(np.uint8)
        self.amplitude.append(self._xp.asarray(amplitudes(filled, good, floor)))
        self.mask.append(self._kept(0, good.astype(np.uint8)))
        self.share.append(self._kept(1, share))
        self.read.append(floor)
        self.padding.append(floor - read)
        self.total.append(float(filled.sum(dtype=float)))
        self._positions.append((x, y))
        self._sum += filled
        self._seen += good

    def _kept(self, which: int, values: NDArray[np.uint8]) -> Any:
        """In the order of `fft2`; the array of the frame before where it is the same."""
        key = values.tobytes()
        if self._same[which][0] != key:
            self._same[which] = key, self._xp.asarray(np.fft.ifftshift(values))
        return self._same[which][1]


def as_stack(counts: ArrayLike, size: int) -> NDArray[np.float32]:
    """Frames as [n, size, size]; one frame is a stack of one.

    Raises
    ------
    ValueError
        Another shape.
    """
    stack = np.asarray(counts, dtype=np.float32)
    if stack.ndim == 2:
        stack = stack[None]
    if stack.ndim != 3 or stack.shape[1:] != (size, size):
        raise ValueError(
            f"frames of shape {np.shape(counts)} are not those of the geometry, (n, {size}, {size})"
        )
    return stack
