"""Figures of a whole stack through IOC, devices, RunEngine and live map, at ``--speed 1``.

``python -m benchmarks.bench_stack`` prints them; `rows` returns them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from redoxscope import start_session
from redoxscope.callbacks import Host, OxidationMap, RixsMap
from redoxscope.demo import StackTiming
from redoxscope.storage import DocumentLog

Row = dict[str, object]
PIXELS = 100
ENERGIES = [635.0, 640.0, 641.0, 641.6, 642.4, 643.2, 644.4, 650.0]
STEP_POINTS = 60


def stack_rows() -> list[Row]:
    """Time beyond dwell, fly-back and move; latency of the map; a step scan beside it."""
    from redoxscope.plans import energy_stack

    with start_session(speed=1.0) as s:
        timing = StackTiming()
        s.RE.subscribe(timing)
        s.RE(energy_stack(s.stxm, edge="Mn L3", energies=ENERGIES, pixels=PIXELS, size=6))
        stxm = s.stxm
        times = timing.summary(
            speed=1.0,
            flyback=stxm.scanner.source.flyback.get(),
            time_to=stxm.energy.time_to,
        )
        latency = float(np.percentile(s.oxidation_map.latencies_ms, 95))
        move = stxm.energy.time_to(641.0, 640.0) * 1e3
        step = _step_scan_ms(s)
    per_line = f"step scan of the same line: {step * PIXELS:.0f} ms ({step:.1f} ms a point)"
    return [
        {"what": "software time per line, simulated stack", "unit": "ms", "target": 1.0,
         "value": times["software_ms_per_line"], "reference": per_line},
        {"what": "software time per energy, simulated stack", "unit": "ms", "target": 20.0,
         "value": times["software_ms_per_energy"],
         "reference": f"the move itself is declared as {move:.0f} ms for 1 eV"},
        {"what": "line done -> map updated, p95", "unit": "ms", "target": 50.0,
         "value": latency, "reference": f"{len(ENERGIES) * PIXELS} lines of {PIXELS} pixels"},
    ]  # fmt: skip


def _step_scan_ms(session: object) -> float:
    """Time of one point of a stock step scan, beyond its dwell (ms)."""
    import bluesky.plans as bp

    from redoxscope.plans import with_beam

    stxm = session.stxm
    stxm.transmission.dwell.put(0.001)
    points = np.linspace(-2, 2, STEP_POINTS)
    seen: list[float] = []
    token = session.RE.subscribe(lambda name, doc: seen.append(time.perf_counter()), "event")
    scan = bp.list_scan([stxm.transmission], stxm.sample_stage.fine_x, points.tolist())
    session.RE(with_beam(scan, stxm.shutter))
    session.RE.unsubscribe(token)
    return float(np.median(np.diff(seen)) * 1e3 - 1.0)


def first_line_rows() -> list[Row]:
    """From the command to the first line of data."""
    with tempfile.TemporaryDirectory() as out:
        begin = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", "from redoxscope.cli import main; main()", "demo", "stack",
             "--pixels", "20", "--no-window", "--speed", "20", "--out", out],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert process.stdout is not None
        first = next(time.perf_counter() - begin for line in process.stdout if " eV" in line)
        process.communicate()
    return [
        {"what": "first line of `redoxscope demo stack`", "value": first, "unit": "s",
         "target": 10.0, "reference": "from the start of the process"},
    ]  # fmt: skip


def memory_rows(stacks: int = 20, n_energies: int = 50, side: int = 100) -> list[Row]:
    """Growth of the process over 100 000 lines through RunEngine, log and map."""
    from bluesky import RunEngine

    from ._flyer import SyntheticFlyer, synthetic_stack

    process = psutil.Process(os.getpid())
    engine = RunEngine({}, context_managers=[])
    with tempfile.TemporaryDirectory() as folder:
        log, live = DocumentLog(Path(folder)), OxidationMap()
        engine.subscribe(log)
        engine.subscribe(live)
        flyer = SyntheticFlyer(n_energies, side)
        spent, first = 0.0, 0
        for i in range(stacks + 1):
            begin = time.perf_counter()
            engine(synthetic_stack(flyer))
            spent += time.perf_counter() - begin
            # No stack of 5000 lines takes 3 s: what waits for the map's thread is no growth.
            assert live.snapshot is not None
            for path in Path(folder).glob("*.jsonl"):
                path.unlink()
            if i == 0:
                first, spent = process.memory_info().rss, 0.0
        growth = (process.memory_info().rss - first) / 1e6
        lines = stacks * n_energies * side
        per_line = spent / lines * 1e3
        live.close()
    return [
        {"what": f"memory growth over {lines} lines", "value": growth, "unit": "MB",
         "target": 50.0, "reference": f"{per_line:.2f} ms a line: RunEngine, log and map"},
    ]  # fmt: skip


def subscriber_rows(n_energies: int = 50, side: int = 60) -> list[Row]:
    """What a line costs on the RunEngine's thread with log and three analyses subscribed."""
    from bluesky import RunEngine

    from ._flyer import SyntheticFlyer, synthetic_stack
    from ._mean_spectrum import ANALYSIS

    engine = RunEngine({}, context_managers=[])
    hosts = [OxidationMap(), RixsMap(), Host([ANALYSIS])]
    spent: list[float] = []
    stop: list[float] = []

    def timed(name: str, doc: dict) -> None:
        begin = time.perf_counter()
        for host in hosts:
            host(name, doc)
        (spent if name == "event_page" else stop).append(1e3 * (time.perf_counter() - begin))

    engine.subscribe(timed)
    begin = time.perf_counter()
    engine(synthetic_stack(SyntheticFlyer(n_energies, side, lines_per_page=1)))
    per_line = 1e3 * (time.perf_counter() - begin) / len(spent)
    for host in hosts:
        host.wait(120)
        host.close()
    assert not any(host.errors for host in hosts)
    p99 = float(np.percentile(spent, 99))
    return [
        {"what": "a line on the RunEngine's thread, three analyses subscribed", "unit": "ms",
         "value": float(np.median(spent)), "target": 1.0,
         "reference": f"{len(spent)} lines of {side} pixels, one every {per_line:.1f} ms; p99 "
         f"{p99:.2g} ms, largest {max(spent):.2g} ms; the stop document {stop[-1]:.2g} ms"},
    ]  # fmt: skip


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [*stack_rows(), *first_line_rows(), *subscriber_rows(), *memory_rows()]


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
