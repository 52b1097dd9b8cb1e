"""Points during a ramp: how late its clock is, what a point costs, memory over 24 hours.

Jitter: the plan with a clock of real time and a heater that is only calculated. Memory: 24 hours
of the beamline, whose clock jumps to the next thing that is waited for, with the document log.
"""

from __future__ import annotations

import gc
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from bluesky import RunEngine

from redoxscope.plans import measure_during_ramp
from redoxscope.storage import DocumentLog
from redoxscope.testing import FakeClock, FakePoint, PromptHeater

HOURS = 24
EVERY = 60.0


class _Real:
    """Time (s) of this machine."""

    now = staticmethod(time.monotonic)

    def here(self, seconds: float) -> float:
        return seconds


class _Jumping(FakeClock):
    """Time that passes as soon as somebody waits for it."""

    heater: Any = None

    def here(self, seconds: float) -> float:
        self.advance(min(seconds, 1.0))  # a reading a second, as a monitor tells
        self.heater.follow()
        return 0.0


class _Heater(PromptHeater):
    """Ramps at its rate by its clock."""

    def __init__(self, clock: Any) -> None:
        super().__init__(clock=clock, prompt=False)
        self.begun: tuple[float, float] | None = None

    def time_to(
        self, target: float, start: float | None = None, rate: float | None = None
    ) -> float:
        return 60.0 * abs(target - (self.position if start is None else start)) / self.rate.value

    def set(self, value: float) -> Any:
        status = super().set(value)
        self.begun = self.clock.now(), self.position
        if self.position == value:
            self._moves.remove(status)
            status.set_finished()
        return status

    def follow(self) -> None:
        if self.begun is None or not self._moves:
            return
        at, start = self.begun
        there = start + self.rate.value / 60 * (self.clock.now() - at)
        self.temperature.put(min(there, self.setpoint.value))
        if there >= self.setpoint.value:
            moves, self._moves = self._moves, []
            for status in moves:
                status.set_finished()


def _jitter() -> dict[str, float]:
    clock: Any = _Real()
    heater = _Heater(clock)
    heater.temperature.put(25.0)
    late: list[tuple[float, float]] = []
    detector = FakePoint("det")
    real = detector.trigger

    def trigger() -> Any:
        heater.follow()
        return real()

    detector.trigger = trigger  # type: ignore[method-assign]

    def look(name: str, doc: dict[str, Any]) -> None:
        if name == "event" and "ramp_late" in doc["data"]:
            late.append((doc["data"]["ramp_late"], doc["data"]["ramp_tries"]))

    engine = RunEngine({})
    engine.subscribe(look)
    # 10 s: at this rate from 25 to 35 degC
    engine(measure_during_ramp(heater, 25, 35, rate=60, detectors=[detector], every=0.05))
    values = np.array([each for each, _ in late[:-1]])
    return {
        "points": len(values),
        "median": float(np.median(values)),
        "p95": float(np.percentile(values, 95)),
        "worst": float(values.max()),
        "drift": float(np.median(values[-20:]) - np.median(values[:20])),
    }


def _memory() -> dict[str, float]:
    clock = _Jumping()
    heater = _Heater(clock)
    clock.heater = heater
    heater.temperature.put(25.0)
    process, seen, points = psutil.Process(), [], 0

    def look(name: str, doc: dict[str, Any]) -> None:
        nonlocal points
        if name == "event" and "ramp_due" in doc["data"]:
            points += 1
            if points % (HOURS * 60 // 8) == 0:
                gc.collect()
                seen.append(process.memory_info().rss)

    with tempfile.TemporaryDirectory() as folder:
        log = DocumentLog(Path(folder))
        engine = RunEngine({})
        engine.subscribe(log)
        engine.subscribe(look)
        rate = 575 / (HOURS * 60)
        began = time.perf_counter()
        engine(measure_during_ramp(heater, 25, 600, rate=rate, detectors=[FakePoint("det")],
                                   every=EVERY))  # fmt: skip
        wall = time.perf_counter() - began
        log.close()
    return {
        "points": points,
        "hours": clock.time / 3600,
        "growth": (seen[-1] - seen[1]) / 1e6,
        "wall": wall,
    }


def rows() -> list[dict[str, object]]:
    """Figures as `__main__.show` takes them."""
    jitter, memory = _jitter(), _memory()
    return [
        {
            "what": "ramp clock: a point begins late, p95",
            "value": 1e3 * jitter["p95"],
            "unit": "ms",
            "target": None,
            "reference": f"{jitter['points']:.0f} points, one every 50 ms: median "
            f"{1e3 * jitter['median']:.2g} ms, worst {1e3 * jitter['worst']:.2g} ms, "
            f"drift {1e3 * jitter['drift']:.2g} ms",
        },
        {
            "what": f"memory growth over a ramp of {HOURS} h",
            "value": memory["growth"],
            "unit": "MB",
            "target": 5.0,
            "reference": f"from hour {HOURS // 4} to {memory['hours']:.1f}: {memory['points']:.0f} "
            f"points, T(t) once a second, document log; {memory['wall']:.0f} s",
        },
    ]


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
