"""What plans and the session tell while they work, at the prompt."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["shown_at_the_prompt"]

PACKAGE = "redoxscope"
TOLD = ("redoxscope.plans", "redoxscope.session")
"""Loggers whose news is for the user, too; of all others what is wrong."""
OTHERS = ("bluesky", "ophyd")
"""Packages whose errors are said in a line each, without tracebacks: a beamline that is gone gives
one for each of its devices, and what has to be checked by hand would scroll away."""
ERASE = "\r\x1b[K"


class _Lines(logging.Handler):
    """Plain lines on stderr, as Python's own of last resort: where nobody else takes a record.

    Whoever has configured logging himself, also later, gets what he configured.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if self._is_taken(record.name):
            return
        try:
            stream = sys.stderr
            # A progress bar stands in the line: it is drawn anew in the next one.
            start = ERASE if stream.isatty() else ""
            stream.write(f"{start}{self.format(record)}\n")
            stream.flush()
        except Exception:
            self.handleError(record)

    def _is_taken(self, name: str) -> bool:
        """Whether somebody else has a handler where a logger's records come by."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if any(handler is not self for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False


class _Short(logging.Formatter):
    """The message and the error, without its traceback; with ``REDOXSCOPE_DEBUG=1`` all of it."""

    def format(self, record: logging.LogRecord) -> str:
        if os.environ.get("REDOXSCOPE_DEBUG") or not record.exc_info:
            return super().format(record)
        error = record.exc_info[1]
        return f"{record.getMessage().rstrip('.')}: {type(error).__name__}: {error}"


_lines = _Lines()
_short = _Lines(logging.WARNING)  # as Python's own of last resort
_short.setFormatter(_Short())
_lock = threading.Lock()
_sessions = 0
_changed: list[logging.Logger] = []


@contextmanager
def shown_at_the_prompt() -> Iterator[None]:
    """Show what is told of plans and session, once however many sessions are open.

    Where the user has configured logging, nothing changes.
    """
    global _sessions
    with _lock:
        if not _sessions:
            _begin()
        _sessions += 1
    try:
        yield
    finally:
        with _lock:
            _sessions -= 1
            if not _sessions:
                _end()


def _begin() -> None:
    if logging.getLogger().handlers or logging.getLogger(PACKAGE).handlers:
        return
    logging.getLogger(PACKAGE).addHandler(_lines)
    for logger in map(logging.getLogger, TOLD):
        if logger.level == logging.NOTSET:
            logger.setLevel(logging.INFO)
            _changed.append(logger)
    for logger in map(logging.getLogger, OTHERS):
        if not logger.handlers:
            logger.addHandler(_short)


def _end() -> None:
    logging.getLogger(PACKAGE).removeHandler(_lines)
    for logger in map(logging.getLogger, OTHERS):
        logger.removeHandler(_short)
    while _changed:
        logger = _changed.pop()
        if logger.level == logging.INFO:  # not what the user has set since
            logger.setLevel(logging.NOTSET)
