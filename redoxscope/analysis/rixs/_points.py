"""Photons to points, by the photons' own times."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["PointIndex"]


class PointIndex:
    """Windows in photon time; a photon at the start belongs to the point, one at the end does not.

    Parameters
    ----------
    starts, ends : array_like of int [n]
        Limits of the windows (ns since 1970), in any order.
    numbers : array_like of int [n], optional
        Number of each window; its position by default.

    Raises
    ------
    ValueError
        The columns differ in length, a window ends before it starts, or two overlap.
    """

    def __init__(
        self, starts: ArrayLike, ends: ArrayLike, numbers: ArrayLike | None = None
    ) -> None:
        first = np.asarray(starts, np.int64).reshape(-1)
        last = np.asarray(ends, np.int64).reshape(-1)
        number = np.arange(len(first)) if numbers is None else np.asarray(numbers).reshape(-1)
        if not len(first) == len(last) == len(number):
            raise ValueError(
                f"points differ: {len(first)} starts, {len(last)} ends, {len(number)} numbers"
            )
        if (first >= last).any():
            i = int(np.argmax(first >= last))
            raise ValueError(f"point {number[i]} ends at {last[i]} ns, not after {first[i]} ns")
        order = np.argsort(first, kind="stable")
        first, last = first[order], last[order]
        self.numbers: NDArray[np.int32] = number[order].astype(np.int32)
        overlap = last[:-1] > first[1:]
        if overlap.any():
            i = int(np.argmax(overlap))
            raise ValueError(
                f"point {self.numbers[i + 1]} starts at {first[i + 1]} ns, before point "
                f"{self.numbers[i]} ends at {last[i]} ns"
            )
        # start, end, start, end, …: an odd number of limits passed means inside of a window
        self._limits = np.column_stack([first, last]).reshape(-1)
        self._of_passed = np.full(2 * len(first) + 1, -1, np.int32)
        self._of_passed[1::2] = self.numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def point(self, time_ns: ArrayLike) -> NDArray[np.int32]:
        """Number of the point of each photon, -1 for none; fast where the times rise.

        Parameters
        ----------
        time_ns : array_like of int [n]
            Times of the photons (ns since 1970).
        """
        time = np.asarray(time_ns, np.int64)
        segments = self.segments(time)
        if segments is not None:
            return np.repeat(*segments)
        return self._of_passed[np.searchsorted(self._limits, time, "right")]

    def segments(
        self, time_ns: NDArray[np.int64]
    ) -> tuple[NDArray[np.int32], NDArray[np.intp]] | None:
        """Runs of photons of one point: its number (-1 for none) and how many photons.

        Parameters
        ----------
        time_ns : numpy.ndarray of int64 [n]
            Times of the photons (ns since 1970).

        Returns
        -------
        tuple of numpy.ndarray [m], or None
            None where the times do not rise.
        """
        if not len(time_ns):
            return np.empty(0, np.int32), np.empty(0, np.intp)
        if (time_ns[1:] < time_ns[:-1]).any():
            return None
        first, last = np.searchsorted(self._limits, time_ns[[0, -1]], "right")
        cuts = np.searchsorted(time_ns, self._limits[first:last], "left")
        sizes = np.diff(cuts, prepend=0, append=len(time_ns))
        return self._of_passed[first : last + 1], sizes
