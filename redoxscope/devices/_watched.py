"""Statuses that tell how far they are: bluesky's ``watch``, for progress bars."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from ophyd.status import Status

__all__ = ["Way", "watchable"]

log = logging.getLogger("redoxscope.devices")

TELL_EVERY = 0.2
"""Time (s) between two reports to whoever watches."""

S = TypeVar("S", bound=Status)


@dataclass(frozen=True)
class Way:
    """From where to where, and how long it should take.

    Parameters
    ----------
    name : str
        As a bar shows it.
    unit : str
    initial, target : float
        In ``unit``.
    seconds : float
        Time that the device declares for it.
    position : callable, optional
        Where it is now, by its last monitor. Without it, what goes by is time.
    """

    name: str
    unit: str
    initial: float
    target: float
    seconds: float
    position: Callable[[], float] | None = None

    def report(self, elapsed: float) -> dict[str, Any]:
        """What a watcher is told after so many seconds.

        The fraction is of the time: a readback may come in steps, or only at the end.
        """
        share = min(elapsed / self.seconds, 1.0) if self.seconds > 0 else 1.0
        if self.position is None:
            current = self.initial + share * (self.target - self.initial)
        else:
            current = self.position()
        return {
            "name": self.name,
            "current": current,
            "initial": self.initial,
            "target": self.target,
            "unit": self.unit,
            "precision": 3,
            "fraction": share,
            "time_elapsed": elapsed,
            "time_remaining": max(self.seconds - elapsed, 0.0),
        }


def watchable(status: S, way: Way, clock: Callable[[], float] = time.monotonic) -> S:
    """Give a status a ``watch(function)``; nothing is done until somebody watches.

    Parameters
    ----------
    status : Status
        Just begun.
    way : Way
    clock : callable
        Time (s).
    """
    begun = clock()

    def watch(function: Callable[..., Any]) -> None:
        over = threading.Event()
        status.add_callback(lambda _: over.set())
        tell = partial(_tell, function, way, lambda: clock() - begun, over)
        threading.Thread(target=tell, daemon=True, name=f"watch {way.name}").start()

    status.watch = watch
    return status


def _tell(
    function: Callable[..., Any], way: Way, elapsed: Callable[[], float], over: threading.Event
) -> None:
    """Report until it is over; a watcher that fails is told no more, and the move goes on."""
    try:
        while not over.is_set():
            function(**way.report(elapsed()))
            over.wait(TELL_EVERY)
    except Exception as exc:  # a bar on a closed terminal, in a thread of its own
        log.debug("who watched %s failed: %r", way.name, exc)
