"""Runs that are not stored when their process ends: a process of its own stores them.

Once the interpreter is ending, its libraries begin no threads and open no tables any more, and
nothing new of them can be imported.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

__all__ = ["can_be_stored_here", "store_in_a_process"]

STORING = "redoxscope.storage"
"""What is run as a module to store logs: it takes the order on its standard input."""

log = logging.getLogger("redoxscope.storage")


def can_be_stored_here() -> bool:
    """Whether this process can still store runs: it is not ending."""
    # Python says so nowhere else in the time in which it waits for the threads of executors.
    shutting_down = getattr(threading, "_SHUTTING_DOWN", False)
    return threading.main_thread().is_alive() and not shutting_down


def store_in_a_process(
    logs: Sequence[Path], profile: str | None, directory: Path | None, *, timeout: float
) -> None:
    """Store runs in a new process and wait for it; one that has not ended in time is ended.

    Parameters
    ----------
    logs : sequence of Path
        The runs' logs.
    profile, directory
        As for `open_catalog`. Without a profile nothing is done: the catalog is one that only
        this process has open.
    timeout : float
        Longest time, s.
    """
    if not logs or profile is None:
        return
    log.warning(
        "storing %d run%s of this process, at most %.0f s; Ctrl-C leaves it to redoxscope recover",
        len(logs),
        "" if len(logs) == 1 else "s",
        timeout,
    )
    order = json.dumps([profile, None if directory is None else str(directory), *map(str, logs)])
    command = [sys.executable, "-m", STORING]
    try:
        subprocess.run(command, input=order, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired:
        log.warning("not stored within %.0f s", timeout)
    except KeyboardInterrupt:
        log.warning("Ctrl-C: not stored")
    except OSError as exc:
        log.warning("not stored: %s", exc)
