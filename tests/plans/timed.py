"""Instruments that only say how long things take and what they refuse."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

from redoxscope.devices import FrameTime, Placement
from redoxscope.plans import Spectrometer
from redoxscope.scan import Raster

from .fake_microscope import fake_microscope

VELOCITY, SETTLE, FLYBACK, COARSE = 10.0, 0.2, 0.01, 100.0
"""eV/s, s, s, µm/s."""
LOW, HIGH = 600.0, 700.0


def time_to(target, start=None, *, here=640.0):
    return abs(target - (here if start is None else start)) / VELOCITY + SETTLE


def coarse_time(target, start=None):
    return abs(target - (0.0 if start is None else start)) / COARSE


def limited(name, value, low, high, unit):
    if not low <= value <= high:
        raise ValueError(f"{name} = {value:g} {unit} is outside its limits, {low:g} to {high:g}")


def timed_microscope(*, flux=0.0, lines=3):
    """A fake microscope whose coarse stage takes regions beyond 15 µm, and none beyond 500."""
    stxm = fake_microscope(lines)
    stxm.flux = SimpleNamespace(get=lambda: flux)
    stxm.energy.time_to = time_to
    for motor in (stxm.sample_stage.x, stxm.sample_stage.y):
        motor.position, motor.time_to = 0.0, coarse_time
    stxm.scanner.frame_time = lambda nx, ny, dwell: FrameTime(
        nx * ny * dwell, (ny - 1) * FLYBACK, FLYBACK
    )

    def place(region, dwell, *, retries=1, at=(0.0, 0.0)):
        x, y = region.center
        limited("stage.x", x, -500.0, 500.0, "µm")
        far = abs(x - at[0]) > 15 or abs(y - at[1]) > 15
        raster = Raster(0, 1, region.pixels[0], 0, 1, region.pixels[1], dwell, retries)
        return Placement(x if far else None, y if far else None, raster)

    def checks(scan):
        for region in scan.regions:
            yield partial(limited, f"{region.name} x", region.center[0], -500.0, 500.0, "µm")
        for energy in scan.all_energies:
            yield partial(limited, "mono.energy", energy, LOW, HIGH, "eV")

    stxm.place, stxm.checks = place, checks
    return stxm


def timed_spectrometer():
    """A TES whose windows take 0.15 s longer than they are, behind a shutter of 30 s."""

    def check_open_time(seconds, what):
        if seconds > 30:
            raise ValueError(f"{what} takes {seconds:g} s, longer than the dead man, 30 s")

    counter = SimpleNamespace(name="i0", point_time=lambda dwell: dwell)
    shutter = SimpleNamespace(check_free=lambda: None, check_open_time=check_open_time)
    parts = dict.fromkeys(Spectrometer.__annotations__)
    for name in vars(Spectrometer):
        if callable(getattr(Spectrometer, name, None)) and name[0] != "_":
            parts[name] = lambda **_: None
    return SimpleNamespace(
        **parts
        | {
            "name": "tes",
            "counters": (counter,),
            "shutter": shutter,
            "point_time": lambda dwell: dwell + 0.15,
        }
    )


def timed_rixs():
    """Spectrometer and monochromator."""
    mono = SimpleNamespace(
        name="mono",
        tolerance=0.02,
        edge=None,
        time_to=time_to,
        offset_at=lambda edge: 0.0,
        check_value=lambda energy, offset=None: limited("mono.energy", energy, LOW, HIGH, "eV"),
        set=None,
        back_after=None,
    )
    return timed_spectrometer(), mono
