"""The clock of a dry run: it advances by what would have taken time."""

from __future__ import annotations

import datetime as datetime_module
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from ._frames import called_by_user

__all__ = ["Timeline", "users_time"]

ENGINE_THREAD = "bluesky-run-engine"


class Timeline:
    """Time since the script began (s).

    What begins in one group goes on at the same time, and counts once: as long as its longest part.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._ends: dict[Any, float] = {}

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        self.now += max(float(seconds), 0.0)

    def begins(self, group: Any, seconds: float) -> None:
        """Something begins now that takes so long, and is waited for by its group."""
        self.ends(group, self.now + seconds)

    def ends(self, group: Any, when: float) -> None:
        """Something under way ends at this time."""
        self._ends[group] = max(self._ends.get(group, 0.0), when)

    def waited(self, group: Any) -> None:
        """Somebody waited until all of the group had ended."""
        self.now = max(self.now, self._ends.pop(group, 0.0))

    def forget(self) -> None:
        """Nobody will wait any more for what is under way."""
        self._ends.clear()


@contextmanager
def users_time(timeline: Timeline) -> Iterator[None]:
    """Have the user's own code live in the timeline: its sleeps are over at once, and are counted.

    ``time.sleep``, ``time.time``, ``time.monotonic``, ``time.perf_counter`` and
    ``datetime.now`` are asked by everybody; only where the caller is the user's script (or a
    module of his), in the main thread or in a plan, do they answer otherwise.
    """
    began = {name: getattr(time, name)() for name in ("time", "monotonic", "perf_counter")}
    really_sleep = time.sleep  # noqa: TID251  for whoever is not the script
    real_datetime = datetime_module.datetime

    def in_script() -> bool:
        thread = threading.current_thread()
        main = thread is threading.main_thread() or thread.name == ENGINE_THREAD
        return main and called_by_user(depth=3)

    def sleep(seconds: float, /) -> None:
        if in_script():
            timeline.passes(seconds)
        else:
            really_sleep(seconds)

    def clock(name: str) -> Callable[[], float]:
        real = getattr(time, name)

        def now() -> float:
            return float(began[name] + timeline.now if in_script() else real())

        return now

    class _Kind(type):
        def __instancecheck__(cls, other: Any) -> bool:
            return isinstance(other, real_datetime)

        def __subclasscheck__(cls, other: Any) -> bool:
            return issubclass(other, real_datetime)

    class _Datetime(datetime_module.datetime, metaclass=_Kind):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            seen = began["time"] + timeline.now if in_script() else None
            return real_datetime.now(tz) if seen is None else real_datetime.fromtimestamp(seen, tz)

        @classmethod
        def today(cls) -> Any:
            seen = began["time"] + timeline.now if in_script() else None
            return real_datetime.today() if seen is None else real_datetime.fromtimestamp(seen)

    with ExitStack() as patched:
        patched.enter_context(mock.patch.object(time, "sleep", sleep))
        for name in began:
            patched.enter_context(mock.patch.object(time, name, clock(name)))
        patched.enter_context(mock.patch.object(datetime_module, "datetime", _Datetime))
        yield
