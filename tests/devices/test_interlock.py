"""The interlock between zone plate, OSA and sample, and who may open the shutter."""

from __future__ import annotations

import numpy as np
import pytest
from ophyd.utils import LimitError

from redoxscope.contract import Raster, Region
from redoxscope.devices import DeviceError
from redoxscope.optics import InterlockError


@pytest.mark.parametrize(
    ("z", "says"),
    [(350.0, "order-sorting aperture and sample"), (float("nan"), "outside its soft limits")],
)
def test_osa_keeps_off_the_sample(stxm, z, says):
    before = stxm.osa.z.position
    with pytest.raises((InterlockError, LimitError), match=says):
        stxm.osa.z.set(z)
    assert stxm.osa.z.position == before


def test_zone_plate_knows_where_the_osa_stands(stxm):
    stxm.osa.z.set(-300.0).wait(timeout=10)
    try:
        with pytest.raises(InterlockError, match="leaves 50 µm between zone plate"):
            stxm.zone_plate.z.set(-350.0)
    finally:
        stxm.osa.z.set(0.0).wait(timeout=10)


def test_sample_may_retreat_whatever_a0_says(stxm):
    """A0 outside its window must not keep the sample near the OSA."""
    stxm.zone_plate.a0.put(2000.0)
    stxm.sample_stage.z.set(50.0).wait(timeout=10)
    stxm.sample_stage.z.set(0.0).wait(timeout=10)


def test_focus_goes_with_the_sample(stxm):
    stxm.sample_stage.z.set(100.0).wait(timeout=10)
    try:
        stxm.energy.set(640.0).wait(timeout=10)
        expected = -(stxm.zone_plate.a1.get() * 640 - 400) + 100
        assert stxm.zone_plate.z.position == pytest.approx(expected, abs=0.5)
        assert stxm.energy.at(640.0)
    finally:
        stxm.sample_stage.z.set(0.0).wait(timeout=10)
    assert not stxm.energy.at(640.0)


@pytest.mark.parametrize(
    "raster",
    [Raster(-20, 20, 10, -1, 1, 10, 0.001), Raster(-1, 1, 10, -1, 1, 10, 100.0)],
    ids=["beyond the fine stage", "dwell"],
)
def test_scanner_refuses_a_raster_by_itself(stxm, raster):
    before = stxm.scanner.x_start.get()
    with pytest.raises((LimitError, ValueError)):
        stxm.scanner.prepare(raster)
    assert stxm.scanner.x_start.get() == before


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_raster_is_finite(bad):
    with pytest.raises(ValueError, match="x_start"):
        Raster(bad, 1, 10, -1, 1, 10, 0.001)


def test_a_scan_does_not_open_a_shutter_that_somebody_closed(stxm, RE, docs):
    """Taken out of following between two images: an error, not dark lines or an open shutter."""
    from redoxscope.plans import energy_stack

    def take_away(msg):
        if msg.command == "complete":
            stxm.shutter.mode.put(0, wait=True)

    RE.msg_hook = take_away
    with pytest.raises(DeviceError, match="somebody else"):
        RE(energy_stack(stxm, energies=[640, 641, 642], pixels=4, size=1))
    assert stxm.shutter.status.get(use_monitor=False) == 0
    assert docs["stop"][0]["exit_status"] == "fail"


def test_an_offset_found_by_hand_stays(stxm, RE):
    from redoxscope.plans import energy_stack

    stxm.monochromator.offset.put(0.4)
    RE(energy_stack(stxm, energies=[641.0], pixels=2, size=1))
    assert stxm.monochromator.offset.get() == 0.4
    assert stxm.monochromator.setpoint.get() == pytest.approx(640.6)


def test_epu_limits_count(stxm, monkeypatch):
    class Limited:
        limits = (600.0, 700.0)

    monkeypatch.setattr(type(stxm.monochromator), "epu_setpoint", Limited(), raising=False)
    with pytest.raises(LimitError, match=r"epu = 800 eV"):
        stxm.monochromator.check_value(800.0)


def test_region_takes_whole_numbers_of_any_kind():
    assert Region((0, 0), (1, 1), (np.int64(5), 6.0)).pixels == (5, 6)
    for bad in (2.5, float("nan"), 0):
        with pytest.raises(ValueError, match=f"nx = {bad}"):
            Region((0, 0), (1, 1), (bad, 5))
