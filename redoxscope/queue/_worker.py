"""The session of a queue server's worker: opened by its startup code, closed when it ends."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

__all__ = ["VARIABLE", "environment", "open_session"]

VARIABLE = "REDOXSCOPE_QUEUE"
"""Environment variable: what `redoxscope.start_session` is given, as JSON."""
PID_FILE = "worker.pid"
"""There while the session is: the manager lets go of a worker before it has ended."""

EARLIER_TIMEOUT = 60.0
"""Longest time (s) for the session of an earlier worker to be closed."""


def environment(options: Mapping[str, Any]) -> dict[str, str]:
    """The variable with which a worker opens its session.

    Parameters
    ----------
    options : mapping
        Arguments of `redoxscope.start_session` that JSON can say, and ``folder``: where the
        worker says its process id.
    """
    return {VARIABLE: json.dumps(dict(options))}


def open_session() -> dict[str, Any]:
    """Start the one session of this process, and give its names.

    The session is closed when the process ends: a worker is a child of ``multiprocessing``,
    which ends without the handlers of ``atexit``.

    Raises
    ------
    RuntimeError
        The variable is not set: this is for the worker that ``redoxscope queue`` starts.
    """
    from ..session import start_session
    from ..session.support import ready_catalog
    from ._names import names

    if VARIABLE not in os.environ:
        raise RuntimeError(
            f"{VARIABLE} is not set; start the manager with `redoxscope queue --beamline FILE`"
        )
    given = json.loads(os.environ[VARIABLE])
    pid_file = Path(given.pop("folder")) / PID_FILE
    wait_for_earlier(pid_file, EARLIER_TIMEOUT)
    session = start_session(**given)

    def close() -> None:
        session.close()
        pid_file.unlink(missing_ok=True)

    Finalize(None, close, exitpriority=100)
    pid_file.write_text(str(os.getpid()), encoding="utf-8")
    ready_catalog(session)  # takes seconds, which the first plan need not wait for
    return names(session)


def wait_for_earlier(pid_file: Path, timeout: float) -> None:
    """Wait until the session of an earlier worker is closed; one that was killed has none.

    Raises
    ------
    RuntimeError
        It is not closed within ``timeout`` (s).
    """
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while (pid := _pid(pid_file)) is not None and _there(pid):
        if time.monotonic() > deadline:
            raise RuntimeError(
                f"an earlier worker (process {pid}) has not closed its session in {timeout:g} s"
            )
        pause.wait(0.1)


def _pid(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):  # none, or half written by a machine that went down
        return None


def _there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
