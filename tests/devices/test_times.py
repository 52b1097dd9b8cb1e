"""How long things take, as devices declare it: from what they publish, with nothing moved."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ophyd.sim import FakeEpicsSignal, FakeEpicsSignalRO, fake_device_cache, make_fake_device

from redoxscope.devices import (
    TES,
    DeviceError,
    FocusedEnergy,
    LineCounter,
    Monochromator,
    Motor,
    RasterScanner,
    ZonePlate,
)
from redoxscope.devices._lines import LineArray
from redoxscope.devices._positioner import FreshSignal, FreshSignalRO
from redoxscope.devices._times import travel_time
from redoxscope.optics import ZonePlateGeometry

fake_device_cache.update(
    {LineArray: FakeEpicsSignalRO, FreshSignalRO: FakeEpicsSignalRO, FreshSignal: FakeEpicsSignal}
)
FakeMotor, FakeMono, FakeZonePlate, FakeScanner, FakeCounter = map(
    make_fake_device, (Motor, Monochromator, ZonePlate, RasterScanner, LineCounter)
)
GEOMETRY = ZonePlateGeometry(240.0, 45.0, 95.0, 50.0, a0_um=400.0)


def ready(motor, *, velocity=100.0, ramp=0.0, at=0.0):
    motor.user_readback.sim_put(at)
    motor.velocity.sim_put(velocity)
    motor.acceleration.sim_put(ramp)
    return motor


@pytest.fixture
def motor():
    return ready(FakeMotor("M1", name="coarse_x", tolerance=0.5))


@pytest.fixture
def mono():
    mono = FakeMono("M:", name="mono", edge_offsets={"Mn L3": 0.5})
    mono.readback.sim_put(640.0)
    mono.velocity.sim_put(10.0)
    mono.settle.sim_put(0.2)
    return mono


@pytest.mark.parametrize(
    ("way", "velocity", "ramp", "time"),
    [
        (0.0, 10.0, 0.5, 0.0),
        (100.0, 10.0, 0.0, 10.0),
        (100.0, 10.0, 0.5, 10.5),  # half a second is lost at either end, half of it each
        (-100.0, 10.0, 0.5, 10.5),
        (5.0, 10.0, 0.5, 1.0),  # it just reaches its velocity
        (1.25, 10.0, 0.5, 0.5),  # a quarter of that way: half the time, at half the velocity
    ],
)
def test_travel(way, velocity, ramp, time):
    assert travel_time(way, velocity, ramp) == pytest.approx(time)


def test_a_motor_from_where_it_stands_or_from_elsewhere(motor):
    ready(motor, velocity=100.0, ramp=0.25, at=50.0)
    assert motor.time_to(250.0) == pytest.approx(2.25)
    assert motor.time_to(np.float32(250.0), start=np.int64(150)) == pytest.approx(1.25)
    assert motor.time_to(50.0) == 0.0


@pytest.mark.parametrize("ramp", [-1.0, math.nan, math.inf, None])
def test_an_acceleration_that_is_none_is_refused(motor, ramp):
    motor.acceleration.sim_put(ramp)
    with pytest.raises(DeviceError, match="coarse_x_acceleration .*says .* s to its velocity: "):
        motor.time_to(1.0)


def test_the_time_limit_of_a_move_is_from_the_same_formula(motor, monkeypatch):
    limits = []

    class NotedError(Exception):
        pass

    def move(what, timeout):
        limits.append(timeout)
        raise NotedError

    monkeypatch.setattr("redoxscope.devices._motor.Move", move)
    motor.user_setpoint.sim_set_limits((-1e4, 1e4))
    ready(motor, velocity=100.0, ramp=0.25)
    with pytest.raises(NotedError):
        motor.set(1000.0)
    assert limits == [2 * motor.time_to(1000.0) + 5.0]


def test_the_monochromator_settles_once_or_twice(mono):
    assert mono.time_to(660.0) == pytest.approx(2.2)
    assert mono.time_to(650.0, start=640.0) == pytest.approx(1.2)
    assert mono.time_to(640.0) == pytest.approx(0.2)
    mono.backlash.put(5.0)
    assert mono.time_to(660.0, 640.0) == pytest.approx(1.5 + 0.2 + 0.5 + 0.2)
    assert mono.time_to(640.0, 660.0) == pytest.approx(2.5 + 0.2 + 0.5 + 0.2)
    mono.backlash.put(-5.0)
    assert mono.time_to(660.0, 640.0) == pytest.approx(2.5 + 0.2 + 0.5 + 0.2)


def test_the_offset_of_an_edge_makes_no_way(mono):
    before = mono.time_to(660.0, 640.0)
    mono.edge.put("Mn L3")
    assert mono.time_to(660.0, 640.0) == pytest.approx(before)
    assert mono.time_to(640.5) == pytest.approx(0.2)  # it stands there


def test_the_focus_is_slower_or_faster_than_the_monochromator(mono):
    plate = FakeZonePlate("ZP:", name="plate", geometry=GEOMETRY)
    energy = FocusedEnergy(name="energy", monochromator=mono, zone_plate=plate)
    way = 20.0 * GEOMETRY.a1
    ready(plate.z, velocity=1e6, at=energy.focus(640.0))
    assert energy.time_to(660.0) == energy.time_to(660.0, 640.0) == pytest.approx(2.2)
    ready(plate.z, velocity=10.0, at=energy.focus(640.0))
    assert energy.time_to(660.0) == energy.time_to(660.0, 640.0) == pytest.approx(way / 10.0)


def test_the_time_of_an_image():
    scanner = FakeScanner("S:", name="scanner")
    scanner.source.flyback.sim_put(0.006)
    time = scanner.frame_time(100, 50, 0.001)
    assert time.live == pytest.approx(5.0)
    assert time.flight == pytest.approx(49 * 0.006)
    assert time.rest == pytest.approx(0.006)
    scanner.source.flyback.sim_put(-1.0)
    says = "scanner_source_flyback .*says -1.0 s: must not be negative"
    with pytest.raises(DeviceError, match=says):
        scanner.frame_time(100, 50, 0.001)


def test_the_time_of_a_point():
    counter = FakeCounter("C:", name="i0")
    counter.dwell.sim_put(0.5)
    assert counter.point_time() == 0.5 and counter.point_time(2.0) == 2.0
    tes = TES(name="tes")
    tes.lateness.put(0.1)
    tes.dwell.put(1.0)
    closing = tes.point_time(0.0) - 0.1
    assert 0 < closing < 0.1
    assert tes.point_time() == pytest.approx(1.1 + closing)
    tes.destroy()
