"""Heating stages and vacuum of the simulated beamline, as their PVs."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
from functools import partial
from types import SimpleNamespace

import epics
import numpy as np
import pytest
from caproto import AlarmSeverity, ChannelType
from ophyd import EpicsSignalRO
from ophyd.status import SubscriptionStatus

from redoxscope.devices.thermal._lakeshore import Lakeshore336 as LakeshoreClient
from redoxscope.sim import Simulation, SimulationError, check_options
from redoxscope.sim.ioc import HEAT_FAULTS, HeatFaults
from redoxscope.sim.ioc._clock import Clock, InstantClock
from redoxscope.sim.ioc.heat import HeatWorld

STAGES = ("Heater", "Linkam", "Euro")


class World:
    """The PVs without a network, in a time that passes when it is told to."""

    def __init__(self, instant=False, sample=None):
        self.seconds = 0.0
        clock = InstantClock() if instant else Clock(1.0, now=lambda: self.seconds)
        self.heat = HeatWorld(prefix="", clock=clock, sample=sample)
        self.pvs = self.heat.pvdb
        self.loop = asyncio.new_event_loop()
        self.loop.time = lambda: self.seconds  # of the dead man too
        self.wait(0.0)

    def get(self, name):
        return self.pvs[name].value

    def put(self, name, value):
        self.loop.run_until_complete(self.pvs[name].write(value))

    def wait(self, seconds):
        self.seconds += seconds
        for _ in range(3):  # timers that are due, and what they began
            self.loop.run_until_complete(asyncio.sleep(0))
        self.heat.now()
        self.loop.run_until_complete(self.heat.tell())

    def fault(self, command):
        self.heat.request(command)
        self.wait(0.0)


@pytest.fixture
def world():
    made = World()
    yield made
    made.loop.close()


def heat(world, stage, target):
    """Have a stage go to a temperature (degC) as fast as it can."""
    if stage == "Heater":
        world.put("Heater:HTR1:Range", "High")
        world.put("Heater:OUT1:SP", target + 273.15)
    elif stage == "Linkam":
        world.put("Linkam:rampRate", 100.0)
        world.put("Linkam:rampLimit", target)
        world.put("Linkam:heating", "On")
    else:
        world.put("Euro:SetPointTempWrite", target)
        world.put("Euro:ModeWrite", "Auto")


def lakeshore_orders(name, *args):
    """What the client writes, as (PV, value): its own rule, without its network."""
    heater = SimpleNamespace(
        ramp_on="OnRamp1", ramp_rate="RampR1", demand="OUT1:SP", heater_range="HTR1:Range",
        raw=lambda celsius: celsius + 273.15,
    )  # fmt: skip
    for order in ("orders_to_ramp", "orders_to_hold"):
        setattr(heater, order, partial(getattr(LakeshoreClient, order), heater))
    return getattr(LakeshoreClient, name)(heater, *args)


@pytest.mark.parametrize("order", ["cool", "hold"])
def test_what_a_client_writes_is_no_blow_whenever_it_comes(world, order):
    """Written twice, with seconds between: each order by itself asks for no more heat."""
    heat(world, "Heater", 100)
    world.wait(3600)
    if order == "hold":  # in the middle of a ramp
        for name, value in lakeshore_orders("orders_to_cool", 100.0, 600.0, 2.0):
            world.put(f"Heater:{name}", value)
        world.wait(60)
    seen, most = [reading(world, "Heater")], world.get("Heater:HTR1")
    for _ in range(2):
        here = reading(world, "Heater")
        args = (here,) if order == "hold" else (here, 25.0, 2.0)
        for name, value in lakeshore_orders(f"orders_to_{order}", *args):
            world.put(f"Heater:{name}", value)
            world.wait(2.0)
            assert world.get("Heater:HTR1") < most + 5.0
            seen.append(reading(world, "Heater"))
    for _ in range(30):
        world.wait(4.0)
        seen.append(reading(world, "Heater"))
    assert max(seen) < seen[0] + 1.0


def output_is_off(world, stage):
    name, off = {
        "Heater": ("HTR1:Range_RBV", "Off"),
        "Linkam": ("heating_RBV", "Off"),
        "Euro": ("SetPointPowerWrite", 0.0),
    }[stage]
    power = {"Heater": "HTR1", "Linkam": "heaterPower_RBV", "Euro": "SetPointPower"}[stage]
    return world.get(f"{stage}:{name}") == off and world.get(f"{stage}:{power}") == 0.0


def reading(world, stage):
    """What the controller says (degC)."""
    if stage == "Heater":
        kelvin = world.get("Heater:IN1:Units_RBV") == "Kelvin"
        return world.get("Heater:IN1") - (273.15 if kelvin else 0.0)
    linkam = stage == "Linkam"
    return world.get("Linkam:temperature_RBV") if linkam else world.get("Euro:SetPointSensor") / 10


@pytest.mark.parametrize("stage", STAGES)
def test_at_the_start_nothing_is_on(world, stage):
    world.wait(3600)
    assert output_is_off(world, stage)
    assert reading(world, stage) == pytest.approx(20.0, abs=0.2)
    assert world.get(f"{stage}:Guard:Tripped") == "OK"


@pytest.mark.parametrize("stage", STAGES)
def test_every_controller_regulates(world, stage):
    heat(world, stage, 100)
    world.wait(3600)
    assert reading(world, stage) == pytest.approx(100.0, abs=0.3)
    power = {"Heater": "HTR1", "Linkam": "heaterPower_RBV", "Euro": "SetPointPower"}[stage]
    assert world.get(f"{stage}:{power}") == pytest.approx(100 * 80 / 750, abs=0.3)


def test_the_lakeshore_ramps_from_its_set_point_in_its_unit(world):
    world.put("Heater:RampR1", 2.0)
    world.put("Heater:OnRamp1", "On")
    world.put("Heater:HTR1:Range", "High")
    world.put("Heater:OUT1:SP", 373.15)
    world.wait(1200)
    assert world.get("Heater:OUT1:SP") == pytest.approx(373.15)  # what was asked for
    assert world.get("Heater:OUT1:SP_RBV") == pytest.approx(333.15)  # half-way
    assert world.get("Heater:IN1") == pytest.approx(333.15 - 0.8, abs=0.3)
    world.put("Heater:IN1:Units", "Celsius")
    assert world.get("Heater:IN1") == pytest.approx(59.2, abs=0.3)
    assert world.get("Heater:OUT1:SP") == pytest.approx(100.0)
    assert world.pvs["Heater:IN1"].units == world.pvs["Heater:OUT1:SP"].units == "degC"
    world.put("Heater:HTR1:Range", "Off")
    world.wait(7200)  # cold, and the working set point is not
    assert world.get("Heater:OUT1:SP_RBV") == pytest.approx(100.0)
    world.put("Heater:OnRamp1", "Off")
    world.put("Heater:OUT1:SP", 50.0)
    assert world.get("Heater:OUT1:SP_RBV") == pytest.approx(50.0)  # without a ramp, at once


def test_the_range_of_the_lakeshore_is_its_power(world):
    """A tenth of the power: 75 degC above the surroundings, and no more."""
    world.put("Heater:HTR1:Range", "Medium")
    world.put("Heater:OUT1:SP", 393.15)
    world.wait(7200)
    assert world.get("Heater:HTR1") == 100.0
    assert reading(world, "Heater") == pytest.approx(95.0, abs=0.3)


def test_modes_of_the_lakeshore(world):
    world.put("Heater:OUT1:Mode", "Open Loop")
    world.put("Heater:OUT1:MOUT", 10.0)
    world.wait(7200)
    assert reading(world, "Heater") == pytest.approx(20.0, abs=0.2)  # the range is off
    world.put("Heater:HTR1:Range", "High")
    world.wait(7200)
    assert reading(world, "Heater") == pytest.approx(95.0, abs=0.3)
    world.put("Heater:OUT1:Mode", "Off")
    world.wait(7200)
    assert reading(world, "Heater") == pytest.approx(20.0, abs=0.2)


def test_the_linkam_heats_only_when_told_to_and_from_where_it_is(world):
    world.put("Linkam:rampRate", 10.0)
    world.put("Linkam:rampLimit", 120.0)
    world.wait(3600)
    assert reading(world, "Linkam") == pytest.approx(20.0, abs=0.2)
    world.put("Linkam:heating", "On")
    world.wait(300)  # from now on, not from an hour ago
    assert reading(world, "Linkam") == pytest.approx(70 - 4, abs=1.0)
    assert world.get("Linkam:rampAtLimit_RBV") == "No"
    world.wait(600)
    assert world.get("Linkam:rampAtLimit_RBV") == "Yes"
    world.put("Linkam:heating", "Off")
    world.wait(3600)
    assert output_is_off(world, "Linkam")
    assert world.get("Linkam:rampLimit") == 120.0


def test_the_eurotherm_takes_whole_degrees_and_manual_power(world):
    world.put("Euro:SetPointTempWrite", 60)
    assert world.get("Euro:SetPointTemp") == 60
    world.put("Euro:SetPointPowerWrite", 10.0)
    world.wait(7200)
    assert world.get("Euro:SetPointSensor") == pytest.approx(950, abs=3)
    assert world.get("Euro:SetPointPower") == 10.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Heater:OUT1:SP", -1.0),
        ("Heater:RampR1", -2.0),
        ("Heater:RampR1", math.nan),
        ("Linkam:rampLimit", math.inf),
        ("Linkam:rampRate", 0.0),
        ("Euro:SetPointTempWrite", -20),
        ("Euro:SetPointPowerWrite", 101.0),
        ("Heater:Guard:Ceiling", math.nan),
        ("Heater:Guard:DeadMan", -1.0),
        ("Heater:Guard:Tripped", "DeadMan"),
        ("Heater:IN1:Units", "Sensor"),
    ],
)
def test_what_an_instrument_refuses(world, name, value):
    before = world.get(name)
    with pytest.raises(ValueError, match=name.rpartition(":")[2].split("1")[0]):
        world.put(name, value)
    assert world.get(name) == before


@pytest.mark.parametrize("stage", STAGES)
def test_the_dead_man_is_wound_up_by_heartbeats(world, stage):
    heat(world, stage, 77)
    world.put(f"{stage}:Guard:DeadMan", 600.0)
    for _ in range(10):
        world.put(f"{stage}:Guard:Heartbeat", 1)  # also the same again
        world.wait(500)
    assert world.get(f"{stage}:Guard:Tripped") == "OK"
    assert reading(world, stage) == pytest.approx(77.0, abs=0.3)
    world.wait(101)
    assert world.get(f"{stage}:Guard:Tripped") == "DeadMan"
    assert world.get(f"{stage}:Guard:Reason") == "no heartbeat for 600 s"
    assert output_is_off(world, stage)
    safe = {"Heater": ("OUT1:SP", 298.15), "Linkam": ("rampLimit", 25.0)}
    name, value = safe.get(stage, ("SetPointTempWrite", 25))
    assert world.get(f"{stage}:{name}") == pytest.approx(value)


@pytest.mark.parametrize("stage", STAGES)
def test_a_tripped_guard_keeps_orders_down_until_it_is_reset(world, stage):
    world.put(f"{stage}:Guard:Ceiling", 50.0)
    heat(world, stage, 100)
    world.wait(600)
    assert world.get(f"{stage}:Guard:Tripped") == "OverTemperature"
    assert "ceiling 50 degC" in world.get(f"{stage}:Guard:Reason")
    heat(world, stage, 100)
    world.wait(3600)
    assert output_is_off(world, stage)
    assert world.get(f"{stage}:Guard:Temperature") == pytest.approx(20.0, abs=0.2)
    world.put(f"{stage}:Guard:Tripped", "OK")
    world.put(f"{stage}:Guard:Ceiling", 620.0)
    assert world.get(f"{stage}:Guard:Reason") == ""
    world.wait(3600)
    assert reading(world, stage) == pytest.approx(20.0, abs=0.2)  # nothing goes on by itself
    heat(world, stage, 100)
    world.wait(3600)
    assert reading(world, stage) == pytest.approx(100.0, abs=0.3)


def test_no_reset_while_it_is_hot(world):
    heat(world, "Linkam", 100)
    world.wait(3600)
    world.put("Linkam:Guard:Ceiling", 60.0)
    assert world.get("Linkam:Guard:Tripped") == "OverTemperature"
    with pytest.raises(ValueError, match=r"cannot be reset: .* degC, ceiling 60 degC"):
        world.put("Linkam:Guard:Tripped", "OK")
    assert world.get("Linkam:Guard:Tripped") == "OverTemperature"


def test_a_heartbeat_of_0_lets_go(world):
    """A client that ends in good order leaves nobody's stage to trip."""
    world.put("Linkam:Guard:Heartbeat", 7)
    world.put("Linkam:Guard:Heartbeat", 0)
    world.wait(1e5)
    assert world.get("Linkam:Guard:Tripped") == "OK"
    world.put("Linkam:Guard:DeadMan", 0.0)  # none
    world.put("Linkam:Guard:Heartbeat", 1)
    world.wait(1e5)
    assert world.get("Linkam:Guard:Tripped") == "OK"


def test_a_trip_lets_go_of_the_client(world):
    """As the records for a real IOC do: after the reset nobody need be heard who heats no more."""
    world.put("Linkam:Guard:Heartbeat", 5)
    world.put("Linkam:Guard:Ceiling", 10.0)
    assert world.get("Linkam:Guard:Tripped") == "OverTemperature"
    assert world.get("Linkam:Guard:Heartbeat") == 0
    world.put("Linkam:Guard:Heartbeat", 6)  # it goes on for a while
    world.wait(1.0)
    assert world.get("Linkam:Guard:Heartbeat") == 0
    world.put("Linkam:Guard:Ceiling", 620.0)
    world.put("Linkam:Guard:Tripped", "OK")
    world.wait(1e5)
    assert world.get("Linkam:Guard:Tripped") == "OK"


def test_a_sensor_that_fails_says_so(world):
    heat(world, "Heater", 100)
    world.wait(3600)
    world.fault("sensor_fails")
    world.wait(10)
    assert math.isnan(world.get("Heater:IN1")) and math.isnan(world.get("Linkam:temperature_RBV"))
    assert world.get("Euro:SetPointSensor") == 32767
    assert world.get("Heater:HTR1") == 0.0
    for name in ("Heater:IN1", "Linkam:temperature_RBV", "Euro:SetPointSensor"):
        assert world.pvs[name].alarm.severity == AlarmSeverity.INVALID_ALARM
    for name in ("Heater:OUT1:SP", "Linkam:rampLimit", "Euro:SetPointTemp"):
        assert world.pvs[name].alarm.severity == AlarmSeverity.NO_ALARM
    world.fault("clear")
    world.wait(10)
    assert world.get("Heater:IN1") > 290
    assert world.pvs["Heater:IN1"].alarm.severity == AlarmSeverity.NO_ALARM


@pytest.mark.parametrize("fault", ["sensor_stuck", "runaway"])
def test_the_guard_acts_where_the_controller_is_wrong(world, fault):
    world.fault(fault)
    before = world.get("Heater:IN1")
    if fault == "sensor_stuck":
        heat(world, "Heater", 200)
    world.wait(3600)
    assert world.get("Heater:Guard:Tripped") == "OverTemperature"
    assert world.get("Heater:Guard:Temperature") == pytest.approx(20.0, abs=0.2)
    assert world.get("Heater:IN1") == pytest.approx(before, abs=0.2)


def test_a_guard_that_sees_nothing(world):
    heat(world, "Heater", 100)
    world.fault("guard_sensor_fails")
    world.wait(5)
    assert world.get("Heater:Guard:Tripped") == "Sensor"
    assert math.isnan(world.get("Heater:Guard:Temperature"))
    assert output_is_off(world, "Heater")


def test_a_broken_heater_does_not_reach(world):
    world.fault("cannot_reach 0.05")
    heat(world, "Linkam", 100)
    world.wait(7200)
    assert world.get("Linkam:heaterPower_RBV") == 100.0
    assert reading(world, "Linkam") == pytest.approx(57.5, abs=0.3)


@pytest.mark.parametrize("stage", STAGES)
def test_a_silent_controller_takes_no_orders(world, stage):
    world.fault("silent")
    heat(world, stage, 100)
    world.wait(3600)
    assert output_is_off(world, stage)
    world.fault("clear")
    assert reading(world, stage) == pytest.approx(20.0, abs=0.2)
    heat(world, stage, 100)
    world.wait(3600)
    assert reading(world, stage) == pytest.approx(100.0, abs=0.3)


def test_vacuum_and_cryostat(world):
    rest = world.get("Chamber:Pressure")
    partial = [world.get(f"RGA:P:MID{n}-I") for n in range(1, 10)]
    assert rest == pytest.approx(sum(partial)) == pytest.approx(2e-9, rel=0.2)
    assert world.get("Cryostat:Temperature") == pytest.approx(0.05, abs=1e-3)
    world.fault("leak 1e6")
    assert world.get("Chamber:Pressure") == pytest.approx(2e-3, rel=0.1)
    assert world.get("RGA:P:MID4-I") > 1e4 * world.get("RGA:P:MID3-I")  # air: nitrogen
    world.fault("cryostat_warm 0.3")
    assert world.get("Cryostat:Temperature") == 0.3
    world.fault("clear")
    assert world.get("Chamber:Pressure") < 1e-8
    assert world.get("Cryostat:Temperature") < 0.06


def test_heat_drives_gas_out_and_the_sample_adds_its_own():
    class Sample:
        hottest = 0.0

        def advance(self, seconds, temperature_c):
            self.hottest = max(self.hottest, temperature_c)

        def gas_rates(self):
            return {"O2": 3e-5} if self.hottest > 200 else {}

    sample = Sample()
    world = World(sample=sample)
    world.wait(1.0)
    rest = world.get("Chamber:Pressure")
    heat(world, "Heater", 150)
    world.wait(60)
    assert world.get("Chamber:Pressure") > 20 * rest
    assert world.get("RGA:P:MID3-I") > world.get("RGA:P:MID1-I")  # water first
    oxygen = world.get("RGA:P:MID6-I")
    heat(world, "Heater", 250)
    world.wait(600)
    assert world.get("RGA:P:MID6-I") == pytest.approx(1e-7, rel=0.1)
    assert oxygen < 1e-9
    world.loop.close()


def test_in_a_dry_run_it_is_there_at_once():
    world = World(instant=True)
    world.put("Heater:OnRamp1", "On")
    heat(world, "Heater", 100)
    assert world.get("Heater:IN1") == pytest.approx(373.15)
    assert world.get("Heater:OUT1:SP_RBV") == pytest.approx(373.15)
    world.put("Heater:HTR1:Range", "Off")
    assert world.get("Heater:IN1") == pytest.approx(293.15)
    world.loop.close()


def test_a_killed_client_leaves_nothing_hot():
    """A real client in a process of its own heats three stages, beats, and is gone."""
    with Simulation(speed=50.0, heat_speed=1000.0) as running:

        def get(name):
            value = epics.caget(running.prefix + name, timeout=30, use_monitor=False)
            assert value is not None, f"{name} does not answer"
            return value

        def wait(name, until):
            pv = EpicsSignalRO(running.prefix + name, name="waited")
            try:
                pv.wait_for_connection(timeout=60)
                SubscriptionStatus(pv, lambda *, value, **_: until(value), timeout=120).wait()
            finally:
                pv.destroy()

        assert get("Sim:HeatSpeed") == 1000.0 == running.heat_speed
        for stage in STAGES:  # by hand, as at a beamline
            assert epics.caput(f"{running.prefix}{stage}:Guard:DeadMan", 600.0, wait=True) == 1
        client = f"""
import threading
from redoxscope.beamline import make_beamline, parse_beamline
text = '''
name: hot
prefix: "{running.prefix}"
devices:
  heater: {{class: lakeshore336, prefix: "Heater:", low: 20, high: 600, range: high,
           max_rate: 100, margin: 100000, time_scale: 1000}}
  linkam: {{class: linkam_t96, prefix: "Linkam:", low: 20, high: 600, max_rate: 100, margin: 100000,
           time_scale: 1000}}
  euro: {{class: eurotherm2216e, prefix: "Euro:", low: 20, high: 600, max_rate: 100, margin: 100000,
         time_scale: 1000}}
'''
beamline = make_beamline(parse_beamline(text, "hot.yml"))
beamline.connect(30)
for stage in beamline.devices.values():
    stage.rate.set(100).wait(30)
    stage.set(77)
print("heats", flush=True)
threading.Event().wait()
"""
        process = subprocess.Popen(
            [sys.executable, "-c", client], stdout=subprocess.PIPE, env=dict(os.environ), text=True
        )
        try:
            assert process.stdout.readline() == "heats\n"
            for stage in STAGES:
                wait(f"{stage}:Guard:Temperature", lambda value: value > 70)
                wait(f"{stage}:Guard:Heartbeat", lambda value: value > 0)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        for stage in STAGES:
            assert get(f"{stage}:Guard:Tripped") == 0  # its time is not over
            # A shorter one than a busy machine lets a living client keep; it counts from now.
            assert epics.caput(f"{running.prefix}{stage}:Guard:DeadMan", 0.2, wait=True) == 1
        for stage in STAGES:
            wait(f"{stage}:Guard:Tripped", lambda value: value == 2)
            wait(f"{stage}:Guard:Temperature", lambda value: value < 25)
        assert get("Heater:HTR1:Range_RBV") == get("Linkam:heating_RBV") == 0
        assert get("Euro:SetPointPower") == 0 and get("Euro:Mode") == 1
        assert running.output == ""


@pytest.mark.parametrize("name", [name for name in HEAT_FAULTS if name != "clear"])
def test_faults_are_taken_and_forgotten(name):
    faults = HeatFaults()
    faults.request(name)
    assert name in faults
    faults.request("clear")
    assert name not in faults and faults[name] is None


@pytest.mark.parametrize(
    "command", ["", "none", "leak x", "leak nan", "cannot_reach 2", "silent 1", "leak 1 2"]
)
def test_faults_that_are_none(command):
    with pytest.raises(ValueError, match="heat"):
        HeatFaults().request(command)
    with pytest.raises(ValueError, match="heat"):
        check_options(options={"fault": [f"heat {command}"]})


@pytest.mark.parametrize("speed", [0, -1, math.nan, math.inf, "fast"])
def test_a_heat_speed_that_is_none(speed):
    with pytest.raises((ValueError, SimulationError), match="heat_speed"):
        Simulation(heat_speed=speed)


NONSENSE = ("", "x" * 39, "99", "nan", 99, -1, 1 << 15, 0.5, -1e300, math.nan, math.inf)


def test_whatever_is_written_the_heat_goes_on(world):
    """Every PV takes it or refuses it, and the guard's ceiling is one in the end."""
    for name, pv in world.pvs.items():
        for value in NONSENSE:
            text = isinstance(value, str)
            data = [value.encode()] if text else np.array([value], float)
            kind = ChannelType.STRING if text else ChannelType.DOUBLE
            try:
                world.loop.run_until_complete(pv.auth_write("host", "user", data, kind, None))
            except Exception as error:  # caproto has many; each says no
                assert str(error) or type(error).__name__, name
            world.wait(1.0)
    for stage in STAGES:
        ceiling = world.get(f"{stage}:Guard:Ceiling")
        assert math.isfinite(ceiling)
        assert world.heat.stages[f"{stage}:"].guard.ceiling_c == ceiling
        world.put(f"{stage}:Guard:Ceiling", 620.0)
        world.put(f"{stage}:Guard:Heartbeat", 0)
        world.put(f"{stage}:Guard:Tripped", "OK")
    world.put("Heater:IN1:Units", "Kelvin")
    world.put("Heater:OnRamp1", "Off")
    world.put("Heater:OUT1:Mode", "Closed Loop PID")
    world.put("Heater:P1", 10.0)
    world.put("Heater:I1", 5.6)
    world.put("Heater:D1", 0.0)
    for stage in STAGES:
        heat(world, stage, 100)
    world.wait(7200)
    for stage in STAGES:
        assert reading(world, stage) == pytest.approx(100.0, abs=0.3)
