"""Lines of an image that are ready, in order, and who waits for them."""

from __future__ import annotations

from collections import deque

from ophyd.status import Status

from .._base import settle
from ._due_lock import DueLock
from ._record import Row

__all__ = ["Outbox"]


class Outbox:
    """Each method but `rows` is called under the lock.

    Parameters
    ----------
    lock : DueLock
    """

    def __init__(self, lock: DueLock):
        self._lock = lock
        self._waiter: Status | None = None
        self.ready: deque[Row] = deque()
        self.next = 0
        """Line that comes next."""
        self.total: int | None = None
        """Lines of the image; None where there is none."""
        self.error: Exception | None = None
        """Why no more will come."""

    @property
    def flown(self) -> bool:
        """Whether every line is ready, or was handed out."""
        return self.total is None or self.next >= self.total

    @property
    def news(self) -> bool:
        """Whether a line is ready, or none is left to come."""
        return bool(self.ready) or (self.total is not None and self.flown)

    def begin(self) -> None:
        """Another image."""
        self.ready.clear()
        self.error, self.next = None, 0

    def put(self, row: Row) -> None:
        """Another line is ready."""
        self.ready.append(row)
        self.next += 1

    def rows(self) -> list[Row]:
        """The lines that are ready; each is handed out once."""
        with self._lock:
            rows = list(self.ready)
            self.ready.clear()
        return rows

    def waiting(self) -> Status:
        """The status that is finished by `tell`."""
        if self._waiter is None or self._waiter.done:
            self._waiter = Status()
        return self._waiter

    def tell(self, *, anyway: bool = False) -> None:
        """Have the waiting status finished, if there is anything to tell."""
        waiter, error = self._waiter, self.error
        if waiter is None or waiter.done:
            return
        if anyway or self.news:
            self._lock.later(lambda: settle(waiter, None))
        elif error is not None:
            self._lock.later(lambda: settle(waiter, error))
