"""Which code is the user's, and which of its lines is being carried out."""

from __future__ import annotations

import inspect
import sys
import sysconfig
import threading
import traceback
from functools import cache
from pathlib import Path
from types import FrameType, TracebackType

from .. import plans

__all__ = ["is_users", "line_of_error", "line_of_script", "plan_being_made"]

_PACKAGE = Path(__file__).resolve().parents[1]
_LIBRARIES = tuple(
    str(Path(sysconfig.get_path(key)).resolve()) for key in ("stdlib", "platstdlib", "purelib")
)


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


def line_of_script() -> str | None:
    """The innermost line of the user's code that is being carried out: ``night.py:12``.

    In the thread of the RunEngine that is a line of a plan of his, if there is one; else the line
    of the main thread, that waits for the engine.
    """
    main = sys._current_frames().get(threading.main_thread().ident or 0)  # noqa: SLF001
    for top in (inspect.currentframe(), main):
        if top is not None:
            found = _last_users(list(traceback.walk_stack(top))[::-1])
            if found is not None:
                return found
    return None


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
