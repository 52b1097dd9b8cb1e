"""A clock that neither drifts nor piles up: when the next of many measurements is due."""

from __future__ import annotations

import threading
from typing import Any

from ophyd.status import Status

__all__ = ["DueTime", "Ticks"]


class Ticks:
    """Due times ``number * every`` since a beginning, whatever a measurement takes.

    One that takes too long makes the next late, by less than ``every``. What would be later than
    that is left out and counted, so nothing piles up; and a due time never depends on when another
    was met, so nothing drifts.

    Parameters
    ----------
    every : float
        s

    Attributes
    ----------
    number : int
        Of the next measurement, from 0.
    missed : int
        Left out just before it.
    """

    def __init__(self, every: float) -> None:
        self.every = every
        self.number, self.missed = 0, 0

    @property
    def due(self) -> float:
        """When the next is due (s since the beginning)."""
        return self.number * self.every

    def skip(self, elapsed: float) -> None:
        """Leave out what would be a whole period late or more, now (s since the beginning)."""
        newest = max(int(elapsed // self.every), self.number)
        self.missed += newest - self.number
        self.number = newest

    def measured(self) -> None:
        """The measurement was made: on to the next."""
        self.number, self.missed = self.number + 1, 0


class DueTime:
    """Waits for a time of a clock; something to set, so that a plan waits with a message.

    Parameters
    ----------
    clock : object
        ``now()``: time of the beamline (s); ``here(seconds)``: how long that takes here (s).
    name : str
    """

    parent = None

    def __init__(self, clock: Any, name: str) -> None:
        self.name, self._clock = name, clock
        self._lock = threading.Lock()
        self._status: Status | None = None

    def __repr__(self) -> str:
        return self.name

    def time_to(self, due: float, start: float | None = None) -> float:
        """Time (s) until then."""
        return max(due - float(self._clock.now() if start is None else start), 0.0)

    def set(self, due: float) -> Status:
        """Wait until then (s of the clock).

        Returns
        -------
        ophyd.status.Status
            Done then, or by `wake` or `stop`.
        """
        status = Status(obj=self)
        with self._lock:
            former, self._status = self._status, status
        _end(former)
        self._look(status, due)
        return status

    def _look(self, status: Status, due: float) -> None:
        left = due - self._clock.now()
        if left <= 0:
            self.wake(status)
        elif not status.done:
            timer = threading.Timer(self._clock.here(left), self._look, (status, due))
            timer.daemon = True
            timer.start()

    def wake(self, status: Status | None = None) -> None:
        """End the wait; of one that is over nothing happens."""
        with self._lock:
            waiting = self._status
            if waiting is None or (status is not None and status is not waiting):
                return
            self._status = None
        _end(waiting)

    def stop(self, *, success: bool = False) -> None:
        """As `wake`: the plan looks at the time itself."""
        self.wake()


def _end(status: Status | None) -> None:
    """Finish a status that only one thread ever gets hold of."""
    if status is not None:
        status.set_finished()
