"""Declared times are those that the simulated beamline takes; its refusals are all told."""

from __future__ import annotations

import re

import pytest

from redoxscope.plans import estimate
from redoxscope.scan import stack_scan

A = {"center": [0, 0], "size": [4, 4], "pixels": [8, 8], "name": "A"}
FAR = {"center": [20_000, 90_000], "size": [50, 5], "pixels": [5000, 4], "name": "B"}


def test_what_the_controllers_publish(stxm):
    mono, stage = stxm.monochromator, stxm.sample_stage
    assert mono.time_to(660.0, 640.0) == pytest.approx(20 / 10 + 0.2)
    assert stage.x.time_to(1000.0, 0.0) == pytest.approx(0.5 + stage.x.acceleration.get())
    assert stxm.energy.time_to(641.0, 640.0) == mono.time_to(641.0, 640.0)
    time = stxm.scanner.frame_time(100, 50, 0.001)
    assert time.live == pytest.approx(5.0) and time.flight == pytest.approx(49 * 0.006)


def test_an_estimate_of_the_microscope_moves_nothing(stxm):
    scan = stack_scan(energies=[650.0, 660.0], regions=[A], dwell=0.01, edge="Mn L3")
    before = [signal.get() for signal in stxm.monochromator.pair]
    found = estimate(scan, stxm, flux=1e7)
    assert [signal.get() for signal in stxm.monochromator.pair] == before
    here = stxm.energy.time_to(650.0)
    moves = here + stxm.energy.time_to(660.0, 650.0)
    assert found.motion == pytest.approx(moves + 2 * 7 * 0.006)
    assert found.ok and found.unknown == () and found.dose_gy > 0


def test_everything_that_speaks_against_a_scan(stxm):
    scan = stack_scan(energies=[390.0, 640.0, 1200.0], regions=[A, FAR], dwell=0.02)
    found = estimate(scan, stxm)
    wanted = [
        "'B': .*nx = 5000 pixels is more than its limit, 4096",
        "'B': a line of 5000 pixels x 0.02 s takes 100 s, longer than .*dead_man = 30 s",
        "'B': .*sample_stage_x = 20000 µm is outside its soft limits, -10000 to 10000",
        "'B': .*sample_stage_y = 90000 µm is outside its soft limits, -10000 to 10000",
        "monochromator.energy = 390 eV is outside its soft limits, 400",
        "monochromator.energy = 1200 eV is outside its soft limits, .*1100 eV",
    ]
    for words, text in zip(wanted, found.refused, strict=True):
        assert re.search(words, text), (words, text)
    with pytest.raises(ValueError, match="nx = 5000"):
        stxm.check_scan(scan)
