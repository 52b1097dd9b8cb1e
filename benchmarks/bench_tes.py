"""Figures of the TES client: latency, sustained rate, cost of a point.

``python -m benchmarks.bench_tes`` prints them; `rows` returns them. The server is the simulated
Dastard, in a process of its own on the same cores.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from redoxscope.analysis.tes import Calibration, PixelCalibration
from redoxscope.devices import TES
from redoxscope.photons import LiveBatch
from redoxscope.sim import SimulatedDastard

Row = dict[str, object]
REFERENCE_RATE = 2500.0
"""Photons/s of the reference sample at 1000 eV."""


@contextmanager
def detector(rate: float, folder: Path) -> Iterator[tuple[SimulatedDastard, TES]]:
    """A staged TES on a server that sends so many photons/s."""
    options = {"no-dead-time": True, "fault": [f"rate {rate / REFERENCE_RATE}"]}
    server = SimulatedDastard(seed=1, sample="reference", data=folder / "dastard", options=options)
    with server:
        server.beam(energy=1000.0, open=True)
        tes = TES(port=server.base, photon_directory=folder / "photons")
        pixels = tuple(PixelCalibration(n, True, "", (0.1, 0.0, 0.0, 0.0)) for n in range(1, 241))
        tes.set_calibration(Calibration(pixels))
        tes.connect()
        tes.write_off.put(rate <= 10_000)  # the server's files are not what is measured
        tes.write_ljh.put(False)
        try:
            tes.stage().wait(30)
            yield server, tes
            tes.unstage().wait(30)
        finally:
            tes.destroy()


def latency_rows(rate: float = 5e3, seconds: float = 10.0) -> list[Row]:
    """From a photon to the live batch that holds it, and to the event."""
    delays: list[np.ndarray] = []

    def take(batch: LiveBatch) -> None:
        delays.append(time.time() - batch.local_time)

    closing = []
    with tempfile.TemporaryDirectory() as folder, detector(rate, Path(folder)) as (_, tes):
        tes.dwell.put(0.5)
        tes.trigger().wait(30)
        tes.subscribe_batches(take)
        for _ in range(round(seconds / 0.6)):
            tes.trigger().wait(30)
            end = tes.read()["tes_point_end"]["value"]
            closing.append(time.time() - tes._receiver.clock.local(np.array([end]))[0])
    milliseconds = 1e3 * np.concatenate(delays)
    what = f"{rate / 1e3:g} kcounts/s"
    return [
        {"what": f"photon -> live batch, {what}, p95", "value": np.percentile(milliseconds, 95),
         "unit": "ms", "target": 250.0,
         "reference": f"median {np.median(milliseconds):.0f} ms; the server sends every 20 ms"},
        {"what": f"end of the window -> point read, {what}, p95",
         "value": 1e3 * float(np.percentile(closing, 95)), "unit": "ms", "target": None,
         "reference": "of which lateness 100 ms"},
    ]  # fmt: skip


def sustained_rows(rate: float = 1e5, seconds: float = 60.0) -> list[Row]:
    """Photons lost, memory and CPU while they come fast for long."""
    me = psutil.Process()
    with tempfile.TemporaryDirectory() as folder, detector(rate, Path(folder)) as (_, tes):
        tes.dwell.put(1.0)
        tes.trigger().wait(30)
        cpu, began, memory = sum(me.cpu_times()[:2]), time.monotonic(), 0
        first = tes.run.acquisition.photons
        while time.monotonic() - began < seconds:
            tes.trigger().wait(30)
            if not memory and time.monotonic() - began > seconds / 4:  # buffers have their size
                memory = me.memory_info().rss
        took = time.monotonic() - began
        cpu = sum(me.cpu_times()[:2]) - cpu
        grown = me.memory_info().rss - memory
        got = tes.run.acquisition.photons - first
        tes.totals.trigger().wait(60)
        totals = {key: reading["value"] for key, reading in tes.totals.read().items()}
    what = f"{rate / 1e3:g} kcounts/s for {seconds:g} s"
    return [
        {"what": f"received, {what}", "value": got / took / 1e3, "unit": "kcounts/s",
         "target": None, "reference": f"{cpu / took:.2f} cores of the client"},
        {"what": f"lost, {what}", "value": totals["tes_total_lost"], "unit": "photons",
         "target": 0.0, "reference": f"of {totals['tes_total_photons']} photons"},
        {"what": f"late, {what}", "value": totals["tes_total_late"], "unit": "photons",
         "target": 0.0, "reference": ""},
        {"what": f"memory grown, {what}", "value": grown / 1e6, "unit": "MB", "target": 50.0,
         "reference": "after the first quarter"},
    ]  # fmt: skip


def engine_rows(points: int = 100) -> list[Row]:
    """What the RunEngine and the reading cost per point."""
    from bluesky import Msg, RunEngine

    gaps: list[float] = []
    ended = [0.0]
    lock = threading.Lock()

    def plan(tes: TES):
        yield Msg("open_run")
        for _ in range(points):
            yield Msg("checkpoint")
            with lock:
                if ended[0]:
                    gaps.append(time.perf_counter() - ended[0])
            status = yield Msg("trigger", tes, group="point")

            def note(_):
                with lock:
                    ended[0] = time.perf_counter()

            status.add_callback(note)
            yield Msg("wait", None, group="point")
            yield Msg("create", None, name="primary")
            yield Msg("read", tes)
            yield Msg("save")
        yield Msg("close_run")

    with tempfile.TemporaryDirectory() as folder, detector(5e3, Path(folder)) as (_, tes):
        tes.dwell.put(0.05)
        tes.lateness.put(0.0)
        RunEngine({}, context_managers=[])(plan(tes))
    return [
        {"what": "point closed -> next point opened, by the RunEngine, median",
         "value": 1e3 * float(np.median(gaps)), "unit": "ms", "target": None,
         "reference": f"p95 {1e3 * np.percentile(gaps, 95):.2f} ms, {len(gaps)} points, "
                      "spectra of 2000 bins"}
    ]  # fmt: skip


def rows() -> list[Row]:
    """All figures: dicts of ``what, value, unit, target, reference``."""
    return [*latency_rows(), *sustained_rows(), *engine_rows()]


def main() -> None:
    """Print the table."""
    for row in rows():
        target = "" if row["target"] is None else f"target {row['target']}"
        print(f"{row['what']:<66} {row['value']:9.3f} {row['unit']:<10} {target:<16}", end="")
        print(row["reference"])


if __name__ == "__main__":
    main()
