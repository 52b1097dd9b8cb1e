"""Monochromator, EPU and focus on the simulated beamline."""

from __future__ import annotations

import pytest
from ophyd.utils import LimitError

from redoxscope.devices import DeviceError
from redoxscope.optics import InterlockError


@pytest.fixture
def moves(stxm, monkeypatch):
    """Mono energies in the order in which they were asked for."""
    asked = []
    put = stxm.monochromator.setpoint.put

    def note(value, **kwargs):
        asked.append(value)
        put(value, **kwargs)

    monkeypatch.setattr(stxm.monochromator.setpoint, "put", note)
    return asked


def test_true_energy_is_mono_plus_offset(stxm, put):
    mono = stxm.monochromator
    put(mono.user_offset, 0.35)
    mono.set(642.0).wait(timeout=30)
    assert mono.readback.get(use_monitor=False) == pytest.approx(641.65)
    assert mono.epu_readback.get(use_monitor=False) == pytest.approx(641.65)
    assert mono.position == pytest.approx(642.0)
    assert stxm.energy.read()["energy"]["value"] == pytest.approx(642.0)
    assert stxm.energy.describe()["energy"]["units"] == "eV"


@pytest.mark.parametrize("start", [630.0, 650.0])
def test_backlash_comes_from_one_side(stxm, moves, put, start):
    stxm.monochromator.set(start).wait(timeout=30)
    moves.clear()
    put(stxm.monochromator.backlash, 1.5)
    stxm.monochromator.set(640.0).wait(timeout=30)
    assert moves[-2:] == [638.5, 640.0]
    assert stxm.monochromator.position == pytest.approx(640.0)


@pytest.mark.parametrize("energy", [399.0, 1100.5, float("nan")])
def test_limits(stxm, moves, energy):
    with pytest.raises(
        LimitError, match=r"stxm_monochromator.energy = .* eV is outside .* 1100 eV"
    ):
        stxm.monochromator.set(energy)
    assert moves == []


def test_limits_hold_for_offset_and_backlash(stxm, put):
    put(stxm.monochromator.backlash, 5.0)
    with pytest.raises(LimitError, match="249"):
        stxm.monochromator.set(254.0)
    stxm.monochromator.backlash.put(0.0)
    put(stxm.monochromator.user_offset, -2.0)
    with pytest.raises(LimitError, match="1501"):
        stxm.monochromator.set(1499.0)


@pytest.mark.parametrize(
    ("what", "says"), [("mono_stuck", "Mono:Energy:RBV"), ("epu_stuck", "Mono:EPU:RBV")]
)
def test_stuck(stxm, fault, what, says):
    fault(what)
    with pytest.raises(DeviceError, match=f"{says}.* from its target 660 eV"):
        stxm.monochromator.set(660.0).wait(timeout=30)


def test_stop_and_go_on(stxm):
    """After a stop the next move takes the EPU along again (it once stayed behind)."""
    mono = stxm.monochromator
    stopped = mono.set(700.0)
    mono.stop(success=True)
    stopped.wait(timeout=30)
    mono.set(655.0).wait(timeout=30)
    assert mono.readback.get(use_monitor=False) == pytest.approx(655.0)
    assert mono.epu_readback.get(use_monitor=False) == pytest.approx(655.0)


def test_stopped_by_the_user(stxm):
    status = stxm.monochromator.set(700.0)
    stxm.monochromator.stop()
    with pytest.raises(DeviceError, match="stopped"):
        status.wait(timeout=30)


def test_epu_makes_the_light(stxm):
    stxm.shutter.set("open").wait(timeout=30)
    stxm.i0.dwell.put(0.1)
    stxm.energy.set(640.0).wait(timeout=30)
    stxm.i0.trigger().wait(timeout=30)
    bright = stxm.i0.counts.get(use_monitor=False)
    stxm.monochromator.epu_setpoint.set(660.0).wait(timeout=30)
    stxm.i0.trigger().wait(timeout=30)
    assert stxm.i0.counts.get(use_monitor=False) < 0.1 * bright


def test_focus_follows(stxm, put):
    stxm.energy.set(650.0).wait(timeout=30)
    a1 = stxm.zone_plate.a1.get()
    assert stxm.zone_plate.z.position == pytest.approx(-(a1 * 650 - 400), abs=0.5)
    put(stxm.zone_plate.a0, 500.0)
    stxm.energy.set(640.0).wait(timeout=30)
    assert stxm.zone_plate.z.position == pytest.approx(-(a1 * 640 - 500), abs=0.5)


def test_focus_stuck(stxm, fault):
    fault("focus_stuck")
    with pytest.raises(DeviceError, match=r"stxm_zone_plate_z .* stopped at .* from its target"):
        stxm.energy.set(660.0).wait(timeout=30)


@pytest.mark.parametrize(("a0", "says"), [(90.0, "100 µm"), (1200.0, "1161 µm")])
def test_interlock(stxm, moves, put, a0, says):
    put(stxm.zone_plate.a0, a0)
    with pytest.raises(InterlockError, match=f"zone_plate.a0 = {a0:g} µm .*{says}"):
        stxm.energy.set(640.0)
    assert moves == []


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a0_is_a_length(stxm, value):
    with pytest.raises(InterlockError, match="stxm_zone_plate.a0"):
        stxm.zone_plate.a0.put(value)


def test_zone_plate_keeps_off_the_osa(stxm):
    where = stxm.zone_plate.z.user_setpoint.get(use_monitor=False)
    with pytest.raises((InterlockError, LimitError), match="stxm_zone_plate_z"):
        stxm.zone_plate.z.set(-50.0)
    assert stxm.zone_plate.z.user_setpoint.get(use_monitor=False) == where


def test_sample_keeps_off_the_osa(stxm):
    with pytest.raises(InterlockError, match="sample_stage_z = -350 µm leaves 50 µm"):
        stxm.sample_stage.z.set(-350.0)
    assert stxm.sample_stage.z.user_setpoint.get(use_monitor=False) == 0.0


def test_limits_are_published(stxm):
    """With limits (0, 0) every check would pass; the simulated motors have real ones."""
    for motor in (stxm.zone_plate.z, stxm.sample_stage.x, stxm.sample_stage.fine_y, stxm.osa.z):
        low, high = motor.limits
        assert low < high and motor.unit == "um"
