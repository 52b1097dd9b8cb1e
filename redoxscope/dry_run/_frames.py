"""Which code is the user's, and which of its lines is being carried out."""

from __future__ import annotations

import inspect
import sysconfig
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType

from .. import plans

__all__ = ["is_users", "line_of_error", "line_of_script", "plan_being_made", "waiting"]

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = tuple(
    str(Path(sysconfig.get_path(key)).resolve()) for key in ("stdlib", "platstdlib", "purelib")
)

_waiting: list[str | None] = []


@cache
def is_users(file: str) -> bool:
    """Whether a file is the user's own: no library, and none of this package."""
    if file.startswith("<"):
        return False
    path = Path(file).resolve()
    if path.is_relative_to(_PACKAGE) or {"site-packages", "dist-packages"} & set(path.parts):
        return False
    return not str(path).startswith(_LIBRARIES)


def _where(file: str, line: int) -> str:
    return f"{Path(file).name}:{line}"


def _last_users(frames: list[tuple[FrameType, int]]) -> str | None:
    users = [(frame, line) for frame, line in frames if is_users(frame.f_code.co_filename)]
    if not users:
        return None
    frame, line = users[-1]
    return _where(frame.f_code.co_filename, line)


def _own_line() -> str | None:
    return _last_users(list(traceback.walk_stack(inspect.currentframe()))[::-1])


@contextmanager
def waiting() -> Iterator[None]:
    """Remember which line of the user's code waits here for the engine, for the engine's thread.

    That one cannot look it up: the frames of a thread that runs change while they are walked, and
    the walk may never end.
    """
    _waiting.append(_own_line())
    try:
        yield
    finally:
        _waiting.pop()


def line_of_script() -> str | None:
    """The innermost line of the user's code that is being carried out: ``night.py:12``.

    In the thread of the RunEngine that is a line of a plan of his, if there is one; else the line
    that waits for the engine.
    """
    return _own_line() or (_waiting[-1] if _waiting else None)


def line_of_error(error: BaseException) -> str | None:
    """The innermost line of the user's code that an error came through."""
    if isinstance(error, SyntaxError) and error.filename and is_users(error.filename):
        return _where(error.filename, error.lineno or 0)
    trace: TracebackType | None = error.__traceback__
    return _last_users(list(traceback.walk_tb(trace)))


def plan_being_made() -> str | None:
    """The plan of this package that is being carried out in this thread, where a frame tells."""
    folder = _PACKAGE / "plans"
    for frame, _ in traceback.walk_stack(inspect.currentframe()):
        name = frame.f_code.co_name.lstrip("_")
        if folder in Path(frame.f_code.co_filename).parents and name in plans.__all__:
            return name
    return None
