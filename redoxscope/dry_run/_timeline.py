"""The clock of a dry run: it advances by what would have taken time."""

from __future__ import annotations

import builtins
import datetime as datetime_module
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

from ._frames import is_users

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

    What the script and modules of the user import as ``time`` and ``datetime`` are copies, whose
    ``sleep``, ``time``, ``monotonic``, ``perf_counter``, ``now`` and ``today`` go by the timeline.
    Libraries, which time their network, have the real ones.
    """
    copies = {"time": _time_of(timeline), "datetime": _datetime_of(timeline)}
    real = builtins.__import__

    def importing(
        name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> ModuleType:
        if name in copies and not level and is_users((globals or {}).get("__file__") or "<>"):
            return copies[name]
        return real(name, globals, locals, fromlist, level)

    with mock.patch.object(builtins, "__import__", importing):
        yield


def _copy(module: ModuleType, **changed: Any) -> ModuleType:
    copy = ModuleType(module.__name__, module.__doc__)
    copy.__dict__.update({**vars(module), **changed})
    return copy


def _time_of(timeline: Timeline) -> ModuleType:
    def sleep(seconds: float, /) -> None:
        thread = threading.current_thread()
        if thread is threading.main_thread() or thread.name == ENGINE_THREAD:
            timeline.passes(seconds)
        else:  # a thread of the user's own does not drive the clock
            time.sleep(seconds)  # noqa: TID251

    def clock(name: str) -> Callable[[], float]:
        began = getattr(time, name)()
        return lambda: float(began + timeline.now)

    names = ("time", "monotonic", "perf_counter")
    return _copy(time, sleep=sleep, **{name: clock(name) for name in names})


def _datetime_of(timeline: Timeline) -> ModuleType:
    real, began = datetime_module.datetime, time.time()

    class _Kind(type):
        def __instancecheck__(cls, other: Any) -> bool:
            return isinstance(other, real)

    class _Datetime(datetime_module.datetime, metaclass=_Kind):
        """Makes real ones; only what it takes for now is the timeline's."""

        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return real(*args, **kwargs)

        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return real.fromtimestamp(began + timeline.now, tz)

        @classmethod
        def today(cls) -> Any:
            return cls.now()

    return _copy(datetime_module, datetime=_Datetime)
