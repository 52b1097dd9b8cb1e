"""Frames without beam, and pixels that mean nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...documents import BlockFrames

__all__ = ["Darks", "load_mask"]

Array = NDArray[np.float64]


class Darks:
    """Mean dark frame of each exposure time; a block that comes again replaces the old one.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns of a frame.
    pedestal : float
        Counts of a pixel without light, where there are no dark frames.
    """

    def __init__(self, shape: tuple[int, int], pedestal: float) -> None:
        self._shape, self._pedestal = shape, pedestal
        self._sums: dict[tuple[int, int, float], tuple[Array, int]] = {}
        self.missing: set[float] = set()
        """Exposure times (s) that frames were merged without a dark of."""

    def take(
        self,
        block: BlockFrames,
        times: tuple[float, ...],
        frames: NDArray[np.unsignedinteger],
        good: NDArray[np.bool_],
    ) -> None:
        """Take the frames [n, ny, nx] of a block; ``good`` [n] says which there are."""
        first = int(block.place[0])
        for index, time in enumerate(times):
            chosen = good & (block.time == index)
            key = block.exposure, first, time
            self._sums.pop(key, None)
            if chosen.any():
                self._sums[key] = frames[chosen].sum(axis=0, dtype=np.float64), int(chosen.sum())

    def mean(self, time: float) -> Array:
        """Dark frame [ny, nx] (counts) of an exposure time (s)."""
        found = [pair for (_, _, t), pair in self._sums.items() if t == time]
        if not found:
            self.missing.add(time)
            return np.full(self._shape, self._pedestal)
        return np.sum([total for total, _ in found], axis=0) / sum(n for _, n in found)

    def variance(self, time: float, read_noise: float) -> float:
        """Variance of the dark frame of an exposure time (counts²), from a pixel's read noise."""
        frames = sum(n for (_, _, t), (_, n) in self._sums.items() if t == time)
        return read_noise**2 / frames if frames else 0.0


def load_mask(path: str, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels that mean nothing, from a ``.npy`` or HDF5 file.

    Raises
    ------
    ValueError
        There is no such file, or it holds no mask (0 and 1) of the frames' shape; names it.
    """
    try:
        values = _array_of(Path(path))
    except (OSError, ValueError, KeyError, EOFError) as exc:
        raise ValueError(f"the mask {path} cannot be read: {exc}") from exc
    if values.shape != shape or not np.isin(values, (0, 1)).all():
        raise ValueError(
            f"the mask {path} must be 0 and 1 for {shape[0]} x {shape[1]} pixels; it has "
            f"{' x '.join(map(str, values.shape))}"
        )
    return values.astype(bool)


def _array_of(path: Path) -> NDArray[np.generic]:
    """The array of a ``.npy`` file, or the only image of an HDF5 file."""
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False)
    import h5py

    found: dict[str, NDArray[np.generic]] = {}

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and item.ndim == 2:
            found[name] = item[()]

    with h5py.File(path, "r") as file:
        file.visititems(look)
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} images and not one")
    return next(iter(found.values()))
