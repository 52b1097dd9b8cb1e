"""The fast way from the detector's messages to the map."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.contract import Bins

from ._binning import flow_index
from ._points import PointIndex

__all__ = ["BinnedPhotons", "EnergyScale", "bin_photons"]

CHUNK = 1 << 16
"""Photons done at a time: what is made of them stays in the cache, and the threads seldom meet at
the interpreter's lock."""


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
    counts : numpy.ndarray of int64 [n_rows, len(bins)]
    photons : int
        All that were given.
    outside : int
        Within no window.
    unusable : int
        Within a window, without an energy: of pixels that are not usable.
    out_of_band : int
        Within a window, with an energy outside of the bins.
    """

    counts: NDArray[np.int64]
    photons: int = 0
    outside: int = 0
    unusable: int = 0
    out_of_band: int = 0


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
        out = BinnedPhotons(np.zeros((n_rows, len(bins)), np.int64))
    elif out.counts.shape != (n_rows, len(bins)):
        raise ValueError(f"out has shape {out.counts.shape}; expected {(n_rows, len(bins))}")
    names = None if channels is None else np.asarray(channels)
    if names is not None and n and not 0 <= pixel.min() <= pixel.max() < len(names):
        raise ValueError(
            f"pixels {pixel.min()} to {pixel.max()}, but only {len(names)} channels are named"
        )
    # the last entry stands for photons within no window (number -1)
    row_of = np.append(row_of, -1).astype(np.intp)
    filler = _Filler(calibration, points, bins, row_of, names, out)
    columns = (pixel, time_ns, filtered, pretrigger)
    pieces = [slice(start, start + CHUNK) for start in range(0, n, CHUNK)]
    threads = max(1, min(threads, len(pieces)))
    if threads == 1:
        filler.fill(columns, pieces)
    else:
        share = -(-len(pieces) // threads)
        parts = [pieces[i : i + share] for i in range(0, len(pieces), share)]
        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(filler.fill, columns, part) for part in parts]:
                done.result()
    return out


class _Filler:
    """One call's surroundings, shared by its threads."""

    def __init__(
        self,
        calibration: EnergyScale,
        points: PointIndex,
        bins: Bins,
        row_of: NDArray[np.intp],
        channels: NDArray | None,
        out: BinnedPhotons,
    ) -> None:
        self.calibration = calibration
        self.points = points
        self.bins = bins
        self.row_of = row_of
        self.channels = channels
        self.out = out
        self.lock = threading.Lock()

    def fill(self, columns: Sequence[NDArray], pieces: Sequence[slice]) -> None:
        energy = np.empty(CHUNK, np.float32)
        flow = np.empty(CHUNK, np.intp)
        for piece in pieces:
            pixel, time, filtered, pretrigger = (column[piece] for column in columns)
            size = len(time)
            if self.channels is not None:
                pixel = np.take(self.channels, pixel, mode="clip")
            e = self.calibration.energy(pixel, filtered, pretrigger, out=energy[:size])
            known = np.isfinite(e)
            index = flow_index(e, self.bins, out=flow[:size], work=e)
            self._add(index, known, np.ascontiguousarray(time, np.int64))

    def _add(
        self, index: NDArray[np.intp], known: NDArray[np.bool_], time: NDArray[np.int64]
    ) -> None:
        width = len(self.bins) + 2
        segments = self.points.segments(time)
        if segments is None:
            rows, sizes = self.row_of[self.points.point(time)], np.ones(1, np.intp)
        else:
            rows, sizes = self.row_of[segments[0]], segments[1]
            rows, sizes = rows[sizes > 0], sizes[sizes > 0]
        inside = rows >= 0
        n_inside = int((inside * sizes).sum())
        if inside.any():
            low, high = int(rows[inside].min()), int(rows[inside].max())
        else:
            low, high = 0, -1
        span = high - low + 1
        # those outside go to one more row, which is thrown away
        offset = np.where(inside, rows - low, span) * width
        index += offset if segments is None else np.repeat(offset, sizes)
        counts = np.bincount(index, minlength=(span + 1) * width).reshape(span + 1, width)
        unknown = ~known
        if unknown.any():
            in_window = inside if segments is None else np.repeat(inside, sizes)
            n_unknown = int((unknown & in_window).sum())
        else:
            n_unknown = 0
        with self.lock:
            out = self.out
            out.counts[low : high + 1] += counts[:span, 1:-1]
            out.photons += len(index)
            out.outside += len(index) - n_inside
            out.unusable += n_unknown
            out.out_of_band += int(counts[:span, [0, -1]].sum()) - n_unknown
