"""The three controllers on records of a real EPICS IOC, and the guard that comes as a file."""

from __future__ import annotations

import math
import threading

import pytest
from ophyd import EpicsSignal

from redoxscope.beamline import connect
from redoxscope.devices import (
    DeviceError,
    Eurotherm2216e,
    Lakeshore336,
    LinkamT96,
    heated_by,
)
from redoxscope.devices.thermal import Trip

LONG = 60.0

CONTROLLERS = {
    "lakeshore336": (Lakeshore336, {"range": "medium"}),
    "linkam_t96": (LinkamT96, {}),
    "eurotherm2216e": (Eurotherm2216e, {}),
}

QUICK = {
    "low": 0.0,
    "high": 400.0,
    "rate": 6000.0,
    "max_rate": 9000.0,
    "settle": 0.3,
    "slope_limit": 60.0,
    "margin": 50.0,
}


def until(signal, wanted):
    """Wait until a signal has a value, or one that a function likes."""
    there = threading.Event()
    likes = wanted if callable(wanted) else lambda value: value == wanted

    def look(*, value, **_):
        if likes(value):
            there.set()

    signal.subscribe(look)
    try:
        assert there.wait(LONG), f"{signal.name} is {signal.get()}"
    finally:
        signal.clear_sub(look)


@pytest.fixture(params=CONTROLLERS)
def heater(request, real_ioc):
    controller, options = CONTROLLERS[request.param]
    made = heated_by(controller, **options)(real_ioc.of(request.param), name="heater", **QUICK)
    connect(made)
    made.guard.reset().wait(LONG)
    yield made
    made.make_safe().wait(LONG)
    made.destroy()


@pytest.fixture
def broken(real_ioc, heater):
    """Takes the sensor away, until the end of the test."""
    signal = EpicsSignal(f"{heater.prefix}Broken", name="broken")
    signal.wait_for_connection(timeout=LONG)
    yield signal
    signal.put(0, wait=True)
    until(heater.controller.reading, math.isfinite)
    signal.destroy()


def test_connecting_changes_nothing_and_the_unit_is_degc(heater):
    assert heater.position == pytest.approx(20.0, abs=3.0)
    assert not heater.controller.is_on
    assert heater.read()["heater"]["value"] == pytest.approx(20.0, abs=3.0)
    assert heater.describe()["heater"]["units"] == "degC"
    assert heater.guard.trip is Trip.NO


def test_goes_there_soaks_and_is_made_safe(heater):
    heater.set(60).wait(LONG)
    assert heater.position == pytest.approx(60.0, abs=1.01)
    assert heater.controller.is_on
    assert heater.setpoint.get() == pytest.approx(60.0, abs=0.01)
    heater.soak(0.5).wait(LONG)
    assert heater.soaked.in_band_s >= 0.5
    safe = heater.make_safe()
    safe.ordered.wait(LONG)
    safe.wait(LONG)
    assert not heater.controller.is_on
    assert not heater.guard.beating
    until(heater.guard.heartbeat, 0)


def test_stop_holds_and_a_pause_goes_on(heater):
    heater.rate.put(60.0)  # minutes, so that it is on its way for this test
    status = heater.set(120)
    until(heater.temperature, lambda value: value > 21)
    heater.pause()
    assert not status.done
    until(heater.setpoint, lambda value: value < 110)
    heater.rate.put(6000.0)
    heater.resume()
    status.wait(LONG)
    assert heater.position == pytest.approx(120.0, abs=1.0)
    heater.rate.put(60.0)
    status = heater.set(50)
    until(heater.temperature, lambda value: value < 119)
    heater.stop()
    with pytest.raises(DeviceError, match="was stopped at"):
        status.wait(LONG)
    until(heater.setpoint, lambda value: value > 51)
    heater.stop()  # again: it holds already
    assert heater.controller.is_on
    heater.rate.put(6000.0)


def test_what_somebody_else_sets_is_found(heater):
    heater.set(40).wait(LONG)
    status = heater.soak(1000.0)
    for signal, value in heater.controller.orders_to_hold(55.0):
        signal.put(value, wait=True)
    with pytest.raises(DeviceError, match="is 55 degC where 40 degC was asked for"):
        status.wait(LONG)


def test_the_guard_switches_off_where_the_client_is_not_heard(heater):
    heater.set(60).wait(LONG)
    assert heater.controller.is_on
    heater.guard.dead_man.put(2.0, wait=True)
    try:
        heater.guard.end()  # as if the client were dead
        until(heater.guard.tripped, int(Trip.DEAD_MAN))
    finally:
        heater.guard.dead_man.put(600.0, wait=True)
    with pytest.raises(DeviceError, match="not heard of any more.*guard.reset"):
        heater.check_value(60)
    until(heater.temperature, lambda value: value < 25)
    assert not heater.controller.is_on
    assert heater.setpoint.get() == pytest.approx(25.0, abs=0.5)
    heater.guard.reset().wait(LONG)
    heater.check_value(60)


def test_the_guard_has_a_ceiling(heater):
    heater.set(60).wait(LONG)
    status = heater.soak(1000.0)
    heater.guard.ceiling.put(50.0, wait=True)
    try:
        with pytest.raises(DeviceError, match="above the ceiling"):
            status.wait(LONG)
        until(heater.temperature, lambda value: value < 25)
        with pytest.raises(DeviceError, match="above the ceiling"):
            heater.check_value(60)
        heater.guard.reset().wait(LONG)
        with pytest.raises(DeviceError, match="ceiling of 50 degC"):
            heater.check_value(60)
    finally:
        heater.guard.ceiling.put(500.0, wait=True)


def test_without_a_sensor_there_is_no_heat(heater, broken):
    heater.set(60).wait(LONG)
    broken.put(1, wait=True)
    until(heater.guard.tripped, int(Trip.SENSOR))
    with pytest.raises(DeviceError):
        heater.check_value(60)
    safe = heater.make_safe()
    safe.wait(LONG)
    assert not heater.controller.is_on
