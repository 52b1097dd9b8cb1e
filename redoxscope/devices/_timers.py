"""Time limits: one thread keeps them all, for starting one costs more than what it guards."""

from __future__ import annotations

import heapq
import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

from ._numbers import seconds as time_limit

__all__ = ["Timer", "Watchdog", "call_later"]

log = logging.getLogger("redoxscope.devices")


class Timer:
    """An action that is due, unless cancelled before."""

    def __init__(self, when: float, action: Callable[[], None]):
        self.when = when
        self._action: Callable[[], None] | None = action

    def cancel(self) -> None:
        """Do not do it; without effect once it has begun."""
        self._action = None

    def run(self) -> None:
        action, self._action = self._action, None
        if action is None:
            return
        try:
            action()
        except BaseException:  # whatever it is, the other time limits are still to be kept
            log.exception("what a time limit asked for failed")

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when


class TimeKeeper:
    """A thread and what it has to do when."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._due: list[Timer] = []
        self._thread: threading.Thread | None = None

    def call_later(self, seconds: Any, action: Callable[[], None]) -> Timer:
        """As `call_later`, by this keeper's thread."""
        # Plain and checked: what the thread trips over would end everybody's time limits.
        timer = Timer(time.monotonic() + time_limit("time limit", seconds), action)
        if timer.when == math.inf:
            return timer
        with self.changed:
            heapq.heappush(self._due, timer)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep, daemon=True, name="time-limits")
                self._thread.start()
            elif self._due[0] is timer:
                self.changed.notify()
        return timer

    def _keep(self) -> None:
        while True:
            with self.changed:
                while not self._due or self._due[0].when > time.monotonic():
                    left = self._due[0].when - time.monotonic() if self._due else math.inf
                    self.changed.wait(min(left, threading.TIMEOUT_MAX))
                timer = heapq.heappop(self._due)
            timer.run()


_keeper = TimeKeeper()


def call_later(seconds: Any, action: Callable[[], None]) -> Timer:
    """Call ``action()`` in some seconds, in the thread that all time limits share.

    Parameters
    ----------
    seconds : float
        Any real number; at once where it is not above 0, never where it is infinite.
    action : callable

    Raises
    ------
    ValueError
        NaN, or no number.
    """
    return _keeper.call_later(seconds, action)


class Watchdog:
    """Calls ``on_late()`` when nothing has fed it for too long.

    Parameters
    ----------
    on_late : callable
        It must ask `late` again under the caller's own lock: it may have been fed meanwhile.
        It runs in the thread of all time limits, so it must not wait for anything.
    """

    def __init__(self, on_late: Callable[[], None]):
        self._on_late = on_late
        self._lock = threading.Lock()
        self._deadline = math.inf
        self._timer: Timer | None = None

    def feed(self, seconds: Any) -> None:
        """Call ``on_late`` in so many seconds, unless fed again or told to rest.

        Raises
        ------
        ValueError
            NaN, or no number.
        """
        seconds = time_limit("time limit", seconds)
        with self._lock:
            self._deadline = time.monotonic() + seconds
            # A timer that is too early looks again; this is called for every line.
            if self._timer is None or self._timer.when > self._deadline:
                self._start(seconds)

    def rest(self) -> None:
        """Wait for nothing."""
        with self._lock:
            self._deadline = math.inf
            self._stop()

    @property
    def armed(self) -> bool:
        """Whether it waits to be fed."""
        return self._deadline < math.inf

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._deadline

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _start(self, seconds: float) -> None:
        self._stop()
        self._timer = call_later(seconds, self._look)

    def _look(self) -> None:
        with self._lock:
            self._timer = None
            left = self._deadline - time.monotonic()
            if left > 0:
                if left < math.inf:
                    self._start(left)
                return
        self._on_late()
