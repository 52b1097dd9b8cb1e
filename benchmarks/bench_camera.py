"""The simulated camera at 100 frames per second: what comes late, and what gets lost.

``python -m benchmarks.bench_camera`` prints the figures; `rows` returns them.
"""

from __future__ import annotations

import time

import numpy as np

Row = dict[str, object]
FRAMES, RATE = 1000, 100.0
SETTLE = 0.0025
WAIT = 120.0


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
            station.shutter.set("closed").wait(WAIT)
            beamline.destroy()
    lost = int((counted.row < 0).sum())
    last = took - FRAMES / RATE
    what = f"{FRAMES} frames of 256² at {RATE:g} Hz"
    asked = f"{FRAMES / RATE:g} s of gates"
    return [
        {"what": f"{what}, lost", "value": lost, "unit": "", "target": "0", "reference": asked},
        {"what": f"{what}, last one found in the file after the last gate", "value": last,
         "unit": "s", "target": 1.0, "reference": asked},
    ]  # fmt: skip


if __name__ == "__main__":
    from .__main__ import show

    show(rows())
