"""Photons that the server triggered and that never came."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LossCount"]

MOST_PENDING = 20_000_000
"""Photons kept while the server does not say what it saw; then those are left unchecked."""


class LossCount:
    """Compares what the server says it saw per channel and interval with what came.

    The messages that carry photons may be dropped on the way. Beside them the server tells, for
    intervals one after the other, how often each channel triggered. The balance is kept per
    channel over all intervals together, because a photon at the border of two may be counted in
    one there and in the other here; a photon that comes late is taken off again.

    Parameters
    ----------
    n_channels : int
        Channel indices of the server.
    begin_ns : int
        Intervals that begin earlier do not count.
    """

    def __init__(self, n_channels: int, begin_ns: int):
        self._begin = begin_ns
        self._balance = np.zeros(n_channels, np.int64)
        self._told: list[tuple[int, int, NDArray[np.int64]]] = []
        self._came: list[tuple[NDArray, NDArray[np.int64]]] = []
        self._pending = 0
        self._settled = np.zeros(0, np.int64)  # borders of what was compared: start, end, ...
        self._worst = 0

    @property
    def lost(self) -> int:
        """Photons missing now."""
        return int(np.maximum(self._balance, 0).sum())

    @property
    def reported(self) -> int:
        """Most that were ever missing; does not fall when one of them comes late after all."""
        return self._worst

    @property
    def covered(self) -> int:
        """Time (ns) up to which it was compared; 0 before the first interval."""
        return int(self._settled[-1]) if len(self._settled) else 0

    def seen(self, start_ns: int, end_ns: int, counts: NDArray[np.int64]) -> None:
        """The server says how often each channel triggered from start to end."""
        if start_ns < self._begin or end_ns <= start_ns or start_ns < self._last_told():
            return
        self._told.append((start_ns, end_ns, np.asarray(counts, np.int64)))

    def came(self, index: NDArray, time_ns: NDArray[np.int64]) -> None:
        """Photons came: channel index and time of each."""
        if not len(time_ns):
            return
        old = time_ns < self.covered
        if old.any():
            compared = np.searchsorted(self._settled, time_ns[old], side="right") % 2 == 1
            self._subtract(index[old][compared])
            index, time_ns = index[~old], time_ns[~old]
        self._came.append((index, time_ns))
        self._pending += len(time_ns)
        while self._pending > MOST_PENDING:
            self._pending -= len(self._came.pop(0)[1])

    def settle(self, mark_ns: int) -> None:
        """Compare the intervals whose photons have all come, those before the watermark."""
        while self._told and self._told[0][1] <= mark_ns:
            start, end, counts = self._told.pop(0)
            index = np.concatenate([i for i, _ in self._came]) if self._came else np.zeros(0, int)
            time_ns = (
                np.concatenate([t for _, t in self._came]) if self._came else np.zeros(0, np.int64)
            )
            now = (time_ns >= start) & (time_ns < end)
            later = time_ns >= end
            n = min(len(counts), len(self._balance))
            self._balance[:n] += counts[:n]
            self._subtract(index[now])
            self._came = [(index[later], time_ns[later])] if later.any() else []
            self._pending = int(later.sum())
            self._extend(start, end)
            self._worst = max(self._worst, self.lost)

    def _subtract(self, index: NDArray) -> None:
        inside = index[index < len(self._balance)]
        self._balance -= np.bincount(inside, minlength=len(self._balance))

    def _extend(self, start: int, end: int) -> None:
        if self.covered == start and len(self._settled):
            self._settled[-1] = end
        else:
            self._settled = np.append(self._settled, [start, end])

    def _last_told(self) -> int:
        return self._told[-1][1] if self._told else self.covered
