"""The motor's verdict on its own moves, with a fake record."""

from __future__ import annotations

import math

import numpy as np
import pytest
from ophyd.sim import (
    FakeEpicsSignal,
    FakeEpicsSignalRO,
    fake_device_cache,
    make_fake_device,
)
from ophyd.utils import LimitError
from ophyd.utils.epics_pvs import AlarmSeverity

from redoxscope.devices import DeviceError, Motor
from redoxscope.devices._positioner import FreshSignal, FreshSignalRO

fake_device_cache.update({FreshSignal: FakeEpicsSignal, FreshSignalRO: FakeEpicsSignalRO})
FakeMotor = make_fake_device(Motor)


@pytest.fixture
def motor():
    motor = FakeMotor("M1", name="coarse_x", tolerance=0.5)
    motor.user_readback.sim_put(0.0)
    motor.user_setpoint.sim_put(0.0)
    motor.user_setpoint.sim_set_limits((-100.0, 100.0))
    motor.user_setpoint._metadata["units"] = "um"
    motor.velocity.sim_put(1e6)
    motor.acceleration.sim_put(0.0)
    motor.motor_done_move.sim_put(1)
    motor.motor_is_moving.sim_put(0)
    motor.direction_of_travel.sim_put(1)
    motor.user_readback.alarm_severity = AlarmSeverity.NO_ALARM
    for switch in (motor.low_limit_switch, motor.high_limit_switch):
        switch.sim_put(0)
    return motor


def travel(motor, readback):
    """What the record does: not done, somewhere, done."""
    motor.motor_done_move.sim_put(0)
    motor.user_readback.sim_put(readback)
    motor.motor_done_move.sim_put(1)


def test_arrives(motor):
    status = motor.set(10.0)
    assert not status.done
    travel(motor, 10.2)
    status.wait(timeout=60)


def test_stopped_short_is_a_failure(motor):
    status = motor.set(10.0)
    travel(motor, 4.0)
    with pytest.raises(DeviceError, match=r"coarse_x \(M1\) stopped at 4 um, 6 um from .* 10 um"):
        status.wait(timeout=60)


def test_stopped_by_the_run_engine_is_none(motor):
    status = motor.set(10.0)
    motor.motor_done_move.sim_put(0)
    motor.stop(success=True)
    status.wait(timeout=60)
    travel(motor, 4.0)
    again = motor.set(10.0)
    travel(motor, 10.0)
    again.wait(timeout=60)


def test_stopped_by_the_user_is_a_failure(motor):
    status = motor.set(10.0)
    motor.motor_done_move.sim_put(0)
    motor.stop()
    travel(motor, 4.0)
    with pytest.raises(DeviceError, match="coarse_x"):
        status.wait(timeout=60)


def test_sent_elsewhere_meanwhile(motor):
    first = motor.set(10.0)
    second = motor.set(20.0)
    with pytest.raises(DeviceError, match="sent to 20 um instead"):
        first.wait(timeout=60)
    travel(motor, 20.0)
    second.wait(timeout=60)


def test_never_done(motor, monkeypatch):
    monkeypatch.setattr("redoxscope.devices._motor.SETTLE_TIMEOUT", 0.05)
    status = motor.set(10.0)
    with pytest.raises(DeviceError, match=r"\(M1\) going to 10 um: not done within 0.05 s"):
        status.wait(timeout=60)


def test_disconnected_on_the_way(motor):
    status = motor.set(10.0)
    motor.user_readback._run_subs(sub_type=motor.user_readback.SUB_META, connected=False)
    with pytest.raises(DeviceError, match="disconnected"):
        status.wait(timeout=60)


@pytest.mark.parametrize("value", [-101.0, 100.5, math.nan, math.inf])
def test_limits(motor, value):
    with pytest.raises(LimitError, match=r"coarse_x = .* µm is outside .* -100 to 100 µm"):
        motor.set(value)
    assert motor.user_setpoint.get() == 0.0


@pytest.mark.parametrize("limits", [(0.0, 0.0), (5.0, -5.0), (math.nan, math.nan)])
def test_limits_that_say_nothing_are_refused(motor, limits):
    motor.user_setpoint.sim_set_limits(limits)
    with pytest.raises(LimitError, match="publishes no soft limits"):
        motor.set(1.0)


def test_guard(motor):
    def refuse(position):
        raise ValueError(f"{position} is too near")

    motor.guard(refuse)
    with pytest.raises(ValueError, match="3.0 is too near"):
        motor.set(3.0)
    assert motor.user_setpoint.get() == 0.0


@pytest.mark.parametrize("value", [np.float32(10), np.int64(10), np.array(10.0), np.array([10])])
def test_any_number_is_a_position(motor, value):
    status = motor.set(value)
    assert type(motor.user_setpoint.get()) is float
    travel(motor, 10.0)
    status.wait(timeout=60)


@pytest.mark.parametrize("value", ["10", None, True, np.bool_(True), 1j, [1.0], np.array([1, 2])])
def test_what_is_no_number_is_refused(motor, value):
    for ask in (motor.set, motor.move, motor.check_value):
        with pytest.raises(ValueError, match="coarse_x = .* um .*number"):
            ask(value)
    assert motor.user_setpoint.get() == 0.0


@pytest.mark.parametrize("velocity", [0.0, -1.0, math.nan, math.inf, None])
def test_a_velocity_with_which_it_never_arrives_is_refused(motor, velocity):
    motor.velocity.sim_put(velocity)
    with pytest.raises(DeviceError, match="coarse_x_velocity .*says .* um/s: "):
        motor.set(10.0)
    assert motor.user_setpoint.get() == 0.0


@pytest.mark.parametrize("tolerance", [None, 0.0, math.nan])
def test_without_a_tolerance_nothing_moves(motor, tolerance):
    motor.tolerance = tolerance
    with pytest.raises(DeviceError, match=r"coarse_x \(M1\): tolerance = .* um"):
        motor.set(10.0)
    assert motor.user_setpoint.get() == 0.0


def test_the_readback_is_asked_when_it_is_done(motor, monkeypatch):
    """ "Done" may overtake the monitor of the readback, which then tells of before the move."""
    asked = []
    get = motor.user_readback.get

    def fresh(**kwargs):
        asked.append(kwargs)
        return 10.0 if kwargs.get("use_monitor") is False else get(**kwargs)

    monkeypatch.setattr(motor.user_readback, "get", fresh)
    status = motor.set(10.0)
    motor.motor_done_move.sim_put(0)
    motor.motor_done_move.sim_put(1)
    status.wait(timeout=60)
    assert any(how.get("use_monitor") is False for how in asked)


def test_move_waits(motor, monkeypatch):
    def record(value, **kwargs):
        put(value, **kwargs)
        travel(motor, value)

    put = motor.user_setpoint.put
    monkeypatch.setattr(motor.user_setpoint, "put", record)
    seen = []
    motor.move(10.0, moved_cb=lambda status, obj: seen.append(obj))
    assert motor.position == motor.wm() == 10.0 and seen == [motor]
    assert (motor.low_limit, motor.high_limit) == motor.limits == (-100.0, 100.0)


def test_ctrl_c_while_it_moves_stops_it(motor, monkeypatch):
    stopped = []
    monkeypatch.setattr(motor, "stop", lambda **_: stopped.append(True))
    monkeypatch.setattr(
        "redoxscope.devices._base.Move.wait",
        lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        motor.move(10.0)
    assert stopped == [True]
