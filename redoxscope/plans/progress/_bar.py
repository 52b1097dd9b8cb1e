"""A progress bar that stays for a whole run."""

from __future__ import annotations

import logging
import shutil
import sys
import threading
from collections.abc import Collection
from typing import Any

from bluesky.utils import ProgressBarManager, TerminalProgressBar

from .._readable import duration
from ._progress import RunProgress

__all__ = ["RunProgressBar"]

log = logging.getLogger("redoxscope.plans")

DRAW_EVERY = 0.5
"""Time (s) between two drawings."""
PATIENCE = 0.2
"""Longest time (s) that the end of a run, or a pause, waits for a terminal that takes nothing."""
ERASE = "\r\x1b[K"


class MoveBar(TerminalProgressBar):
    """bluesky's bar, of time where a status tells it: a readback may come only at the end."""

    def update(self, pos: Any, **report: Any) -> None:
        elapsed, left = report.get("time_elapsed"), report.pop("time_remaining", None)
        if elapsed is not None and left is not None:
            whole = elapsed + left
            report |= {"current": elapsed, "initial": 0.0, "target": whole, "unit": "s"}
        super().update(pos, **report)


class RunProgressBar(ProgressBarManager):
    """bluesky's `ProgressBarManager`, with one bar for a whole run where the plan tells of it.

    A run waits for each line: a bar that is made anew each time would flicker, and tell of the
    line only. This one draws in a thread of its own, twice a second, and only where ``stream`` is
    a terminal. Moves outside of such runs have bluesky's bars, of time. Whatever fails in it is
    logged, and ends the bar but no plan.

    Parameters
    ----------
    stream : file, optional
        By default whatever ``sys.stdout`` is when a run begins.

    Examples
    --------
    >>> from bluesky import RunEngine
    >>> RE = RunEngine()
    >>> RE.waiting_hook = RunProgressBar()
    """

    def __init__(self, stream: Any = None) -> None:
        super().__init__(MoveBar)
        self._stream = stream
        self._run: RunProgress | None = None
        self._broken = False

    def __call__(self, status_objs_or_none: Collection[Any] | None) -> None:
        """Bluesky's hook: these statuses are waited for, or (None) no longer."""
        if self._broken:
            return
        try:
            self._follow(status_objs_or_none)
        except Exception as exc:
            self._broken = True
            log.warning("no progress bar any more: %r", exc)

    def _follow(self, statuses: Collection[Any] | None) -> None:
        if statuses is None:
            if self.pbar is not None:
                super().__call__(None)
            return
        for status in statuses:
            run = getattr(getattr(status, "watch", None), "__self__", None)
            if isinstance(run, RunProgress):
                if run is not self._run:
                    self._run = run
                    stream = sys.stdout if self._stream is None else self._stream
                    if _is_terminal(stream):
                        _Line(run, stream).begin()
                return
        if _is_terminal(sys.stdout) and self.pbar is None:
            super().__call__(statuses)


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError):  # none, or closed
        return False


class _Line:
    """One line of a terminal, redrawn in its own thread for as long as a run goes on."""

    def __init__(self, run: RunProgress, stream: Any) -> None:
        self._progress, self._stream = run, stream
        self._lock = threading.Lock()
        self._drawn = False

    def begin(self) -> None:
        self._progress.resting = self._leave
        threading.Thread(target=self._keep, daemon=True, name="progress-bar").start()

    def _keep(self) -> None:
        over = self._progress.over
        try:
            while not over.wait(DRAW_EVERY):
                with self._lock:
                    if not (over.is_set() or self._progress.paused):
                        self._write(
                            ERASE + _text(self._progress.report(), self._progress.why) + "\r"
                        )
                        self._drawn = True
        except Exception as exc:  # a terminal that was closed: the run goes on
            self._drawn = False
            log.warning("no progress bar any more: %r", exc)

    def _leave(self) -> None:
        """Take the bar away, so that the prompt has its line for itself."""
        if not self._lock.acquire(timeout=PATIENCE):
            return  # the terminal takes nothing: nobody sees it either
        try:
            if self._drawn:
                self._drawn = False
                self._write(ERASE)
        except Exception as exc:
            log.warning("the progress bar could not be taken away: %r", exc)
        finally:
            self._lock.release()

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _text(report: dict[str, Any], why: str = "") -> str:
    """``run  37 % [=====     ] 2 min 10 s, 3 min 40 s left``, as wide as the terminal.

    Of a plan that ends when it has enough, then how far that is, as there is room.
    """
    width = shutil.get_terminal_size().columns - 1
    head = f"{report['name']} {report['fraction']:4.0%} "
    tail = f" {duration(report['time_elapsed'])}, {duration(report['time_remaining'])} left"
    if why:
        return f"{head}{tail.strip()}: {why}"[:width]
    room = min(width - len(head) - len(tail) - 2, 40)
    if room < 5:
        return (head + tail.strip())[:width]
    full = round(report["fraction"] * room)
    return f"{head}[{'=' * full}{' ' * (room - full)}]{tail}"
