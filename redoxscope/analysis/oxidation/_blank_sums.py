"""Sums of counts over the blank area, line by line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ._frames import Frames
from ._measured import Units

__all__ = ["BlankSums"]

Array = NDArray[np.float64]
MIN_BLANK_PIXELS = 4
"""Blank pixels an energy needs before its I0 is used."""
MOST_FULL = 0.05
"""Share of them that may be saturated. Without the brightest I0 is too small: at this share by a
tenth of one pixel's standard deviation."""
NEAR = 0.8
"""... where the others reach this share of the limit: a bright rim apart takes none away."""


class BlankSums:
    """Sums of counts over the blank pixels of every line at every energy.

    Sums per line let a line be overwritten, and an energy's I0 be known before its image is
    complete.

    Parameters
    ----------
    mask : numpy.ndarray of bool [ny, nx]
        Blank pixels.
    n_energies : int
        Energies of the stack.
    """

    def __init__(self, mask: NDArray[np.bool_], n_energies: int) -> None:
        self.mask = mask
        self._line = np.nonzero(mask)[0]
        self._pixel = np.flatnonzero(mask)
        self._start = np.searchsorted(self._line, np.arange(mask.shape[0] + 1))
        shape = (n_energies, mask.shape[0])
        self._pixels = np.zeros(shape, dtype=np.intp)
        self._full = np.zeros(shape, dtype=np.intp)
        self._limit = np.full((2, n_energies), np.inf)
        self._true = np.zeros((2, *shape))
        self._observed = np.zeros((2, *shape))

    def update(
        self, k: int, lines: slice, present: NDArray[np.bool_], frames: list[Frames]
    ) -> None:
        """Sum a range of lines of one energy again, from the frames.

        Parameters
        ----------
        k : int
            Energy index.
        lines : slice
            First and last line + 1.
        present : numpy.ndarray of bool [ny]
            Lines that hold data.
        frames : list of Frames
            Transmission, then the monitor if there is one.
        """
        part = slice(self._start[lines.start], self._start[lines.stop])
        line, pixel = self._line[part], self._pixel[part]
        if not present[lines].all():  # the rest of the frame was never written
            measured = present[line]
            line, pixel = line[measured], pixel[measured]
        observed = [f.aligned[k].reshape(-1).take(pixel) for f in frames]
        full = np.zeros(len(line), dtype=bool)
        good: NDArray[np.bool_] | slice = slice(None)
        if not all(
            v.size == 0 or (v.min() > -np.inf and v.max() < f.limit[k])
            for f, v in zip(frames, observed, strict=True)
        ):  # saturated, or NaN
            for f, values in zip(frames, observed, strict=True):
                full |= values >= f.limit[k]
            good = np.logical_and.reduce([np.isfinite(values) for values in observed]) & ~full
        size = lines.stop - lines.start
        self._full[k, lines] = np.bincount(line[full] - lines.start, minlength=size)
        starts = np.searchsorted(line[good], np.arange(lines.start, lines.stop + 1))
        self._pixels[k, lines] = np.diff(starts)
        for i, (f, values) in enumerate(zip(frames, observed, strict=True)):
            kept = values[good]
            self._limit[i, k] = f.limit[k]
            self._observed[i, k, lines] = _sums(kept, starts)
            self._true[i, k, lines] = (
                self._observed[i, k, lines] if f.plain else _sums(f.true(kept, k), starts)
            )

    @property
    def saturated(self) -> NDArray[np.bool_]:
        """Energies [nE] at which blank pixels are saturated: the rest would be the darker ones."""
        full, rest = self._full.sum(axis=1), self._pixels.sum(axis=1)
        near = self._observed.sum(axis=2) >= NEAR * self._limit * np.maximum(rest, 1)
        return np.asarray((full > MOST_FULL * (rest + full)) & (near.any(axis=0) | (rest == 0)))

    def ln_i0(self, monitored: bool, units: Units, dwell: Array | None) -> tuple[Array, Array]:
        """Return ln I0 and its variance at each energy; NaN where it is not known.

        It is not where too few blank pixels were seen, or some of them are saturated.

        The ratio of sums, not the mean of logarithms: the latter is biased by 1/(2N) per
        pixel. The variance is ``1/sum(N)``, plus ``1/sum(M)`` for a monitor, each times its
        unit, and each pixel's share of noise beyond counting.
        """
        enough = (self._pixels.sum(axis=1) >= MIN_BLANK_PIXELS) & ~self.saturated
        true, observed = self._true.sum(axis=2), self._observed.sum(axis=2)
        which = slice(0, 2 if monitored else 1)
        enough &= (true[which] > 0).all(axis=0)
        value = np.full(len(enough), np.nan)
        variance = np.full(len(enough), np.nan)
        value[enough] = np.log(true[0, enough])
        if monitored:
            value[enough] -= np.log(true[1, enough])
        else:
            value[enough] -= np.log(self._pixels.sum(axis=1)[enough])
        scale = np.array(units.at(dwell, len(enough)))[which][:, enough]
        variance[enough] = (scale / observed[which][:, enough]).sum(axis=0)
        variance[enough] += units.relative / self._pixels.sum(axis=1)[enough]
        return value, variance


def _sums(values: NDArray, starts: NDArray[np.intp]) -> Array:
    """Sums of the parts of an array, each from one start to the next; 0 of an empty one."""
    found = np.zeros(len(starts) - 1)
    some = np.flatnonzero(np.diff(starts))
    if some.size:
        found[some] = np.add.reduceat(values, starts[some], dtype=np.float64)
    return found
