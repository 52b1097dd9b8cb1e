"""How much memory a stack's map takes, how much there is, and images made smaller to fit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .._room import gigabytes

__all__ = [
    "Binning",
    "binning_for",
    "factor_within",
    "map_bytes",
    "maps_bytes",
]

SHARE = 0.5
"""Share of the available memory that a map may take: the scan needs some, too."""
Shapes = Sequence[tuple[int, int, int]]
LEAST_SIDE = 8
"""Pixels a side below which an image is not made smaller any more."""


def map_bytes(shape: tuple[int, int, int], columns: int, monitored: bool, factor: int = 1) -> int:
    """Memory (bytes) of a map of a stack [nE, ny, nx], of ``factor`` x ``factor`` pixels each."""
    n, ny, nx = shape
    frames = 4 * n * (2 if monitored else 1)
    moved = frames  # the same once more, where the sample drifts
    pixels = (ny // factor) * (nx // factor)
    sums = 4 * (columns**2 + 3 * columns + 2) + 1
    # Maps, and copies of them in the last snapshots; what looking for the blank takes.
    total = pixels * (frames + moved + sums + 4 * (22 + 4 * columns) + 100)
    return total + (frames * ny * (nx // factor) if factor > 1 else 0)


def factor_within(shape: tuple[int, int, int], factor: int) -> int:
    """Pixels a side to take together of images [nE, ny, nx]: small ones are left larger."""
    return min(factor, max(1, min(shape[1:]) // LEAST_SIDE))


def maps_bytes(shapes: Shapes, columns: int, monitored: bool, factor: int) -> int:
    """Memory (bytes) of the maps of several stacks, as `map_bytes`."""
    return sum(map_bytes(s, columns, monitored, factor_within(s, factor)) for s in shapes)


def binning_for(shapes: Shapes, columns: int, monitored: bool, available: int) -> int:
    """Smallest number of pixels a side to take together so that all maps fit into memory.

    Raises
    ------
    ValueError
        There is none; says how much would be needed and how much there is.
    """
    most = max((min(shape[1:]) for shape in shapes), default=1) // LEAST_SIDE
    for factor in range(1, max(2, most + 1)):
        if maps_bytes(shapes, columns, monitored, factor) <= SHARE * available:
            return factor
    what = " and ".join(f"{n} images of {ny} × {nx} pixels" for n, ny, nx in shapes)
    raise ValueError(
        f"a map of {what} needs {gigabytes(maps_bytes(shapes, columns, monitored, 1))} and, with "
        f"the pixels taken together, still "
        f"{gigabytes(maps_bytes(shapes, columns, monitored, factor))}; "
        f"{gigabytes(available)} are available, of which it may take half"
    )


class Binning:
    """Takes ``factor`` x ``factor`` pixels together, line by line.

    Lines are kept, shortened, so that one that comes again replaces what it brought before.

    Parameters
    ----------
    factor : int
        Pixels a side; what is left over at the end is not used.
    shape : tuple of int
        (nE, ny, nx) of the stack.
    monitored : bool
        Whether there may be a monitor.
    """

    def __init__(self, factor: int, shape: tuple[int, int, int], monitored: bool) -> None:
        n, ny, nx = shape
        self.factor, self.width = factor, nx
        self.shape = (ny // factor, nx // factor)
        # Counts of the transmission and of the monitor that are too many, at each energy.
        self.limits: tuple[NDArray, ...] = (np.full(n, np.inf), np.full(n, np.inf))
        # Not filled: an untouched page costs no memory, and `_seen` says what is valid.
        kept = (2 if monitored else 1, n, ny, nx // factor)
        self._lines = np.empty(kept, dtype=np.float32)
        self._seen = np.zeros((n, ny), dtype=bool)

    def line(
        self, k: int, line: int, counts: NDArray, monitor: NDArray | None
    ) -> tuple[int, NDArray, NDArray | None] | None:
        """Take a line; the line of the smaller image that is complete with it, if it is.

        Sums of counts are counts again. A line that is lacking, or dark, is lacking in the sum.
        """
        b, rows = self.factor, []
        for values, limit in zip((counts, monitor), self.limits, strict=True):
            if values is None:
                continue
            if values.shape != (self.width,):
                raise ValueError(f"counts has shape {values.shape}, but must have ({self.width},)")
            # One saturated pixel spoils the sum: it is shown as what it is.
            values = np.where(values >= limit[k], np.inf, values)
            rows.append(values[: self.shape[1] * b].reshape(-1, b).sum(axis=1))
        light = monitor if monitor is not None and np.isfinite(monitor).any() else counts
        if not (light > 0).any():
            rows[0] = np.full(self.shape[1], np.nan)
        for i, row in enumerate(rows):
            self._lines[i, k, line] = row
        if len(rows) < len(self._lines):
            self._lines[1, k, line] = np.nan
        self._seen[k, line] = True
        group = line // b
        part = slice(group * b, (group + 1) * b)
        if group >= self.shape[0] or not self._seen[k, part].all():
            return None
        total = self._lines[:, k, part].sum(axis=1, dtype=np.float64)
        return group, total[0], total[1] if len(total) > 1 else None

    def status(self, status: NDArray[np.int8]) -> NDArray[np.int8]:
        """Status of the smaller images' lines: the worst of each, -1 where one is to come."""
        ny = self.shape[0]
        groups = status[:, : ny * self.factor].reshape(len(status), ny, self.factor)
        return np.where((groups < 0).any(axis=2), -1, groups.max(axis=2)).astype(np.int8)

    def mask(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Pixels of the smaller image that lie in a mask with all of theirs."""
        (ny, nx), b = self.shape, self.factor
        blocks = mask[: ny * b, : nx * b].reshape(ny, b, nx, b)
        return np.asarray(blocks.all(axis=(1, 3)))

    def axis(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions (µm) of the smaller image's pixels."""
        n = len(values) // self.factor
        return values[: n * self.factor].reshape(n, self.factor).mean(axis=1)
