"""Windows in photon time: which photon belongs to which point, and when a point is complete."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["PointBook"]

_OPEN, _CLOSED, _ABANDONED = 0, 1, 2


class PointBook:
    """Windows of a run, numbered from 0 in the order in which they were opened.

    They never overlap, and none begins before a photon that was already assigned, so each photon
    belongs to one window or to none, for good, as soon as it comes. A window is closed by the
    stream itself: when the watermark, up to which everything is taken to have come, has passed
    its end.
    """

    def __init__(self) -> None:
        self._start = np.zeros(64, np.int64)
        self._end = np.zeros(64, np.int64)
        self._state = np.zeros(64, np.uint8)
        self._n = 0
        self._newest = 0
        self._mark = 0

    def __len__(self) -> int:
        return self._n

    @property
    def newest(self) -> int:
        """Time (ns) of the newest photon assigned."""
        return self._newest

    @property
    def mark(self) -> int:
        """The watermark (ns)."""
        return self._mark

    @property
    def open_point(self) -> int | None:
        """Number of the window that is open."""
        n = self._n
        return n - 1 if n and self._state[n - 1] == _OPEN else None

    def window(self, point: int) -> tuple[int, int]:
        """Start and end (ns) of a window; that of an abandoned one ends where it was abandoned."""
        return int(self._start[point]), int(self._end[point])

    def closed(self, point: int) -> bool:
        """Whether a window was closed by the watermark."""
        return 0 <= point < self._n and bool(self._state[point] == _CLOSED)

    def open(self, now_ns: int, length_ns: int) -> int:
        """Open a window now, abandoning the one that is open; its number."""
        self.abandon(now_ns)
        n = self._n
        if n == len(self._start):
            self._start, self._end, self._state = (
                np.concatenate([column, np.zeros_like(column)])
                for column in (self._start, self._end, self._state)
            )
        start = max(now_ns, self._newest + 1, self._mark)
        if n:
            start = max(start, int(self._end[n - 1]))
        self._start[n], self._end[n], self._state[n] = start, start + length_ns, _OPEN
        self._n = n + 1
        return n

    def abandon(self, now_ns: int) -> int | None:
        """Give up the open window, if there is one; its number."""
        point = self.open_point
        if point is not None:
            end = max(now_ns, self._newest + 1, int(self._start[point]))
            self._end[point] = min(end, self._end[point])
            self._state[point] = _ABANDONED
        return point

    def assign(
        self, time_ns: NDArray[np.int64], latest_ns: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Window of each photon that came.

        Parameters
        ----------
        time_ns : numpy.ndarray of int64 [n]
        latest_ns : int, optional
            Times after this cannot be true and say nothing about how far the stream is.

        Returns
        -------
        point : numpy.ndarray of int32 [n]
            -1 where no window holds it.
        late : numpy.ndarray of bool [n]
            Its window was closed before it came.
        """
        n = self._n
        if len(time_ns):
            told = time_ns if latest_ns is None else time_ns[time_ns <= latest_ns]
            if len(told):
                self._newest = max(self._newest, int(told.max()))
        if not n:
            return np.full(len(time_ns), -1, np.int32), np.zeros(len(time_ns), np.bool_)
        index = np.searchsorted(self._start[:n], time_ns, side="right") - 1
        inside = (index >= 0) & (time_ns < self._end[index])
        if latest_ns is not None:
            inside &= time_ns <= latest_ns
        late = inside & (self._state[index] == _CLOSED)
        return np.where(inside, index, -1).astype(np.int32), late

    def advance(self, mark_ns: int) -> int | None:
        """Move the watermark on; the number of the window that this closed."""
        self._mark = max(self._mark, mark_ns)
        point = self.open_point
        if point is None or self._mark < self._end[point]:
            return None
        self._state[point] = _CLOSED
        return point
