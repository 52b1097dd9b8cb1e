"""Waiting for what goes on after the last line: maps that are solved, runs that are stored."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Protocol

__all__ = ["Finishing", "finish", "finish_at_the_end"]

log = logging.getLogger("redoxscope.session")

CLOSE_WAIT = 60.0
"""Longest time (s) that the end of a session waits for its maps and the catalog together."""
SIGNAL_WAIT = 20.0
"""The same (s) where a signal ends it: whoever sent it does not wait for ever."""
AT_LEAST = 5.0
"""Time (s) that the catalog has, however long the maps took."""
SAID_AFTER = 0.5
"""Time (s) after which a wait is told."""


class Finishing(Protocol):
    """Something that works on after the end of a run, on a thread of its own."""

    @property
    def pending(self) -> str:
        """What it works at, in words; "" where there is nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is pending; False where the time (s) did not suffice."""


def finish(parts: Iterable[Finishing], timeout: float | None = None) -> bool:
    """Wait until nothing is pending in any of them, and say what is waited for.

    Parameters
    ----------
    parts : iterable of Finishing
        Waited for one after another.
    timeout : float, optional
        Longest time for all together, s; by default as long as it takes.

    Returns
    -------
    bool
        False where the time did not suffice; what is left goes on, and is told.
    """
    parts = tuple(parts)
    end = None if timeout is None else time.monotonic() + timeout

    def left() -> float | None:
        return None if end is None else max(0.0, end - time.monotonic())

    for part in parts:
        at_first = left()
        done = part.wait(SAID_AFTER if at_first is None else min(SAID_AFTER, at_first))
        if done or not part.pending:  # one that has failed has nothing to be waited for
            continue
        rest = left()
        if rest != 0.0:
            limit = "" if rest is None else f", at most {rest:.0f} s"
            log.warning("waiting for %s%s (Ctrl-C: it goes on without you)", part.pending, limit)
        if not part.wait(rest) and part.pending:
            what = ", ".join(filter(None, (each.pending for each in parts)))
            after = "" if timeout is None else f" after {timeout:g} s"
            log.warning("not done%s: %s; it goes on", after, what)
            return False
    return True


class Storing(Finishing, Protocol):
    """What stores runs, and says at its end what it could not."""

    def close(self, timeout: float) -> None:
        """Wait for what is being stored, at most so long (s), and say what is left."""


def finish_at_the_end(
    maps: Iterable[Finishing], stored: Storing, *late: Finishing, by_signal: bool
) -> None:
    """Wait, when a session ends, for maps and then for the catalog; Ctrl-C ends the waiting.

    Parameters
    ----------
    maps : iterable of Finishing
    stored : Storing
        It waits for the maps' results, too.
    *late : Finishing
        What stores results after their run.
    by_signal : bool
        A signal ends the session.
    """
    limit = SIGNAL_WAIT if by_signal else CLOSE_WAIT
    end = time.monotonic() + limit
    maps = tuple(maps)
    try:
        finish(maps, limit / 2)  # the other half is the catalog's, which waits for their results
    except KeyboardInterrupt:
        log.warning("Ctrl-C: the maps are not waited for")
    for part in maps:
        if part.pending and hasattr(part, "give_up"):
            part.give_up()
    stored.close(max(AT_LEAST, end - time.monotonic()))
    try:
        finish(late, max(AT_LEAST, end - time.monotonic()))
    except KeyboardInterrupt:
        log.warning("Ctrl-C: results that come late are not waited for")
