"""The interlock between zone plate, OSA and sample, and who may open the shutter."""

from __future__ import annotations

import numpy as np
import pytest
from ophyd.utils import LimitError, ReadOnlyError

from redoxscope.devices import DeviceError
from redoxscope.optics import InterlockError
from redoxscope.scan import Frame, Raster, Region, Scan, stack_scan


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
    stxm.osa.z.set(-300.0).wait(timeout=30)
    try:
        with pytest.raises(InterlockError, match="leaves 50 µm between zone plate"):
            stxm.zone_plate.z.set(-350.0)
    finally:
        stxm.osa.z.set(0.0).wait(timeout=30)


def test_sample_may_retreat_whatever_a0_says(stxm, put):
    """A0 outside its window must not keep the sample near the OSA."""
    put(stxm.zone_plate.a0, 2000.0)
    stxm.sample_stage.z.set(50.0).wait(timeout=30)
    stxm.sample_stage.z.set(0.0).wait(timeout=30)


def test_focus_goes_with_the_sample(stxm):
    stxm.sample_stage.z.set(100.0).wait(timeout=30)
    try:
        stxm.energy.set(640.0).wait(timeout=30)
        expected = -(stxm.zone_plate.a1.get() * 640 - 400) + 100
        assert stxm.zone_plate.z.position == pytest.approx(expected, abs=0.5)
        assert stxm.energy.at(640.0)
    finally:
        stxm.sample_stage.z.set(0.0).wait(timeout=30)
    assert not stxm.energy.at(640.0)


@pytest.mark.parametrize(
    ("first", "second", "refused"), [(0.0, 9999.0, False), (9999.0, 100.0, True)]
)
def test_a_region_is_checked_from_where_the_stage_will_stand(stxm, first, second, refused):
    """From beside the coarse limit (10 mm) the fine stage reaches beyond it; from elsewhere not."""
    places = {"first": first, "second": second, "beyond": 10_010.0}
    regions = [Region((x, 0.0), 1.0, 2, name) for name, x in places.items()]
    visited = [(640.0, 0), (640.0, 1), (641.0, 0), (641.0, 1), (641.0, 2)]
    scan = Scan(regions=regions, frames=[Frame(energy, 0.01, i) for energy, i in visited])
    if refused:
        with pytest.raises(LimitError, match="region 'beyond': .*stxm_sample_stage_x = 10010"):
            stxm.check_scan(scan)
    else:
        stxm.check_scan(scan)


@pytest.mark.parametrize(
    "raster",
    [Raster(-20, 20, 10, -1, 1, 10, 0.001), Raster(-1, 1, 10, -1, 1, 10, 100.0)],
    ids=["beyond the fine stage", "dwell"],
)
def test_scanner_refuses_a_raster_by_itself(stxm, raster):
    before = stxm.scanner.source.x_start.get()
    with pytest.raises((LimitError, ValueError)):
        stxm.scanner.prepare(raster)
    assert stxm.scanner.source.x_start.get() == before


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


def test_an_offset_found_by_hand_stays(stxm, RE, put):
    """The user's own is added to that of the edge, and no plan touches it."""
    from redoxscope.plans import energy_stack

    mono = stxm.monochromator
    put(mono.user_offset, 0.4)
    RE(energy_stack(stxm, energies=[641.0], pixels=2, size=1))
    assert mono.user_offset.get() == mono.offset.get() == 0.4
    assert mono.setpoint.get() == pytest.approx(640.6)


def test_the_offset_does_not_depend_on_what_was_measured_before(stxm, RE, monkeypatch):
    """A Co stack after a Mn stack once had the offset of Mn."""
    from redoxscope.plans import energy_stack

    mono = stxm.monochromator
    monkeypatch.setitem(mono.edge_offsets, "Mn L3", 0.35)

    def sent(edge, energy):
        RE(energy_stack(stxm, edge=edge, energies=[energy], pixels=2, size=1))
        assert mono.edge.get() == "" and mono.offset.get() == 0.0
        return mono.setpoint.get()

    assert sent("Co L3", 778.0) == pytest.approx(778.0)
    assert sent("Mn L3", 641.0) == pytest.approx(640.65)
    assert sent("Co L3", 778.0) == pytest.approx(778.0)
    assert mono.offset_at("Mn L") == 0.35  # a whole edge is that of its L3
    assert mono.offset_at("Mn L2") == mono.offset_at(None) == mono.offset_at("") == 0.0


@pytest.mark.parametrize("at", ["set", "trigger", "collect"])
def test_the_edge_is_set_back_whatever_ends_the_plan(stxm, RE, put, at):
    from redoxscope.plans import energy_stack

    put(stxm.monochromator.edge, "Fe L3")  # found, and none of the plan's business

    def failing(plan):
        msg, failed = next(plan), False
        while True:
            ours = msg.obj is not stxm.monochromator.edge
            try:
                if msg.command == at and ours and not failed:
                    failed = True
                    msg = plan.throw(RuntimeError("something went wrong"))
                else:
                    msg = plan.send((yield msg))
            except StopIteration:
                return

    with pytest.raises(RuntimeError, match="went wrong"):
        RE(failing(energy_stack(stxm, edge="Mn L3", energies=[641.0, 642.0], pixels=2, size=1)))
    assert stxm.monochromator.edge.get() == "Fe L3"


def test_the_sum_of_offsets_is_not_written(stxm):
    for write in (stxm.monochromator.offset.put, stxm.monochromator.offset.set):
        with pytest.raises(ReadOnlyError, match="set stxm_monochromator.user_offset"):
            write(0.3)


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


def microscope(prefix):
    """The microscope of somebody who makes the devices himself."""
    from redoxscope import devices

    classes = {
        "monochromator": (devices.Monochromator, "Mono:"),
        "zone_plate": (devices.ZonePlate, "ZP:"),
        "osa": (devices.OrderSortingAperture, "OSA:"),
        "sample_stage": (devices.SampleStage, "Sample:"),
        "scanner": (devices.RasterScanner, "Scan:"),
        "transmission": (devices.LineCounter, "Trans:"),
        "ring": (devices.RingCurrent, "Ring:"),
        "shutter": (devices.Shutter, "Shutter:"),
    }
    parts = {
        role: cls(prefix + start, name=f"other_{role}") for role, (cls, start) in classes.items()
    }
    return devices.STXM(name="other", **parts)


def test_a_microscope_without_geometry_moves_nothing(simulation):
    """A microscope once had the simulator's zone plate and A0, silently."""
    from redoxscope.beamline import connect
    from redoxscope.devices import ZonePlate
    from redoxscope.sim.physics.stxm import GEOMETRY

    stxm = microscope(simulation.prefix)
    connect(stxm)
    try:
        z = stxm.zone_plate.z.user_setpoint
        before = z.get(use_monitor=False), stxm.monochromator.setpoint.get(use_monitor=False)
        region = Region((0, 0), (1, 1), (2, 2))
        for ask in (
            lambda: stxm.energy.set(650.0), lambda: stxm.zone_plate.z.set(-5200.0),
            lambda: stxm.osa.z.set(-10.0), lambda: stxm.sample_stage.z.set(10.0),
            lambda: stxm.check_scan(stack_scan(energies=[650.0], regions=[region])),
        ):  # fmt: skip
            with pytest.raises(InterlockError, match="other_zone_plate: .*geometry is not set"):
                ask()
        assert before == (
            z.get(use_monitor=False), stxm.monochromator.setpoint.get(use_monitor=False)
        )  # fmt: skip
    finally:
        stxm.destroy()
    plate = ZonePlate("Nowhere:", name="zone_plate", geometry=GEOMETRY)
    assert plate.geometry == GEOMETRY
    plate.destroy()
