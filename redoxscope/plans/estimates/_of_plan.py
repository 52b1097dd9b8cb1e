"""What a whole plan will take: its messages are read, and none of them is carried out."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bluesky import Msg
from bluesky.utils import Plan

from .._foretold import Foreseen
from .._readable import duration
from ._estimated import Estimate, exposed
from ._times import move_time, point_time

__all__ = ["PlanEstimate", "is_plan", "largest", "plan_estimate"]

MOST_MESSAGES = 5_000_000
"""Of a plan without an end."""


@dataclass(frozen=True)
class PlanEstimate:
    """What `estimate` found out about a plan; its ``repr`` is a table.

    Attributes
    ----------
    total : float
        From its call to its end, as far as devices say what takes time (s).
    live : float
        With detectors counting (s).
    runs : int
    events : int
        Events that its own messages save; those of scans that are counted whole are not in it.
    refused : tuple of str
        Why it would not begin, or would end; empty where nothing speaks against it.
    unknown : tuple of str
        What is not in the time or the dose, and why.
    photons, dose_gy : float or None
        On the pixel, or place, that has most of one run, and what they leave there (Gy); None
        where that is not known.
    """

    total: float
    live: float = 0.0
    runs: int = 0
    events: int = 0
    refused: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    photons: float | None = None
    dose_gy: float | None = None

    @property
    def ok(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.refused

    def __repr__(self) -> str:
        runs = "1 run" if self.runs == 1 else f"{self.runs} runs"
        lines = [runs, f"time      {duration(self.total)}", f"  live    {duration(self.live)}"]
        if self.photons is not None:
            lines.append(f"a place   {exposed(self.photons, self.dose_gy)}")
        lines += [f"unknown   {text}" for text in self.unknown]
        lines += [f"refused   {text}" for text in self.refused] or ["refused   nothing"]
        return "\n".join(lines)


def is_plan(thing: Any) -> bool:
    """Whether it is a plan, that is a generator of messages."""
    return isinstance(thing, Plan) or inspect.isgenerator(thing)


def plan_estimate(plan: Any, of_scan: Callable[..., Estimate]) -> PlanEstimate:
    """Read the messages of a plan; see `estimate`, which says what a scan takes."""
    return _Reader(of_scan).read(plan)


class _Reader:
    """Time that passes by messages: what begins in a group lasts as long as its longest part."""

    def __init__(self, of_scan: Callable[..., Estimate]) -> None:
        self._of_scan = of_scan
        self.photons: float | None = None
        self.dose_gy: float | None = None
        self.now = self.live = 0.0
        self.runs = self.events = 0
        self.refused: list[str] = []
        self.unknown: dict[str, None] = {}
        self._set: dict[Any, Any] = {}  # what a device was set to last
        self._ends: dict[Any, float] = {}
        self._counts: dict[Any, float] = {}

    def read(self, plan: Any) -> PlanEstimate:
        messages = iter(plan)
        try:
            for _ in self._carried_by(messages):
                pass
        except (ValueError, RuntimeError, TimeoutError) as exc:
            self.refused.append(" ".join(str(exc).split()))
        finally:
            messages.close()
        return PlanEstimate(
            self.now, self.live, self.runs, self.events, tuple(self.refused), tuple(self.unknown),
            self.photons, self.dose_gy,
        )  # fmt: skip

    def _carried_by(self, messages: Any) -> Iterator[None]:
        answer: Any = None
        for _ in range(MOST_MESSAGES):
            try:
                msg = messages.send(answer)
            except StopIteration:
                return
            answer = self._answer(msg)
            yield
        self.unknown[f"it was read up to its message {MOST_MESSAGES}, and does not end"] = None

    def _answer(self, msg: Msg) -> Any:
        group = msg.kwargs.get("group")
        if msg.command == "set":
            self._sets(msg, group)
        elif msg.command == "trigger":
            seconds = self._known(point_time, msg.obj, self._set)
            self._begins(group, seconds)
            self._counts[group] = max(self._counts.get(group, 0.0), seconds)
        elif msg.command in ("wait", "sleep"):
            self._waits(msg, group)
        elif msg.command == "null" and "scan" in msg.kwargs:
            return self._foreseen(msg.kwargs["scan"], msg.obj)
        elif msg.command == "open_run":
            self.runs += 1
        elif msg.command == "save":
            self.events += 1
        elif msg.command == "kickoff":
            self.unknown[f"how long {msg.obj.name} flies"] = None
        elif msg.command in ("pause", "input"):
            self.unknown["how long somebody takes to answer"] = None
        return None

    def _sets(self, msg: Msg, group: Any) -> None:
        value = (*msg.args, None)[0]
        self._begins(group, self._known(move_time, msg.obj, value, self._set))
        self._set[msg.obj] = value

    def _known(self, ask: Any, device: Any, *args: Any) -> float:
        """Seconds that a device declares; 0 and a note where it does not."""
        seconds = ask(device, *args)
        if seconds is None:
            text = f"{device.name} does not say how long its moves take: they are counted as 0 s"
            self.unknown[text] = None
            return 0.0
        return float(seconds)

    def _begins(self, group: Any, seconds: float) -> None:
        self._ends[group] = max(self._ends.get(group, 0.0), self.now + seconds)

    def _waits(self, msg: Msg, group: Any) -> None:
        if msg.command == "sleep":
            self.now += float(msg.args[0])
            return
        group = msg.args[0] if msg.args else group
        self.now = max(self.now, self._ends.pop(group, 0.0))
        self.live += self._counts.pop(group, 0.0)

    def _foreseen(self, scan: Any, instruments: Any) -> bool:
        """Count a scan that a plan asks about; it then measures nothing."""
        if isinstance(scan, Foreseen):
            total, live = scan.total, scan.live
            self._set |= dict(scan.leaves)
            self.unknown |= dict.fromkeys(scan.unknown)
        else:
            asked = instruments if isinstance(instruments, tuple) else (instruments,)
            scan = self._of_scan(scan, *asked)
            total, live = scan.total, scan.live
            # The plan has made its checks; what is left are times that nobody says.
            self.unknown |= dict.fromkeys(scan.refused)
            if scan.photons is not None:  # without a flux nobody asks for the dose
                self.unknown |= dict.fromkeys(scan.unknown)
        self.photons = largest(self.photons, scan.photons)
        self.dose_gy = largest(self.dose_gy, scan.dose_gy)
        if math.isfinite(total):
            self.now += total
            self.live += live
        else:
            self.unknown["a device does not say how long its moves take"] = None
        return True


def largest(*values: float | None) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return max(known) if known else None
