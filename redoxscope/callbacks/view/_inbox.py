"""What comes through the view's pipe."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO

from .. import wire
from .._analysis import Update
from .._update import update_from_wire

__all__ = ["Inbox", "complain"]

_said: set[str] = set()


def complain(text: str) -> None:
    """Say on standard error what is wrong, once."""
    if text not in _said:
        _said.add(text)
        print(f"redoxscope view: {text}", file=sys.stderr, flush=True)


class Inbox:
    """The newest snapshot of each map on a pipe; older ones that nobody looked at are dropped."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._newest: dict[tuple[str, str], Update] = {}
        self._news = threading.Event()
        self._end = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            while (message := wire.read(self._pipe)) is not None:
                self._take(*message)
        except wire.WireError as exc:
            # A pipe that ends in the middle of a snapshot is a parent that was killed.
            complain(str(exc))
        finally:
            self._end.set()
            self._news.set()

    def _take(self, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        try:
            update = update_from_wire(header, arrays)
        except Exception as exc:  # a snapshot that cannot be read is not shown, the next one is
            complain(f"{header.get('analysis')!r:.60} is not shown: {exc}")
            return
        key = update.analysis, update.part
        with self._lock:
            self._newest.pop(key, None)
            self._newest[key] = update
        self._news.set()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._end.is_set()

    def rest(self, seconds: float) -> None:
        """Wait, but not longer than there is something to wait for."""
        self._end.wait(seconds)

    def take(self, timeout: float | None) -> list[Update]:
        """Newest snapshot of each map, the last one last; none if none comes within ``timeout`` s.

        Once nothing more will come, all that is left.
        """
        self._news.wait(timeout)
        if not self.ended:
            self._news.clear()
        with self._lock:
            found, self._newest = list(self._newest.values()), {}
        return found
