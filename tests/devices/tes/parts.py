"""What the tests of the TES share: a server, a device on it, a calibration that is the truth."""

from __future__ import annotations

import numpy as np
from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp

from redoxscope.analysis.tes import Calibration, PixelCalibration
from redoxscope.devices import TES
from redoxscope.documents import PHOTON_STREAM, STREAM, TOTALS_STREAM
from redoxscope.formats import read_off
from redoxscope.sim import SimulatedDastard
from redoxscope.sim.physics.tes import TesArray

SPEED = 10.0
WAIT = 60.0


def truth(seed: int = 1, n: int = 240) -> Calibration:
    """The calibration that a simulated array of this seed really has."""

    def pixel(p):
        x = 1 / p.gain if p.gain else np.nan
        gain = tuple(float(x ** (k + 1) * p.compression**k) for k in range(4))
        return PixelCalibration(
            p.index + 1, p.ok, p.fault, gain, -p.drift, p.baseline, elastic_fwhm_ev=p.fwhm_ev
        )

    return Calibration(tuple(pixel(p) for p in TesArray(n, seed).pixels), line_table="truth")


def make_tes(server: SimulatedDastard, folder, **kwargs) -> TES:
    tes = TES(port=server.base, photon_directory=folder / "photons", **kwargs)
    tes.time_scale.put(server.speed)
    tes.set_calibration(truth())
    tes.dwell.put(1.0)
    tes.connect(timeout=WAIT)
    return tes


def settled(tes: TES) -> None:
    """Wait until the server has taken what its control socket was told."""
    for _ in range(2):
        tes.client.status.wait_for(
            "ALIVE", lambda _: True, WAIT, what="it lives", after=tes.client.status.count
        )


def measure(tes: TES, n: int = 1) -> list[dict]:
    """Points, without a RunEngine."""
    points = []
    for _ in range(n):
        tes.trigger().wait(WAIT)
        points.append({key: reading["value"] for key, reading in tes.read().items()})
    return points


def totals(tes: TES) -> dict:
    tes.totals.trigger().wait(WAIT)
    return {key: reading["value"] for key, reading in tes.totals.read().items()}


def one_run(tes: TES, n: int = 2) -> tuple[list[dict], dict]:
    """A whole run: its points and totals."""
    tes.stage().wait(WAIT)
    try:
        points = measure(tes, n)
        return points, totals(tes)
    finally:
        tes.unstage().wait(WAIT)


def written(tes: TES):
    """What the server wrote of the last run: channel number and time of each photon, sorted."""
    from pathlib import Path

    found = [read_off(path) for path in Path(tes.run_directory.get()).glob("*.off")]
    assert all(file.problem is None for file in found)
    pixel = np.concatenate([f.photons.pixel for f in found])
    time = np.concatenate([f.photons.time_ns for f in found])
    order = np.lexsort((pixel, time))
    return pixel[order], time[order]


def plan(tes: TES, n: int = 3):
    """A run as `rixs_map` makes it, without anything that moves."""

    @bpp.stage_decorator([tes])
    @bpp.run_decorator(md={})
    def inner():
        yield from bps.declare_stream(tes.photons, name=PHOTON_STREAM, collect=True)
        for _ in range(n):
            yield Msg("checkpoint")
            yield Msg("trigger", tes, group="point")
            yield Msg("wait", None, group="point")
            yield Msg("create", None, name=STREAM)
            yield Msg("read", tes)
            yield Msg("save")
        yield Msg("checkpoint")
        yield from bps.trigger(tes.totals, wait=True)
        yield Msg("collect", tes.photons, name=PHOTON_STREAM, return_payload=False)
        yield Msg("create", None, name=TOTALS_STREAM)
        yield Msg("read", tes.totals)
        yield Msg("save")

    return inner()
