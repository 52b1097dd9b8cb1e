"""A heating stage as a model: block, sensor, controller, guard, and what comes off."""

from __future__ import annotations

import math

import numpy as np
import pytest

from redoxscope.sim.physics.thermal import (
    Block,
    Chamber,
    Guard,
    Outgassing,
    Plant,
    Regulator,
    Stage,
)

BLOCK = Block()


def heated(target, *, rate=0.0, start=20.0, **fields):
    """A stage that has just been told to go somewhere (degC), at a rate (degC/min)."""
    stage = Stage(**fields)
    stage.plant.jump(start)
    stage.regulator.working_c = start
    stage.regulator.rate_c_min, stage.regulator.target_c = rate, target
    stage.mode = "auto"
    return stage


def course(stage, seconds, step=5.0):
    """Temperatures of the block (degC) from now on."""
    found = []
    for _ in range(int(seconds / step)):
        stage.advance(step)
        found.append(stage.plant.block_c)
    return np.array(found)


def test_a_long_step_is_many_short_ones():
    at_once, by_steps, euler = Plant(), Plant(), [20.0, 20.0]
    at_once.advance(200.0, 0.3)
    for _ in range(200):
        by_steps.advance(1.0, 0.3)
    for _ in range(200_000):  # the equations themselves, of first order in time
        block, sensor = euler
        euler = [
            block + 1e-3 * (20 + 750 * 0.3 - block) / BLOCK.tau_s,
            sensor + 1e-3 * (block - sensor) / BLOCK.lag_s,
        ]
    assert at_once.block_c == pytest.approx(by_steps.block_c, abs=1e-9)
    assert at_once.sensor_c == pytest.approx(by_steps.sensor_c, abs=1e-9)
    assert [at_once.block_c, at_once.sensor_c] == pytest.approx(euler, abs=0.01)


def test_the_sensor_lags():
    plant = Plant()
    plant.advance(60.0, 1.0)
    rise = BLOCK.full_power_c / BLOCK.tau_s * math.exp(-60 / BLOCK.tau_s)  # degC/s, now
    assert plant.block_c - plant.sensor_c == pytest.approx(BLOCK.lag_s * rise, rel=0.05)


@pytest.mark.parametrize("rate", [0.0, 2.0, 10.0, 30.0, 100.0])
@pytest.mark.parametrize("target", [25.0, 100.0, 350.0, 600.0])
def test_no_overshoot_with_the_default_pid(rate, target):
    ramp = 60 * (target - 20) / rate if rate else 0.0
    stage = heated(target, rate=rate)
    found = course(stage, ramp + 2400)
    assert found.max() - target <= 1.0
    assert found[-240:] == pytest.approx(target, abs=0.8)  # the integral's tail
    assert stage.guard.closed


@pytest.mark.parametrize(("start", "target", "rate"), [(100, 25, 2), (600, 100, 10), (600, 100, 0)])
def test_nor_below_when_it_cools(start, target, rate):
    ramp = 60 * (start - target) / rate if rate else 0.0
    found = course(heated(target, rate=rate, start=start), ramp + 2400)
    assert target - found.min() <= 1.0
    assert found[-60:] == pytest.approx(target, abs=0.2)


def test_a_ramp_keeps_its_rate():
    found = course(heated(600.0, rate=2.0), 3600)
    assert np.diff(found[240:]) / 5 * 60 == pytest.approx(2.0, abs=0.2)


def test_readings_scatter_as_said():
    stage = heated(100.0)
    stage.advance(3600)
    readings = []
    for _ in range(2000):
        stage.advance(1.0)
        readings.append(stage.reading_c - stage.plant.sensor_c)
    assert np.std(readings) == pytest.approx(BLOCK.noise_c, rel=0.1)


def test_a_heater_is_finite():
    """A block needs 86 % of the power for 670 degC more; with a twentieth it gets to 57.5."""
    stage = heated(100.0)
    stage.power_left = 0.05
    assert course(stage, 7200)[-1] == pytest.approx(57.5, abs=0.1)
    assert stage.output_percent == 100.0


def test_a_failing_sensor_ends_the_output():
    stage = heated(100.0)
    stage.advance(3600)
    stage.sensor_fails = True
    stage.advance(3600)
    assert math.isnan(stage.reading_c) and stage.output_percent == 0.0
    assert stage.plant.block_c == pytest.approx(20.0, abs=0.1)
    stage.sensor_fails = False
    assert course(stage, 3600)[-1] == pytest.approx(100.0, abs=0.2)


@pytest.mark.parametrize("fault", ["sensor_stuck", "runaway"])
def test_the_guard_knows_better_than_the_controller(fault):
    stage = heated(300.0)
    stage.advance(30)  # on its way
    setattr(stage, fault, True)
    found = course(stage, 3600)
    assert stage.guard.tripped == "OverTemperature"
    assert found.max() <= stage.guard.ceiling_c + 5  # a second of full power
    assert found[-1] == pytest.approx(20.0, abs=0.2)  # whatever the controller goes on wanting
    assert (stage.mode, stage.regulator.target_c) == ("off", stage.guard.safe_c)


def test_a_guard_that_sees_nothing_trips():
    stage = heated(100.0)
    stage.guard_sensor_fails = True
    stage.advance(10)
    assert (stage.guard.tripped, stage.output_percent) == ("Sensor", 0.0)


def test_the_guard_is_reset_by_hand_and_not_while_it_is_hot():
    guard = Guard(ceiling_c=100.0)
    guard.check(120.0)
    guard.trip("DeadMan", "later")  # the first cause is the one that is told
    assert guard.tripped == "OverTemperature"
    with pytest.raises(ValueError, match=r"110\.0 degC, ceiling 100 degC"):
        guard.reset(110.0)
    assert not guard.closed and guard.reason == "120.0 degC, ceiling 100 degC"
    guard.reset(99.0)
    assert guard.closed and guard.reason == ""


def test_what_lies_on_it_is_told_of_all_that_passes():
    class Told:
        seconds = degree_seconds = steps = 0.0
        largest = 0.0
        last = 20.0

        def advance(self, seconds, temperature_c):
            self.seconds += seconds
            self.degree_seconds += seconds * temperature_c
            self.largest = max(self.largest, abs(temperature_c - self.last))
            self.last = temperature_c

    told = Told()
    stage = heated(100.0, rate=2.0, sample=told)
    stage.advance(2 * 3600 + 7.5)
    stage.catch_up()
    assert told.seconds == pytest.approx(2 * 3600 + 7.5)
    ramp, lag = 2400.0, 24.0  # s; the block is behind its set point by what closes the loop
    expected = (20 + 100) / 2 * ramp + 100 * (2 * 3600 + 7.5 - ramp) - 80 * lag
    assert told.degree_seconds == pytest.approx(expected, rel=2e-3)
    assert told.largest < 1.5


def test_at_rest_time_is_no_work():
    stage = Stage()
    assert stage.resting
    stage.advance(1e9)
    assert stage.plant.block_c == pytest.approx(20.0)


def test_settled_is_where_time_would_lead():
    for target, share in ((100.0, 1.0), (100.0, 0.1), (25.0, 1.0)):
        slow, fast = heated(target), heated(target)
        slow.share = fast.share = share
        slow.advance(4 * 3600)
        fast.settle()
        assert fast.reading_c == pytest.approx(slow.plant.block_c, abs=0.1)
        assert fast.output_percent == pytest.approx(slow.output_percent, abs=0.2)
    stage = heated(700.0)
    stage.settle()
    assert stage.guard.tripped == "OverTemperature"


def test_derivative_and_no_integral():
    regulator = Regulator(100.0)
    regulator.integral_s, regulator.derivative_s, regulator.gain = 0.0, 10.0, 2.0
    assert regulator.output(1.0, 90.0) == pytest.approx(20.0)
    assert regulator.output(1.0, 91.0) == 0.0  # rises by a degree a second: 2 (9 - 10)
    # No more of that; and the integral has begun to follow what was cut off.
    assert regulator.output(1.0, 91.0) == pytest.approx(18.0, abs=0.2)


@pytest.mark.parametrize(
    ("field", "value"),
    [("tau_s", 0.0), ("lag_s", 100.0), ("full_power_c", -1.0), ("noise_c", float("nan"))],
)
def test_a_block_that_is_none(field, value):
    with pytest.raises(ValueError, match=rf"{field} = .* must be"):
        Block(**{field: value})


def test_outgassing_is_used_up():
    """More when it is hot; a second time to the same temperature hardly any; none is made."""
    walls = Outgassing()
    cold = walls.advance(60, 20.0)
    hot = [walls.advance(60, 100.0) for _ in range(300)]
    again = walls.advance(60, 100.0)
    assert hot[0] > 100 * cold and again < hot[0] / 100
    assert walls.advance(60, 200.0) > 10 * again
    rest = sum(walls.advance(3600, 1000.0) for _ in range(10)) * 3600
    total = 60 * (cold + sum(hot) + again + 0) + rest
    assert total < 7 * 0.02
    one, many = Outgassing(), Outgassing()
    assert one.advance(600, 150.0) * 600 == pytest.approx(
        sum(many.advance(60, 150.0) for _ in range(10)) * 60
    )


def test_the_chamber_shows_flow_gas_and_leak():
    chamber = Chamber()
    rest = chamber.pressure_mbar
    assert rest == pytest.approx(2e-9, rel=0.1)
    chamber.update(0.0, {"O2": 3e-5})
    assert chamber.partial_mbar["O2"] == pytest.approx(1e-7, rel=0.1)
    assert chamber.pressure_mbar == pytest.approx(1e-7 + rest, rel=0.1)
    chamber.update(3e-5, {})
    assert chamber.partial_mbar["H2O"] == pytest.approx(7e-8, rel=0.1)
    chamber.leak = 1000.0
    chamber.update(0.0, {})
    assert chamber.partial_mbar["N2"] == pytest.approx(0.78 * 2e-6, rel=0.1)
