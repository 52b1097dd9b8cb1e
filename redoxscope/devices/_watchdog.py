"""A time limit that can be put off without starting a thread each time."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

__all__ = ["Watchdog"]


class Watchdog:
    """Calls ``on_late()``, in a thread of its own, when nothing has fed it for too long.

    Parameters
    ----------
    on_late : callable
        It must ask `late` again under the caller's own lock: it may have been fed meanwhile.
    """

    def __init__(self, on_late: Callable[[], None]):
        self._on_late = on_late
        self._lock = threading.Lock()
        self._deadline = math.inf
        self._timer: threading.Timer | None = None

    def feed(self, seconds: float) -> None:
        """Call ``on_late`` in so many seconds, unless fed again or told to rest."""
        with self._lock:
            self._deadline = time.monotonic() + seconds
            if self._timer is None:
                self._start(seconds)

    def rest(self) -> None:
        """Wait for nothing."""
        with self._lock:
            self._deadline = math.inf
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    @property
    def late(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self._deadline

    def _start(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._look)
        self._timer.daemon = True
        self._timer.start()

    def _look(self) -> None:
        with self._lock:
            if self._timer is not threading.current_thread():
                return  # told to rest, and perhaps fed again
            self._timer = None
            left = self._deadline - time.monotonic()
            if left > 0:
                if left < math.inf:
                    self._start(left)
                return
        self._on_late()
