"""Bad input: a clear error before the plan's first message, and nothing has moved."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from redoxscope.beamline import walk_pvs
from redoxscope.data import References
from redoxscope.plans import energy_stack
from redoxscope.scan import Scan
from redoxscope.testing import FakeMicroscope

SETPOINTS = (
    "monochromator.setpoint", "monochromator.epu_setpoint", "zone_plate.z.user_setpoint",
    "sample_stage.x.user_setpoint", "sample_stage.fine_x.user_setpoint", "shutter.mode",
    "shutter.command", "scanner.source.nx", "scanner.source.ny", "scanner.source.dwell",
    "scanner.source.x_start", "scanner.source.index", "monochromator.readback",
    "zone_plate.z.user_readback",
)  # fmt: skip


def values(stxm):
    found = {}
    for attr, _, _ in walk_pvs(stxm):
        if attr in SETPOINTS:
            signal = stxm
            for part in attr.split("."):
                signal = getattr(signal, part)
            found[attr] = signal.get(use_monitor=False, timeout=60)
    assert len(found) == len(SETPOINTS)
    return found


def refuse(stxm, says, **options):
    """The plan raises when made or at its first message, and sends none."""
    before = values(stxm)
    sent = []
    with pytest.raises(ValueError) as caught:  # LimitError and InterlockError are ValueErrors
        for msg in energy_stack(stxm, **options):
            sent.append(msg)
            break
    assert not sent
    for word in says:
        assert word in str(caught.value), str(caught.value)
    assert values(stxm) == before


BAD = {
    "nan-dwell": ({"dwell": math.nan}, ["dwell", "nan", "s"]),
    "negative-dwell": ({"dwell": -0.001}, ["dwell", "-0.001", "0 s"]),
    "zero-dwell": ({"dwell": 0}, ["dwell", "0 s"]),
    "text-dwell": ({"dwell": "1 ms"}, ["dwell", "1 ms"]),
    "short-dwell": ({"dwell": 1e-7}, ["stxm_scanner", "1e-07", "1e-05"]),
    "long-dwell": ({"dwell": 100.0}, ["stxm_scanner", "100", "10.0 s"]),
    "long-line": ({"dwell": 1.0, "pixels": (50, 1)}, ["50", "dead_man", "30 s"]),
    "zero-pixels": ({"pixels": 0}, ["nx", "0", ">= 1"]),
    "half-pixels": ({"pixels": (2.5, 2)}, ["nx", "2.5"]),
    "three-pixels": ({"pixels": (2, 2, 2)}, ["pixels", "pair"]),
    "many-pixels": ({"pixels": (5000, 2)}, ["stxm_scanner.nx", "5000", "4096"]),
    "negative-size": ({"size": -1.0}, ["width", "-1", "µm"]),
    "nan-center": ({"center": (math.nan, 0.0)}, ["center", "nan", "µm"]),
    "far-region": ({"center": (2e4, 0.0)}, ["stxm_sample_stage_x", "20000", "10000", "µm"]),
    "wide-region": ({"size": 40.0}, ["40 µm along x", "_fine_x = ", "15 µm", "tiled_image"]),
    "no-energies": ({"energies": []}, ["energies", "eV"]),
    "nothing": ({"energies": None}, ["edge", "energies"]),
    "nan-energy": ({"energies": [640, math.nan]}, ["energies[1]", "nan", "eV"]),
    "negative-energy": ({"energies": [-640]}, ["energies[0]", "-640", "eV"]),
    "twice": ({"energies": [640, 641, 641]}, ["energies[2]", "641 eV", "twice", "dose_check"]),
    "below-mono": ({"energies": [300, 640]}, ["monochromator", "300", "400", "eV"]),
    "in-kev": ({"energies": [0.64, 0.65]}, ["0.64 eV", "in eV", "did you mean 640 eV?"]),
    "beyond-mono": ({"energies": [640, 1600]}, ["monochromator", "1600", "1100", "eV"]),
    "unknown-edge": ({"edge": "Mn K7", "energies": None}, ["Mn K7", "Mn L3"]),
    "too-low-for-a0": ({"energies": [200.0, 640.0]}, ["200", "eV"]),
    "a0-at-lowest": ({"energies": [205, 640]}, ["205"]),
    "retries": ({"retries": -1}, ["retries", "-1"]),
    "half-retries": ({"retries": 0.5}, ["retries", "0.5"]),
    "true-retries": ({"retries": True}, ["retries = True", ">= 0"]),
    "endless-retries": ({"retries": 10**6}, ["retries = 1000000", "<= 100"]),
    "one-center": ({"center": 5}, ["center = 5 must be a pair (x, y) in µm"]),
    "numpy-center": ({"center": np.float32(5)}, ["center = 5.0 must be a pair (x, y) in µm"]),
    "text-center": ({"center": "ab"}, ["center = 'ab' must be a pair"]),
    "text-size": ({"size": "5"}, ["size = '5' must be one number or a pair (x, y) in µm"]),
    "true-size": ({"size": True}, ["size = True"]),
    "true-pixels": ({"pixels": True}, ["pixels = True must be one number or a pair"]),
    "true-in-pixels": ({"pixels": (4, np.True_)}, ["ny = True", "whole number"]),
    "text-pixels": ({"pixels": "44"}, ["pixels = '44'"]),
    "negative-pixels": ({"pixels": np.int8(-4)}, ["nx = -4", ">= 1"]),
    "many-lines": ({"pixels": (4, 10**12)}, ["ny = 1000000000000", "65536"]),
    "true-dwell": ({"dwell": True}, ["dwell = True must be one number in s"]),
    "listed-dwell": ({"dwell": [1e-3]}, ["dwell = [0.001] must be one number in s"]),
    "text-energy": ({"energies": ["640"]}, ["energies[0] = '640'", "eV"]),
    "energies-in-words": ({"energies": "640"}, ["energies = '640' must be a list"]),
    "set-of-energies": ({"energies": {640.0, 641.0}}, ["must be a list of energies in eV"]),
    "edge-in-small-letters": ({"edge": "mn l3"}, ["'mn l3'", "did you mean 'Mn L3'?"]),
    "edge-as-bytes": ({"edge": b"Mn L3"}, ["edge = b'Mn L3'", "known edges"]),
    "edge-of-nothing": ({"edge": ""}, ["edge = ''"]),
    "references-in-words": ({"references": "Toner 2014"}, ["references = 'Toner 2014'", "csv"]),
}


def test_a_device_in_quotes_is_told_as_such():
    with pytest.raises(ValueError, match="stxm = 'stxm' is text: give the device, without quotes"):
        energy_stack("stxm", edge="Mn L3")
    outer, axes = {"temperature": [25]}, {"temperature": "heater"}
    said = r"axes\['temperature'\] = 'heater' is text: give the device, without quotes"
    with pytest.raises(ValueError, match=said):
        energy_stack(FakeMicroscope(), edge="Mn L3", outer=outer, axes=axes)


def test_numbers_of_numpy_are_plain_in_the_start_document(stxm):
    options = {"pixels": np.int64(6), "dwell": np.float32(1e-3), "size": np.array([2, 3], "u1")}
    options |= {"center": np.zeros(2), "retries": np.uint8(2), "energies": np.array([640, 641])}
    messages = list(energy_stack(stxm, **options))
    start = next(m.kwargs for m in messages if m.command == "open_run")
    json.dumps(start)
    scan = Scan.from_start(start)
    assert start["shape"] == [2, 6, 6] and scan.energies == [640.0, 641.0]
    assert scan.frames[0].dwell == pytest.approx(1e-3) and scan.regions[0].size == (2.0, 3.0)
    raster = next(m.args[0] for m in messages if m.command == "prepare")
    assert {type(v) for v in vars(raster).values()} == {float, int}


def test_a_generator_gives_energies_once(stxm):
    messages = list(energy_stack(stxm, energies=(e for e in (640, 641)), pixels=2))
    start = next(m.kwargs for m in messages if m.command == "open_run")
    assert Scan.from_start(start).energies == [640.0, 641.0]


@pytest.mark.parametrize("name", BAD)
def test_refused(stxm, name):
    options, says = BAD[name]
    refuse(stxm, says, **({"energies": [640.0], "pixels": 4, "size": 2.0} | options))


def test_a0_outside_its_window_at_the_lowest_energy(stxm, put):
    put(stxm.zone_plate.a0, 1180.0)  # D_osa f / D_zp is 1162 µm at 640 eV, 1270 µm at 700 eV
    options = {"pixels": 4, "size": 2.0}
    refuse(stxm, ["zone_plate.a0", "1180", "1161", "640", "µm"], energies=[640.0, 700.0], **options)
    next(energy_stack(stxm, energies=[700.0], **options))
    put(stxm.zone_plate.a0, 90.0)
    refuse(stxm, ["zone_plate.a0", "90", "100 µm"], energies=[640.0], **options)


def test_sample_too_near(stxm):
    stxm.sample_stage.z.set(-250.0).wait(timeout=60)
    try:
        stxm.zone_plate.a0.put(340.0)
        says = ["sample.z", "-250", "90", "100 µm"]
        refuse(stxm, says, energies=[640.0], pixels=4, size=2.0)
        with pytest.raises(ValueError, match="sample"):
            stxm.energy.set(650.0)
    finally:
        stxm.zone_plate.a0.put(400.0)
        stxm.sample_stage.z.set(0.0).wait(timeout=60)


def test_references_that_do_not_fit(stxm):
    grid = np.linspace(630.0, 660.0, 31)
    rise = np.linspace(1.0, 2.0, 31)
    options = {"energies": [640.0, 645.0, 650.0, 655.0], "pixels": 4, "size": 2.0}
    kind = {"unit": "OD", "source": "test"}
    short = References(("a", "b"), grid[:20], np.stack([rise[:20], rise[:20] ** 3]), **kind)
    refuse(stxm, ["655", "eV"], references=short, **options)
    collinear = References(("a", "b"), grid, np.stack([rise, 2 * rise]), **kind)
    refuse(stxm, ["a", "b"], references=collinear, **options)
