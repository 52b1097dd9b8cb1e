"""How far a run is, and how long it will take yet."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from bluesky import Msg
from bluesky.utils import MsgGenerator

from ...scan import Scan
from .._schedule import Schedule, schedule

__all__ = ["RunProgress", "with_progress"]

log = logging.getLogger("redoxscope.plans")

TELL_EVERY = 0.5
"""Time (s) between two reports to a watcher."""
TRUST = 5.0
"""So much planned time (s) has to pass before what was measured counts as much as the plan."""
OUTLIER = 3.0
"""A step that takes so many times as long as due tells of an outage, not of the pace."""
STARTING = frozenset({"set", "trigger", "kickoff", "complete", "prepare"})
"""Messages to which the RunEngine answers with a status."""


class RunProgress:
    """Progress of one run: planned first, then corrected by how long it really took so far.

    bluesky tells it of events (it is subscribed), of pauses (it is seen in a message, as a device
    would be) and nothing else. Time in a pause does not count. Whoever has a status whose
    ``watch`` is this one's is told of the whole run.

    Parameters
    ----------
    times : Schedule
    name : str
        As a bar shows it.
    clock : callable
        Time (s).
    """

    parent = None

    def __init__(
        self, times: Schedule, name: str = "run", clock: Callable[[], float] = time.monotonic
    ):
        self.name, self._clock = name, clock
        self._lock = threading.Lock()
        self._steps(times)
        self._begun = clock()
        self._paused_at: float | None = None
        self._paused = 0.0
        self._done = self._pace_planned = self._pace_taken = 0.0
        self._news_at = 0.0  # elapsed, at the last event
        self._shown = 0.0
        self._watcher: Callable[..., Any] | None = None
        self._ticker: threading.Thread | None = None
        self.over = threading.Event()
        self.resting: Callable[[], None] | None = None
        """Called where a pause begins and at the end, so that a bar leaves the prompt alone."""
        self.ends_early: Callable[[], tuple[float, str]] | None = None
        """Seconds that it will take yet from when that was last foretold (NaN: not known), and
        why, in words, where a plan ends when it has enough."""
        self._early, self._early_at = (math.nan, ""), 0.0

    def _steps(self, times: Schedule) -> None:
        """When, in planned seconds, each part begins, and how long each of its events takes."""
        known = math.isfinite(times.total)
        events = times.events
        before = times.motion + times.software if known else np.zeros(len(events))
        within = times.live + times.flight if known else events.astype(float)
        ends = np.cumsum(before + within)
        self._each = within / events
        self._first = ends - within
        self._events = events
        self._total = float(ends[-1])

    # -- what has happened --------------------------------------------------------------------

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Callback of documents: an event names the part of the scan that it ends.

        It never raises: a bar is not worth a run.
        """
        if name not in ("event", "event_page"):
            return
        try:
            data = doc["data"]
            if "frame" in data and "line" in data:
                frame, line = data["frame"], data["line"]
                if name == "event_page":
                    frame, line = frame[-1], line[-1]
                self._reached(int(frame), int(line))
            elif "exposure" in data and "places" in data:
                self._reached(int(data["exposure"]), int(data["first"]) + int(data["places"]) - 1)
            elif "point" in data:
                point = data["point"]
                self._reached(int(point[-1] if name == "event_page" else point), 0)
        except Exception:
            log.exception("the progress of the run is not known any more")

    def _reached(self, part: int, event: int) -> None:
        done = float(self._first[part] + self._each[part] * (event + 1))
        with self._lock:
            elapsed = self._elapsed()
            planned = done - self._done
            if planned <= 0:  # measured again after a pause
                return
            taken = elapsed - self._news_at
            # What an outage or a dark beam takes once says nothing about what is to come.
            usual = OUTLIER * self._pace() * planned + 1.0
            self._pace_planned += planned
            self._pace_taken += min(taken, usual)
            self._done, self._news_at = done, elapsed

    def begin_at(self, part: int, event: int) -> None:
        """What comes before was done in another run."""
        self._done = float(self._first[part] + self._each[part] * event)

    def pause(self) -> None:
        """bluesky's: the run rests from now on."""
        with self._lock:
            if self._paused_at is None:
                self._paused_at = self._clock()
        self._rest()

    def resume(self) -> None:
        """bluesky's: the run goes on."""
        with self._lock:
            if self._paused_at is not None:
                self._paused += self._clock() - self._paused_at
                self._paused_at = None

    def end(self) -> None:
        """The run is over, however it ended."""
        self.over.set()
        self._rest()

    def _rest(self) -> None:
        if self.resting is not None:
            self.resting()

    @property
    def paused(self) -> bool:
        """Whether it rests."""
        return self._paused_at is not None

    # -- what is to come ----------------------------------------------------------------------

    def _elapsed(self) -> float:
        now = self._clock() if self._paused_at is None else self._paused_at
        return now - self._begun - self._paused

    def _pace(self) -> float:
        """Seconds that a planned second takes."""
        return (TRUST + self._pace_taken) / (TRUST + self._pace_planned)

    def _next_step(self) -> float:
        """Planned seconds from the last event to the next."""
        part = int(np.searchsorted(self._first, self._done + 1e-9, side="right")) - 1
        if part < 0:
            return float(self._first[0] + self._each[0]) - self._done
        end = self._first[part] + self._each[part] * self._events[part]
        if self._done < end - 1e-9:
            return float(self._each[part])
        if part + 1 < len(self._first):
            return float(self._first[part + 1] + self._each[part + 1]) - self._done
        return self._total - self._done

    def report(self) -> dict[str, Any]:
        """As bluesky's watchers are told; times in s, ``current`` of ``target`` is of time.

        The fraction never falls.
        """
        with self._lock:
            elapsed, left = self._elapsed_and_left()
            if self.over.is_set():
                left = 0.0
            whole = elapsed + left
            self._shown = max(self._shown, elapsed / whole if whole > 0 else 1.0)
            return {
                "name": self.name,
                "current": self._shown * whole,
                "initial": 0.0,
                "target": whole,
                "unit": "s",
                "precision": 1,
                "fraction": self._shown,
                "time_elapsed": elapsed,
                "time_remaining": left,
            }

    def _elapsed_and_left(self) -> tuple[float, float]:
        """Times (s) since it began, without pauses, and until it ends."""
        elapsed, pace = self._elapsed(), self._pace()
        step = min((elapsed - self._news_at) / pace, self._next_step())
        left = max(self._total - self._done - step, 0.0) * pace
        if self.ends_early is not None:
            told = self.ends_early()
            if told != self._early:
                self._early, self._early_at = told, elapsed
            if not math.isnan(told[0]):
                left = min(left, max(told[0] - (elapsed - self._early_at), 0.0))
        return elapsed, left

    @property
    def why(self) -> str:
        """How far a plan is that ends when it has enough, in words; empty for any other."""
        return "" if self.ends_early is None else self.ends_early()[1]

    def watch(self, function: Callable[..., Any]) -> None:
        """Have ``function(**report)`` called now and then; of several, the last one only."""
        self._watcher = function
        if self._ticker is None:
            self._ticker = threading.Thread(target=self._tick, daemon=True, name="progress")
            self._ticker.start()

    def _tick(self) -> None:
        while not self.over.is_set():
            watcher = self._watcher
            if watcher is not None and not self.paused:
                try:
                    watcher(**self.report())
                except Exception as exc:  # a bar on a closed terminal; the run goes on without
                    log.warning("no progress is shown any more: %r", exc)
                    return
            self.over.wait(TELL_EVERY)


def with_progress(
    plan: MsgGenerator[Any],
    scan: Scan,
    *instruments: Any,
    name: str = "run",
    begin: tuple[int, int] = (0, 0),
    ends_early: Callable[[], tuple[float, str]] | None = None,
) -> MsgGenerator[Any]:
    """Run a plan whose statuses tell how far the whole run is.

    To be used within the run, around what measures the scan. Events must name their part:
    ``frame`` and ``line``, ``point``, or ``exposure``, ``first`` and ``places``.

    Parameters
    ----------
    plan : generator
    scan : Scan
    *instruments : device
        As of `estimate`.
    name : str
        As a bar shows it.
    begin : tuple of int
        Part and event of it that the run begins at.
    ends_early : callable, optional
        As of `RunProgress`.

    Yields
    ------
    bluesky.Msg
        First a subscription, and one ``null`` by which the RunEngine gets to know of it.
    """
    # No generator function itself: a queue server would list it as a plan.
    return _with_progress(plan, scan, instruments, name, begin, ends_early)


def _with_progress(
    plan: MsgGenerator[Any],
    scan: Scan,
    instruments: tuple[Any, ...],
    name: str,
    begin: tuple[int, int],
    ends_early: Callable[[], tuple[float, str]] | None,
) -> MsgGenerator[Any]:
    progress = RunProgress(schedule(scan, *instruments), name)
    progress.ends_early = ends_early
    progress.begin_at(*begin)
    token = yield Msg("subscribe", None, progress, "all")
    yield Msg("null", progress)
    result = yield from _told(plan, progress)
    yield Msg("unsubscribe", None, token=token)
    return result


def _told(plan: MsgGenerator[Any], progress: RunProgress) -> MsgGenerator[Any]:
    """Give the first status of each group the run's ``watch``; one bar is enough."""
    groups: set[Any] = set()
    answer: Any = None
    error: BaseException | None = None
    try:
        while True:
            try:
                msg = plan.send(answer) if error is None else plan.throw(error)
            except StopIteration as stop:
                return stop.value
            error = None
            try:
                answer = yield msg
            except GeneratorExit:
                plan.close()
                raise
            except BaseException as exc:
                answer, error = None, exc
                continue
            group = msg.kwargs.get("group")
            if msg.command == "wait":
                groups.discard(group)
            elif msg.command in STARTING and group not in groups and answer is not None:
                if hasattr(answer, "add_callback"):
                    groups.add(group)
                    answer.watch = progress.watch
    finally:
        progress.end()
