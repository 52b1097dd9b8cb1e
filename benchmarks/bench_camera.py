"""The simulated camera at 100 frames per second: what comes late, and what gets lost.

``python -m benchmarks.bench_camera`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

Row = dict[str, object]
FRAMES, RATE = 1000, 100.0
SETTLE = 0.0025
WAIT = 120.0
PAUSES = 5


def rows() -> list[Row]:
    """Rows of ``what, value, unit, target, reference``."""
    from redoxscope.beamline import connect, make_beamline, simulated_beamline
    from redoxscope.sim import Simulation

    with Simulation("diffusion") as simulation:
        file = simulated_beamline(simulation.prefix)
        for name in ("stxm", "xas", "tes"):
            file = file.without(name)
        beamline = make_beamline(file)
        station = beamline.instruments["ptycho"]
        connect(station)
        try:
            return [*_of_a_path(station), *_of_a_pause(station)]
        finally:
            station.shutter.set("closed").wait(WAIT)
            beamline.destroy()


def _of_a_path(station: Any) -> list[Row]:
    """One long path."""
    camera, path = station.camera, station.path
    camera.stage().wait(WAIT)
    try:
        station.shutter.set("follow").wait(WAIT)
        side = np.linspace(-0.5, 0.5, FRAMES)
        gate = 1 / RATE - SETTLE
        path.load(side, side[::-1], [gate], SETTLE).wait(WAIT)
        camera.arm(FRAMES).wait(WAIT)
        begin = time.perf_counter()
        path.fly(FRAMES, FRAMES / RATE).wait(WAIT)
        counted = camera.count()
        took = time.perf_counter() - begin
    finally:
        camera.unstage().wait(WAIT)
    lost = int((counted.row < 0).sum())
    last = took - FRAMES / RATE
    what = f"{FRAMES} frames of 256² at {RATE:g} Hz"
    asked = f"{FRAMES / RATE:g} s of gates"
    return [
        {"what": f"{what}, lost", "value": lost, "unit": "", "target": "0", "reference": asked},
        {"what": f"{what}, last one found in the file after the last gate", "value": last,
         "unit": "s", "target": 1.0, "reference": asked},
    ]  # fmt: skip


def _of_a_pause(station: Any) -> list[Row]:
    """The plan, paused while frames come; from the request until the engine says so, and until
    path, camera and shutter rest.
    """
    from bluesky import RunEngine
    from bluesky.utils import RunEngineInterrupted
    from ophyd.status import SubscriptionStatus

    from redoxscope.plans import ptychography

    station.settle.put(SETTLE)
    engine = RunEngine({}, context_managers=[])
    requested: list[float] = []

    def look(*, value: int, **_: Any) -> None:
        if value >= RATE and len(requested) < PAUSES and engine.state == "running":
            requested.append(time.perf_counter())
            threading.Thread(target=engine.request_pause).start()

    side = 0.04 * np.ceil(np.sqrt(FRAMES))
    plan = ptychography(
        station, region={"center": (0.0, 0.0), "size": (side, side)}, step=0.04,
        exposures=(1 / RATE - SETTLE,), energies=[640.0], dark_frames=0,
    )  # fmt: skip
    paused, rests = [], []
    seen = station.path.index.subscribe(look, run=False)
    try:
        try:
            engine(plan)
        except RunEngineInterrupted:
            pass
        while engine.state == "paused":
            paused.append(time.perf_counter() - requested[-1])
            for signal in (station.path.state, station.camera.cam.acquire, station.shutter.status):
                SubscriptionStatus(signal, lambda *, value, **_: int(value) == 0).wait(WAIT)
            rests.append(time.perf_counter() - requested[-1])
            try:
                engine.resume()
            except RunEngineInterrupted:
                pass
    finally:
        station.path.index.unsubscribe(seen)
        if engine.state == "paused":
            engine.abort()
    asked = f"worst of {len(paused)} in a run"
    what = f"pause at {RATE:g} Hz"
    return [
        {"what": f"{what}, until the engine is paused", "value": max(paused), "unit": "s",
         "target": 0.5, "reference": asked},
        {"what": f"{what}, until path, camera and shutter rest", "value": max(rests), "unit": "s",
         "target": 0.5, "reference": asked},
    ]  # fmt: skip


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
