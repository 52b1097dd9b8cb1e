"""A lock under which statuses become due that are finished when it is free again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["DueLock"]


class DueLock:
    """Reentrant; whoever hears of a status may take it at once, from another thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._due: list[Callable[[], None]] = []

    def later(self, action: Callable[[], None]) -> None:
        """Do this when the lock is free; called while it is held."""
        self._due.append(action)

    def __enter__(self) -> DueLock:
        self._lock.acquire()
        self._depth += 1
        return self

    def __exit__(self, *_: Any) -> None:
        due: list[Callable[[], None]] = []
        self._depth -= 1
        if not self._depth:
            due, self._due = self._due, []
        self._lock.release()
        for action in due:
            action()
