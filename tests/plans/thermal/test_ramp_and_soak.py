"""A ramp and a soak: one run that says what the sample had, and a heater that is left safe."""

from __future__ import annotations

import threading

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
import numpy as np
import pytest
from bluesky import Msg
from bluesky.utils import FailedStatus, RunEngineInterrupted

from redoxscope.plans import Lookup, ramp_and_soak
from redoxscope.plans._safety import shielded
from redoxscope.testing import (
    Documents,
    FakeHeater,
    FakeShutter,
    FakeSoaked,
    PromptHeater,
    paused_after,
    run_resuming,
)

SOAK = 5 * 3600.0


def test_one_run_with_its_phases_its_soak_and_the_temperature(RE, heater, record):
    RE(ramp_and_soak(heater, 100, rate=2, soak=SOAK))
    record.validate()
    assert record.start["heating"] == {
        "heater": "heater", "target_c": 100.0, "rate": 2.0, "soak_s": SOAK, "timeout_s": None,
        "then": "cool", "cool_to_c": 25.0, "cool_rate": None,
    }  # fmt: skip
    rows = list(record.rows().values())
    assert [row["phase"] for row in rows] == ["begin", "reached", "soaked", "cooled"]
    assert [row["point"] for row in rows] == [0, 1, 2, 3] == list(range(record.start["num_points"]))
    assert [row["heater"] for row in rows] == [22.0, 100.0, 100.0, 25.0]
    elapsed = [row["elapsed"] for row in rows]
    assert elapsed[2] - elapsed[1] == pytest.approx(SOAK)
    assert elapsed[1] == pytest.approx(78 / 2 * 60 + heater.settle_s)
    (soak,) = record.rows("soak").values()
    assert soak["heater_soak_in_band"] == SOAK and soak["heater_soak_overshoot"] == 0.3
    trace = [row["heater"] for row in record.rows("heater_monitor").values()]
    assert trace == [22.0, 100.0, 25.0]
    assert heater.told == [("set", 100.0), ("soak", SOAK), ("safe",), ("safe",)]
    assert heater.rate.get() == 2.0 and record.stop["exit_status"] == "success"


def test_it_is_held_where_that_is_asked_for(RE, heater, record):
    RE(ramp_and_soak(heater, 100, then="hold"))
    assert heater.told == [("set", 100.0)] and not heater.safe
    assert [row["phase"] for row in record.rows().values()] == ["begin", "reached"]


def test_down_to_another_temperature_at_another_rate(RE, heater, record):
    RE(ramp_and_soak(heater, 300, rate=10, cool_to=80, cool_rate=3))
    assert heater.told == [("set", 300.0), ("set", 80.0), ("safe",)]
    assert heater.rate.get() == 3.0


@pytest.mark.parametrize("then", ["cool", "hold"])
@pytest.mark.parametrize("what", ["set", "soak"])
def test_what_fails_is_cooled_and_said(RE, heater, shutter, record, what, then):
    heater.trouble[what] = RuntimeError("heater: the sensor does not move (IN1)")
    with pytest.raises(RuntimeError, match="the sensor does not move"):
        RE(ramp_and_soak(heater, 100, soak=SOAK, then=then, shutter=shutter))
    assert heater.safe and heater.told[-1] == ("safe",)
    assert record.stop["exit_status"] == "fail"
    assert record.stop["reason"] == "heater: the sensor does not move (IN1)"
    if what == "soak":  # what the sample had until then is kept
        (soak,) = record.rows("soak").values()
        assert soak["heater_soak_in_band"] == SOAK / 2 and soak["heater_soak_left_out"] == 60.0


def test_a_heater_that_does_not_take_the_order_is_told(RE, heater, record, caplog):
    heater.trouble["safe"] = TimeoutError("heater: HTR1:Range does not answer")
    with pytest.raises((TimeoutError, FailedStatus), match="HTR1:Range"):
        RE(ramp_and_soak(heater, 100, cool_to=80))
    assert "could not make heater safe" in caplog.text and "CHECK IT BY HAND" in caplog.text
    assert record.stop["exit_status"] == "fail" and "HTR1:Range" in record.stop["reason"]


def test_a_way_down_that_is_not_taken_ends_the_run_and_is_ordered_again(RE, heater, record):
    heater.trouble["safe"] = TimeoutError("heater: HTR1:Range does not answer")
    with pytest.raises((TimeoutError, FailedStatus), match="HTR1:Range"):
        RE(ramp_and_soak(heater, 100))
    assert heater.safe and heater.told == [("set", 100.0), ("safe",), ("safe",)]
    assert record.stop["exit_status"] == "fail"


def messages(plan):
    """How many messages a plan has."""
    return len(list(plan))


def plan_of(heater, shutter):
    return ramp_and_soak(heater, 100, rate=2, soak=SOAK, shutter=shutter, cool_rate=5)


def test_an_abort_at_any_message_leaves_it_safe(RE, record, heater, shutter, all_messages):
    """Ctrl-C and RE.abort(); the suite takes every third message."""
    for number in range(0, messages(plan_of(heater, shutter)), 1 if all_messages else 3):
        heater, shutter = PromptHeater(), FakeShutter()
        before = len(record.named("start"))
        with pytest.raises(RunEngineInterrupted):
            RE(paused_after(plan_of(heater, shutter), number))
        RE.abort("no more beamtime")
        assert heater.safe, number
        assert not shutter.beam
        opened = len(record.named("start")) - before
        assert len(record.named("stop")) == len(record.named("start"))
        if opened and RE.state == "idle" and number < messages(plan_of(heater, shutter)) - 1:
            assert record.stop["exit_status"] in ("abort", "success"), number
    record.validate()


def test_a_pause_at_any_message_changes_nothing(RE, heater, shutter, all_messages):
    for number in range(1, messages(plan_of(heater, shutter)), 1 if all_messages else 3):
        heater, record = PromptHeater(), Documents()
        token = RE.subscribe(record)
        assert run_resuming(RE, paused_after(plan_of(heater, FakeShutter()), number)) == 1
        RE.unsubscribe(token)
        record.validate()
        rows = list(record.rows().values())
        assert [row["phase"] for row in rows] == ["begin", "reached", "soaked", "cooled"], number
        (soak,) = record.rows("soak").values()
        assert soak["heater_soak_in_band"] == SOAK, number
        assert heater.safe and record.stop["exit_status"] == "success"


def when_set(device, then):
    """Do something in another thread, once, when a device has been set."""
    inner, done = device.set, threading.Event()

    def outer(*values, **options):
        status = inner(*values, **options)
        if not done.is_set():
            done.set()
            threading.Thread(target=then).start()
        return status

    device.set = outer


def test_halt_in_a_soak_cools_all_the_same(RE, heater, record, caplog):
    """No plan may send anything after it; the heater is told directly."""
    heater.prompt = False
    when_set(heater, heater.arrive)
    when_set(heater.soaking, RE.request_pause)
    with pytest.raises(RunEngineInterrupted):
        RE(ramp_and_soak(heater, 100, soak=SOAK))
    assert not heater.safe
    RE.halt()
    assert heater.safe and "halted: heater ramps down" in caplog.text


def test_a_soak_goes_on_through_a_pause(RE, heater, record):
    heater.prompt = False
    when_set(heater, heater.arrive)
    when_set(heater.soaking, RE.request_pause)
    with pytest.raises(RunEngineInterrupted):
        RE(ramp_and_soak(heater, 100, soak=SOAK, then="hold"))
    heater.finish_soak()  # meanwhile
    RE.resume()
    assert heater.told == [("set", 100.0), ("soak", SOAK)]
    (soak,) = record.rows("soak").values()
    assert soak["heater_soak_in_band"] == SOAK


def test_what_was_made_safe_in_a_pause_is_heated_and_soaked_again(RE, heater, record):
    """As an over-temperature does, in a suspension: the rest is soaked, and all of it told."""
    heater.prompt = False
    when_set(heater, heater.arrive)
    when_set(heater.soaking, RE.request_pause)
    with pytest.raises(RunEngineInterrupted):
        RE(ramp_and_soak(heater, 100, soak=SOAK, then="hold"))
    heater.soaked = FakeSoaked(1000.0, min_c=99.0)
    heater.soaking._status.set_finished()  # ended well, as in a pause
    heater.told.append(("safe",))
    heater.clock.advance(1500.0)
    heater.prompt = True
    RE.resume()
    assert heater.told[-3:] == [("safe",), ("set", 100.0), ("soak", SOAK - 1000.0)]
    (soak,) = record.rows("soak").values()
    assert soak["heater_soak_in_band"] == SOAK and soak["heater_soak_min"] == 99.0
    assert soak["heater_soak_left_out"] == 500.0 + heater.settle_s  # cold, and settling


def test_a_halt_cools_also_where_a_plan_within_goes_on(heater):
    """A user's plan that yields in its ``finally`` cannot be closed: no reason to stay hot."""

    def own():
        try:
            yield Msg("open_run")
            yield Msg("set", heater, 100.0)
        finally:
            yield Msg("set", heater, 200.0)

    plan = shielded(heater, own())
    assert next(plan).command == "open_run"
    assert plan.send("uid").obj is heater
    with pytest.raises(RuntimeError, match="ignored GeneratorExit"):
        plan.close()
    assert heater.told == [("safe",)]


def test_a_plan_that_nobody_carries_out_heats_nothing(heater, shutter):
    plan = plan_of(heater, shutter)
    for _ in range(20):
        next(plan)
    plan.close()
    list(plan_of(heater, shutter))
    assert heater.told == [] and shutter.told == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"target": 900}, "900 degC is outside 20 to 600 degC"),
        ({"target": True}, "target = True must be one number in degC"),
        ({"target": float("nan")}, "target = nan degC must be"),
        ({"target": "100"}, "must be one number in degC"),
        ({"rate": -2}, "rate = -2 degC/min must be greater than 0 degC/min"),
        ({"rate": 1000}, r"heater.rate = 1000 degC/min"),
        ({"soak": -1}, "soak = -1 s must be at least 0 s"),
        ({"soak": np.inf}, "soak = inf s"),
        ({"soak": SOAK, "timeout": 3600}, "timeout = 3600 s is shorter than the soak of 18000 s"),
        ({"then": "freeze"}, "then = 'freeze' must be one of 'cool', 'hold'"),
        ({"cool_to": 5}, "5 degC is outside 20 to 600"),
        ({"cool_to": 200}, "cool_to = 200 degC is above target = 100 degC"),
        ({"md": {"heating": 1}}, "md has the key 'heating'"),
        ({"md": {"plan_name": "x"}}, "md has the key 'plan_name'"),
        ({"heater": "heater"}, "heater = .heater. is text: give the device, without quotes"),
        ({"heater": 3}, "is not a device such as redoxscope.devices.HeatingStage"),
        ({"shutter": 3}, "shutter = 3 is no device that can be set"),
    ],
    ids=str,
)
def test_bad_input_is_refused_at_the_call(heater, options, said):
    asked = {"heater": heater, "target": 100} | options
    with pytest.raises(ValueError, match=said):
        ramp_and_soak(**asked)
    assert heater.told == []


def test_numbers_of_any_type(RE, heater, record):
    RE(ramp_and_soak(heater, np.float32(100), rate=np.int8(2), soak=np.array([60])))
    assert record.start["heating"]["soak_s"] == 60.0


def test_a_session_that_monitors_it_already(RE, heater, record):
    RE.preprocessors.append(bpp.SupplementalData(monitors=[heater.temperature]))
    RE(ramp_and_soak(heater, 100))
    trace = [row["heater"] for row in record.rows("heater_monitor").values()]
    assert trace == [22.0, 100.0, 25.0]
    record.validate()


def test_the_shutter_of_whoever_runs_it_is_closed(RE, heater, shutter, record):
    RE(bps.mv(shutter, "hold"))
    RE.preprocessors.append(Lookup(shutter=shutter))
    RE(ramp_and_soak(heater, 100))
    assert "closed" in shutter.told and not shutter.beam


def test_progress_is_what_the_stage_says_and_what_is_to_come(heater):
    from ophyd.status import Status

    from redoxscope.plans.thermal._progress import HeatProgress

    progress = HeatProgress([2400.0, SOAK, 900.0], heater)
    assert progress.report()["time_remaining"] == pytest.approx(2400 + SOAK + 900)
    heater.clock.advance(2400)
    status = Status()
    watchers = []
    status.watch = watchers.append
    progress.begin(1, status)
    assert status.watch == progress.watch
    heater.clock.advance(3600)
    report = progress.report()  # the stage has said nothing yet
    assert report["time_remaining"] == pytest.approx(SOAK - 3600 + 900)
    watchers[0](name="heater", time_remaining=SOAK - 600)  # most of it was out of band
    heater.clock.advance(100)
    report = progress.report()
    assert report["time_remaining"] == pytest.approx(SOAK - 700 + 900)
    assert report["time_elapsed"] == pytest.approx(6100)
    shown = report["fraction"]
    watchers[0](name="heater", time_remaining=SOAK)
    assert progress.report()["fraction"] >= shown  # it never falls
    progress.end()
    assert progress.report()["time_remaining"] == 0.0
    status.set_finished()


def test_on_the_stage_itself(RE, record):
    """The real device, on a calculated controller."""
    heater = FakeHeater()
    heater.controller.step = 5.0
    RE(ramp_and_soak(heater, 100, rate=5, soak=300.0, timeout=3600.0, cool_to=60))
    (soak,) = record.rows("soak").values()
    assert soak["heater_soak_in_band"] >= 300.0 and soak["heater_soak_max"] < 101.0
    rows = list(record.rows().values())
    assert [row["phase"] for row in rows] == ["begin", "reached", "soaked", "cooled"]
    assert [row["heater"] for row in rows] == pytest.approx([25, 100, 100, 60], abs=1.0)
    assert not heater.controller.is_on or heater.setpoint.get() == pytest.approx(25.0)
    trace = [row["heater"] for row in record.rows("heater_monitor").values()]
    assert max(trace) == pytest.approx(100, abs=1.0) and len(trace) > 10
    record.validate()
