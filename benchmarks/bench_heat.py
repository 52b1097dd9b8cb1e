"""The simulated heating stage: overshoot, and what an hour of it costs.

``python -m benchmarks.bench_heat`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

import time
import tracemalloc

Row = dict[str, object]
RATES = (0.0, 2.0, 10.0, 30.0)
TARGETS = (100.0, 350.0, 600.0)
DAY = 24 * 3600.0
TICK = 12.0
"""Time of the heat (s) between two readings at 600 times its speed."""


def _overshoot(rate: float, target: float) -> float:
    """Of the block (degC), from 20 degC, with the default PID."""
    from redoxscope.sim.physics.thermal import Stage

    stage = Stage()
    stage.mode = "auto"
    stage.regulator.rate_c_min, stage.regulator.target_c = rate, target
    highest = 0.0
    for _ in range(int((60 * (target - 20) / rate if rate else 0.0) + 3600) // 5):
        stage.advance(5.0)
        highest = max(highest, stage.plant.block_c)
    return highest - target


def _day() -> tuple[float, float]:
    """Time (ms) for an hour of heat, and growth (kB) over the second half of a day's ramp."""
    from redoxscope.sim.physics.thermal import Stage

    stage = Stage()
    stage.mode = "auto"
    stage.regulator.rate_c_min, stage.regulator.target_c = 580 / (DAY / 60), 600.0
    began = time.perf_counter()
    for _ in range(300):
        stage.advance(TICK)
    hour = 1e3 * (time.perf_counter() - began)
    tracemalloc.start()
    for _ in range(int(DAY / 2 / TICK)):
        stage.advance(TICK)
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(int(DAY / 2 / TICK)):
        stage.advance(TICK)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return hour, (after - before) / 1e3


def rows() -> list[Row]:
    """Figures of the simulated heat."""
    worst = max(_overshoot(rate, target) for rate in RATES for target in TARGETS)
    hour, growth = _day()
    return [
        {
            "what": "overshoot with the default PID, up to 600 °C, 0 to 30 °C/min",
            "value": worst,
            "unit": "°C",
            "target": 1,
            "reference": "",
        },
        {
            "what": "an hour of a heated stage",
            "value": hour,
            "unit": "ms",
            "target": 100,
            "reference": "at 600 times its speed: 6 s",
        },
        {
            "what": "memory over the second half of a ramp of 24 h",
            "value": growth,
            "unit": "kB",
            "target": 10,
            "reference": "",
        },
    ]


if __name__ == "__main__":
    from benchmarks.__main__ import show

    show(rows())
