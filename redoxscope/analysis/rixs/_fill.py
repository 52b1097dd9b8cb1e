"""The fast way from the detector's messages to the map."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import Bins

from ._binning import FLOWS, flow_index
from ._points import PointIndex

__all__ = ["BinnedPhotons", "EnergyScale", "bin_photons"]

CHUNK = 1 << 15
"""Photons done at a time: their columns stay in the cache."""
PIECE = 1 << 13
"""Messages taken apart at a time: they stay in the second-level cache."""
LEAST = 1 << 18
"""Photons that are worth a thread."""


class EnergyScale(Protocol):
    """What a calibration has to offer."""

    def energy(
        self,
        pixel: ArrayLike,
        filtered: ArrayLike,
        pretrigger: ArrayLike,
        *,
        out: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Energies (eV, [n]); NaN where the pixel is not usable."""


@dataclass
class BinnedPhotons:
    """Photons per row and bin, and where the others went.

    Attributes
    ----------
    bins : Bins
    cells : numpy.ndarray of int64 [n_rows + 1, len(bins) + 3]
        Everything that was counted. The last row: within no window, or in a point left out. The
        first column: below the bins; the last two: above, and without an energy.
    """

    bins: Bins
    cells: NDArray[np.int64]

    @classmethod
    def empty(cls, n_rows: int, bins: Bins) -> BinnedPhotons:
        """No photon."""
        return cls(bins, np.zeros((n_rows + 1, len(bins) + FLOWS), np.int64))

    @property
    def counts(self) -> NDArray[np.int64]:
        """Photons per row and bin, [n_rows, len(bins)]."""
        return self.cells[:-1, 1:-2]

    @property
    def photons(self) -> int:
        """All that were given."""
        return int(self.cells.sum())

    @property
    def outside(self) -> int:
        """Within no window, or in a point left out."""
        return int(self.cells[-1].sum())

    @property
    def unusable(self) -> int:
        """Within a window, without an energy: of pixels that are not usable."""
        return int(self.cells[:-1, -1].sum())

    @property
    def out_of_band(self) -> int:
        """Within a window, with an energy outside of the bins."""
        return int(self.cells[:-1, [0, -2]].sum())


def bin_photons(
    pixel: NDArray,
    time_ns: NDArray,
    filtered: NDArray,
    pretrigger: NDArray,
    *,
    calibration: EnergyScale,
    points: PointIndex,
    bins: Bins,
    n_rows: int | None = None,
    rows: ArrayLike | None = None,
    channels: ArrayLike | None = None,
    threads: int = 2,
    out: BinnedPhotons | None = None,
) -> BinnedPhotons:
    """Calibrate photons and count them per row of the map and energy bin.

    The columns may be views of the detector's messages (fields of a structured array); they are
    taken in pieces that fit the processor's cache, and nothing as long as the columns is made.

    Parameters
    ----------
    pixel, time_ns, filtered, pretrigger : numpy.ndarray [n]
        Columns as of `redoxscope.photons.Photons`. Times may be in any order, and are fastest
        where they rise.
    calibration : EnergyScale
        For instance `redoxscope.analysis.tes.Calibration`.
    points : PointIndex
        Windows of the points.
    bins : Bins
    n_rows : int, optional
        Rows of the map; by default as many as needed for `rows` or the points' numbers.
    rows : array_like of int, optional
        Row of each point number; by default the point's number. -1: leave the point out.
    channels : array_like of int, optional
        Channel number of each value of `pixel`, where that holds indices into the server's list
        of channels.
    threads : int
    out : BinnedPhotons, optional
        Add to these; they are returned.

    Raises
    ------
    ValueError
        Columns differ in length, a pixel is not among `channels`, or `out` has another shape.
    """
    n = len(time_ns)
    if not len(pixel) == len(filtered) == len(pretrigger) == n:
        raise ValueError(
            f"columns differ: pixel {len(pixel)}, time {n}, filtered {len(filtered)}, "
            f"pretrigger {len(pretrigger)}"
        )
    top = int(points.numbers.max(initial=-1))
    row_of = np.arange(top + 1) if rows is None else np.asarray(rows)
    if len(row_of) <= top:
        raise ValueError(f"rows has {len(row_of)} entries, but there is a point {top}")
    if n_rows is None:
        n_rows = int(row_of.max(initial=-1)) + 1
    elif row_of.max(initial=-1) >= n_rows:
        raise ValueError(f"row {row_of.max()} of a point, but the map has {n_rows} rows")
    if out is None:
        out = BinnedPhotons.empty(n_rows, bins)
    elif out.bins != bins or len(out.counts) != n_rows:
        raise ValueError(
            f"out has {len(out.counts)} rows of {out.bins}; expected {n_rows} of {bins}"
        )
    names = None if channels is None else np.asarray(channels, np.intp)
    if names is not None and n and not 0 <= pixel.min() <= pixel.max() < len(names):
        raise ValueError(
            f"pixels {pixel.min()} to {pixel.max()}, but only {len(names)} channels are named"
        )
    # the last entry stands for photons within no window (number -1)
    row_of = np.append(row_of, -1).astype(np.intp)
    row_of[row_of < 0] = n_rows
    filler = _Filler(calibration, points, bins, row_of, names)
    columns = (pixel, time_ns, filtered, pretrigger)
    threads = max(1, min(threads, n // LEAST))
    if threads == 1:
        filler.fill(columns, slice(0, n), out.cells)
        return out
    share = -(-n // threads)
    with ThreadPoolExecutor(threads - 1) as pool:
        # an array of their own for the others: no two threads add to the same cell
        others = [np.zeros_like(out.cells) for _ in range(threads - 1)]
        tasks = [
            pool.submit(filler.fill, columns, slice(i * share, (i + 1) * share), cells)
            for i, cells in enumerate(others, 1)
        ]
        filler.fill(columns, slice(0, share), out.cells)
        for task, cells in zip(tasks, others, strict=True):
            task.result()
            out.cells += cells
    return out


class _Filler:
    """What the threads of one call share."""

    def __init__(
        self,
        calibration: EnergyScale,
        points: PointIndex,
        bins: Bins,
        row_of: NDArray[np.intp],
        channels: NDArray[np.intp] | None,
    ) -> None:
        self.calibration = calibration
        self.points = points
        self.bins = bins
        self.first_cell = row_of * (len(bins) + FLOWS)
        self.channels = channels

    def fill(self, columns: Sequence[NDArray], part: slice, cells: NDArray[np.int64]) -> None:
        """Add the photons of a part of the columns to the cells."""
        work = _Columns()
        flat = cells.reshape(-1)
        columns = [column[part] for column in columns]
        for start in range(0, len(columns[0]), CHUNK):
            chunk = [column[start : start + CHUNK] for column in columns]
            pixel, time, filtered, pretrigger, energy, cell = work.take(chunk, self.channels)
            self.calibration.energy(pixel, filtered, pretrigger, out=energy)
            flow_index(energy, self.bins, out=cell, work=energy)
            segments = self.points.segments(time)
            if segments is None:
                cell += self.first_cell[self.points.point(time)]
            else:
                points, sizes = segments
                cell += np.repeat(self.first_cell[points], sizes)
            np.add.at(flat, cell, 1)


class _Columns:
    """Columns of a chunk without gaps, and room for what is made of them."""

    def __init__(self) -> None:
        self.pixel = np.empty(CHUNK, np.intp)
        self.time = np.empty(CHUNK, np.int64)
        self.floats = np.empty((3, CHUNK), np.float32)
        self.cell = np.empty(CHUNK, np.intp)

    def take(
        self, columns: Sequence[NDArray], channels: NDArray[np.intp] | None
    ) -> tuple[NDArray, ...]:
        """Pixel, time, filtered, pretrigger; energy and cell are yet to be filled."""
        size = len(columns[0])
        filtered, pretrigger, energy = self.floats[:, :size]
        pixel, time, cell = self.pixel[:size], self.time[:size], self.cell[:size]
        # Messages have all columns side by side: a piece of them is read once from memory, then
        # from the cache.
        for start in range(0, size, PIECE):
            piece = slice(start, start + PIECE)
            if channels is None:
                pixel[piece] = columns[0][piece]
            else:
                np.take(channels, columns[0][piece], out=pixel[piece], mode="clip")
            time[piece] = columns[1][piece]
            filtered[piece] = columns[2][piece]
            pretrigger[piece] = columns[3][piece]
        return pixel, time, filtered, pretrigger, energy, cell
