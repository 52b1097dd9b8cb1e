"""What the monochromator believes of its controller, and of its user: with fake signals."""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest
from ophyd.sim import (
    FakeEpicsSignal,
    FakeEpicsSignalRO,
    fake_device_cache,
    make_fake_device,
)
from ophyd.utils import LimitError

from redoxscope.devices import DeviceError, FocusedEnergy, Monochromator, ZonePlate
from redoxscope.devices._base import BeamlineDevice
from redoxscope.devices._positioner import FreshSignal, FreshSignalRO, common_limits
from redoxscope.optics import InterlockError, ZonePlateGeometry

fake_device_cache.update({FreshSignal: FakeEpicsSignal, FreshSignalRO: FakeEpicsSignalRO})
FakeMono = make_fake_device(Monochromator)
FakeZonePlate = make_fake_device(ZonePlate)
GEOMETRY = ZonePlateGeometry(240.0, 45.0, 95.0, 50.0, a0_um=400.0)


@pytest.fixture
def mono():
    mono = FakeMono("M:", name="mono", edge_offsets={"Mn L3": np.float32(0.5)})
    for axis in (mono.setpoint, mono.epu_setpoint):
        axis.sim_put(640.0)
        axis.sim_set_limits((250.0, 1500.0))
    for readback in (mono.readback, mono.epu_readback):
        readback.sim_put(640.0)
    mono.velocity.sim_put(1e6)
    mono.settle.sim_put(0.0)
    mono.asked = []
    for name in ("setpoint", "epu_setpoint", "readback", "epu_readback", "velocity", "settle"):
        getattr(mono, name).pvname = f"M:{name}"  # fakes have none

    def sent(signal, readback):
        def put(value, callback=None, **_):
            mono.asked.append(value)
            readback.sim_put(value)
            callback()

        return put

    mono.setpoint.put = sent(mono.setpoint, mono.readback)
    mono.epu_setpoint.put = sent(mono.epu_setpoint, mono.epu_readback)
    return mono


@pytest.fixture
def energy(mono):
    plate = FakeZonePlate("ZP:", name="plate", geometry=GEOMETRY)
    plate.z.user_setpoint.sim_set_limits((-10000.0, 0.0))
    plate.z.user_setpoint._metadata["units"] = "um"
    plate.z.velocity.sim_put(1e6)
    plate.z.acceleration.sim_put(0.0)
    plate.z.user_readback.sim_put(-5000.0)
    return FocusedEnergy(name="energy", monochromator=mono, zone_plate=plate)


def test_a_monitor_may_come_while_it_is_made(monkeypatch):
    """A PV that answers at once asks for the offset before the constructor has ended."""
    early, make = [], BeamlineDevice.__init__

    def answered(device, *args, **kwargs):
        make(device, *args, **kwargs)
        early.append(device.offset.get())

    monkeypatch.setattr(BeamlineDevice, "__init__", answered)
    FakeMono("M:", name="mono", edge_offsets={"Mn L3": 0.5})
    assert early == [0.0]


@pytest.mark.parametrize("value", [np.float32(650), np.int16(650), np.array(650.0), 650])
def test_any_number_is_an_energy(mono, value):
    mono.set(value).wait(timeout=30)
    assert mono.asked == [650.0, 650.0] and {type(v) for v in mono.asked} == {float}


@pytest.mark.parametrize("value", ["650", None, True, np.bool_(1), [650.0], np.array([1.0, 2.0])])
def test_what_is_no_number_is_refused(mono, energy, value):
    for ask, name in (
        (mono.set, "mono.energy"), (mono.check_value, "mono.energy"), (mono.move, "mono.energy"),
        (energy.set, "energy"), (energy.check_value, "energy"), (energy.move, "energy"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"{name} = .* eV is not one number"):
            ask(value)
    assert mono.asked == []


@pytest.mark.parametrize("velocity", [0.0, 0, -1.0, math.nan, math.inf, None, "fast"])
def test_a_velocity_with_which_it_never_arrives(mono, energy, velocity):
    mono.velocity.sim_put(velocity)
    for ask in (mono.set, mono.check_value, energy.set, energy.check_value):
        with pytest.raises(DeviceError, match="mono_velocity .*says .* eV/s: "):
            ask(650.0)
    assert mono.asked == []


@pytest.mark.parametrize("settle", [-1.0, math.nan, math.inf, None])
def test_a_settling_time_that_is_none(mono, settle):
    mono.settle.sim_put(settle)
    with pytest.raises(DeviceError, match="mono_settle .*says .* s: "):
        mono.set(650.0)
    assert mono.asked == []


@pytest.mark.parametrize("bad", [math.nan, math.inf, "0.1", None, True])
def test_offsets_and_tolerances_are_numbers(mono, bad):
    for signal in (mono.user_offset, mono.backlash):
        with pytest.raises(ValueError, match=f"{signal.name} = .* eV"):
            signal.put(bad)
    with pytest.raises(ValueError):
        FakeMono("M:", name="mono", edge_offsets={"Mn L3": bad})
    with pytest.raises(ValueError):
        FakeMono("M:", name="mono", tolerance=bad)


@pytest.mark.parametrize("limits", [(0.0, 0.0), (None, None), (math.nan, 1.0), (5.0, -5.0)])
def test_limits_that_say_nothing(mono, energy, limits):
    """Also those of a PV that never answered."""
    mono.setpoint.sim_set_limits(limits)
    with pytest.raises(LimitError, match=r"mono.energy publishes no soft limits"):
        mono.set(650.0)
    assert all(math.isnan(limit) for limit in (*mono.limits, *energy.limits))


def test_a_stale_monitor_is_not_believed(mono, monkeypatch):
    """The readback's last monitor says 640, of before; the server says where it stopped."""
    server = {"readback": 641.0, "epu_readback": 640.0}
    for name, value in server.items():
        signal = getattr(mono, name)
        signal.sim_put(640.0)
        monkeypatch.setattr(
            signal, "get", lambda use_monitor=True, v=value, **_: 640.0 if use_monitor else v
        )
    mono.setpoint.put = mono.epu_setpoint.put = lambda value, callback, **_: callback()
    with pytest.raises(DeviceError, match="is 1 eV from its target 640 eV"):
        mono.set(640.0).wait(timeout=30)


def test_a_readback_that_lags_is_waited_for(mono, monkeypatch):
    monkeypatch.setattr("redoxscope.devices._monochromator.MONITOR_TIMEOUT", 60.0)

    def late(signal):
        def put(value, callback=None, **_):
            callback()
            threading.Timer(0.005, lambda: signal.sim_put(value)).start()

        return put

    mono.setpoint.put, mono.epu_setpoint.put = late(mono.readback), late(mono.epu_readback)
    mono.set(641.0).wait(timeout=30)


def test_the_second_approach_does_not_overtake_a_halt(mono):
    """It is asked for in a callback; who stops meanwhile must be the last that is heard."""
    orders, begun, stopped = [], threading.Event(), threading.Event()
    mono.backlash.put(1.0)

    def halt(value, **_):
        orders.append("halt")
        stopped.set()

    def stop():
        begun.set()
        mono.stop(success=True)

    stopping = threading.Thread(target=stop)

    def put(value, callback=None, **_):
        if value == 650.0:  # the second approach, on its way out
            stopping.start()
            begun.wait(30)
            stopped.wait(0.2)  # over, and not before, where nothing keeps a halt back
            orders.append("second approach")
        else:
            callback()

    mono.setpoint.put, mono.halt.put = put, halt
    move = mono.set(650.0)
    stopping.join(30)
    move.wait(timeout=30)
    assert orders == ["second approach", "halt"]


@pytest.mark.parametrize("edge", ["Mn", "mn l3", "Mn L4", " "])
def test_an_edge_that_nobody_knows_is_refused(mono, edge):
    with pytest.raises(ValueError, match=f"edge = '{edge}' is none of Mn L3, "):
        mono.edge.put(edge)
    for known in ("Mn L", "Mn L3", "O K", ""):
        mono.edge.put(known)


def test_limits_are_those_of_the_true_energy(mono, energy):
    assert mono.limits == (250.0, 1500.0) == (mono.low_limit, mono.high_limit)
    mono.edge.put("Mn L3")
    mono.backlash.put(2.0)
    assert mono.limits == (252.5, 1500.5)
    mono.check_value(252.5)
    with pytest.raises(LimitError):
        mono.check_value(252.4)
    low, high = energy.limits
    assert high == pytest.approx(10400 / GEOMETRY.a1)  # the end of the zone plate's axis
    for inside, outside in ((low + 0.01, low - 0.01), (high - 0.01, high + 0.01)):
        energy.check_value(inside)
        with pytest.raises((LimitError, InterlockError)):
            energy.check_value(outside)
    assert (energy.egu, energy.position, energy.wm()) == ("eV", 640.5, 640.5)
    assert mono.egu == "eV" and energy.hints == {"fields": ["energy"]}


def test_common_limits():
    assert common_limits((0, 5), (3, 9)) == (3.0, 5.0)
    assert all(math.isnan(limit) for limit in common_limits((0, 5), (None, None)))


def test_without_a_geometry_nothing_is_in_focus(mono):
    """Once it had the simulator's zone plate, silently."""
    plate = FakeZonePlate("ZP:", name="plate")
    energy = FocusedEnergy(name="energy", monochromator=mono, zone_plate=plate)
    plate.z.user_setpoint.sim_set_limits((-10000.0, 0.0))
    plate.z.velocity.sim_put(1e6)
    plate.z.acceleration.sim_put(0.0)
    for ask in (
        lambda: energy.set(650.0), lambda: energy.check_value(650.0), lambda: energy.focus(650.0),
        lambda: plate.z.set(-5000.0), lambda: plate.check([650.0]), lambda: plate.geometry,
    ):  # fmt: skip
        with pytest.raises(
            InterlockError,
            match=r"plate: the zone plate's geometry is not set "
            r"\(diameter, outer_zone, central_stop, osa_diameter, a0, a1\)",
        ):
            ask()
    assert mono.asked == [] and all(math.isnan(limit) for limit in energy.limits)
    plate.a0.put(np.float32(400.0))
    with pytest.raises(InterlockError, match=r"not set \(diameter, .*osa_diameter, a1\)"):
        energy.check_value(650.0)
    plate.set_geometry(GEOMETRY)
    energy.check_value(650.0)


def test_limits_told_to_a_queue_refuse_nothing_that_the_plan_would_take(mono):
    told = mono.parameter_limits()
    assert set(told) == {"energy", "energies", "dose_check"}
    low, high = told["energies"]
    for edge in (None, "Mn L3"):
        offset = mono.offset_at(edge)
        for energy in (low, high):
            taken = 250.0 <= energy - offset <= 1500.0
            if taken:
                mono.check_value(energy, offset=offset)
    assert (low, high) == (250.0, 1500.5)
    mono.edge.put("Mn L3")  # what holds now does not matter
    assert mono.parameter_limits() == told
    mono.epu_setpoint.sim_set_limits((0.0, 0.0))
    assert mono.parameter_limits() == {}
