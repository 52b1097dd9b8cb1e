"""The heating stage itself, on a controller that is only calculated; no time is waited for."""

from __future__ import annotations

import math
import threading
from decimal import Decimal
from pathlib import Path

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import numpy as np
import pytest
from bluesky.protocols import Movable, Pausable, Readable, Stoppable
from ophyd import Signal
from ophyd.utils import LimitError

from redoxscope.devices import DeviceError, HeatingStage, LinkamT96, heated_by
from redoxscope.devices._base import Move
from redoxscope.devices.roles import HeaterRole, check_role
from redoxscope.plans import Heater
from redoxscope.testing import FakeHeater, make_engine

LONG = 300.0


@pytest.fixture
def heater():
    made = FakeHeater()
    made.controller.step = 30.0
    yield made
    made.destroy()


def failure(status):
    """The message with which it fails."""
    with pytest.raises(DeviceError) as caught:
        status.wait(LONG)
    return str(caught.value)


def begun(heater):
    """Wait until all is ordered: the output is switched on last."""
    on = threading.Event()

    def look(*, value, **_):
        if value:
            on.set()

    heater.controller.switch.subscribe(look)
    assert on.wait(LONG)
    heater.controller.switch.clear_sub(look)


def followed(heater):
    """Wait until all was ordered, and it is asked for its temperature."""
    asked = threading.Event()

    def look(**_):
        asked.set()

    heater.controller.reading.subscribe(look, run=False)
    assert asked.wait(LONG)
    heater.controller.reading.clear_sub(look)


def test_it_is_what_plans_and_bluesky_ask_for(heater):
    assert isinstance(heater, Heater)
    for protocol in (Movable, Readable, Stoppable, Pausable):
        assert isinstance(heater, protocol)
    check_role("xas", "heater", heater, HeaterRole)
    assert heater.hints["fields"] == ["heater"]


def test_nothing_is_written_until_something_is_set(heater):
    heater.read(), heater.describe(), heater.read_configuration()
    heater.check_value(100), heater.time_to(100), heater.stop(), heater.pause(), heater.resume()
    assert heater.controller.written == []
    assert not heater.guard.beating


def test_a_temperature_is_reached_in_a_ramp(heater):
    status = heater.set(100)
    status.wait(LONG)
    assert heater.controller.written == [("speed", 2.0), ("demand", 100.0), ("switch", 1)]
    assert heater.clock.now() >= heater.time_to(100, 25.0)  # settled, too
    assert heater.in_band
    assert heater.guard.beating


def test_it_goes_on_to_ask_whatever_the_machine_does(heater):
    """A wait that is over before it has begun, as on a busy machine, is not one for ever."""
    heater.poll_s = 1e-9
    heater.controller.step = 0.5
    heater.set(100).wait(LONG)
    assert heater.in_band


@pytest.mark.parametrize("kind", [int, float, np.float32, np.int16, np.array, Decimal])
def test_any_number_will_do(heater, kind):
    heater.check_value(kind(100))
    assert heater.check_rate(kind(2)) == 2.0


REFUSED = {
    "above": (601, LimitError, "heater = 601 degC is outside its limits, 20 to 600 degC"),
    "below": (-10.5, LimitError, "heater = -10.5 degC is outside"),
    "kelvin": (873.15, LimitError, "did you mean 600 degC, which is 873.15 K"),
    "nan": (math.nan, LimitError, "nan"),
    "inf": (math.inf, LimitError, "inf degC is outside"),
    "text": ("100", ValueError, "heater = '100' degC is not one number"),
    "bool": (True, ValueError, "heater = True degC is not one number"),
    "none": (None, ValueError, "heater = None degC"),
    "complex": (100j, ValueError, "not one number"),
    "pair": ([100, 200], ValueError, "not one number"),
}


@pytest.mark.parametrize(("value", "error", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_heated(heater, value, error, words):
    for ask in (heater.check_value, heater.set):
        with pytest.raises(error, match=words.replace("(", r"\(")):
            ask(value)
    assert heater.controller.written == []
    assert not heater.guard.beating


@pytest.mark.parametrize("value", [373, 373.15, np.float32(373.15), 298.15, 473, 573])
def test_round_temperatures_in_kelvin_are_refused_also_where_the_stage_could(heater, value):
    """It goes to 600 degC, so no limit tells 373 K from 373 degC."""
    with pytest.raises(
        LimitError, match=r"degC is what \d+ degC is in K: give \d+; if .* is meant"
    ):
        heater.set(value)
    assert heater.controller.written == []
    heater.check_value(value, unit="degC")
    heater.check_value(float(value) + 0.01)


@pytest.mark.parametrize("value", [25, 100, 300, 350, 450, 599.5, 280])
def test_other_temperatures_are_not_taken_for_kelvin(heater, value):
    heater.check_value(value)


def test_kelvin_are_taken_when_they_are_called_so(heater):
    heater.check_value(373.15, unit="K")
    heater.set(373.15, unit="kelvin").wait(LONG)
    assert heater.target == pytest.approx(100.0)
    with pytest.raises(ValueError, match="heater: unit = 'F' must be 'degC' or 'K'"):
        heater.check_value(100, unit="F")


@pytest.mark.parametrize("rate", [0, -2, math.nan, math.inf, 10.1, "2", True, None])
def test_a_rate_that_cannot_be_is_refused(heater, rate):
    with pytest.raises(ValueError, match=r"heater.rate = .*degC/min"):
        heater.check_rate(rate)
    with pytest.raises(ValueError, match=r"heater_rate = .*degC/min must be"):
        heater.rate.set(rate)
    assert heater.rate.get() == 2.0


@pytest.mark.parametrize("name", ["tolerance", "settle_s", "slope_limit"])
@pytest.mark.parametrize("value", [0, -1, math.nan, "1", True])
def test_what_reached_means_must_mean_something(heater, name, value):
    with pytest.raises(ValueError, match=f"heater_{name}"):
        getattr(heater, name).set(value)


def test_without_limits_nothing_may_be_heated():
    stage = FakeHeater(low=math.nan, high=math.nan)
    with pytest.raises(LimitError, match="heater has no limits"):
        stage.set(100)
    assert stage.controller.written == []
    stage.destroy()


def test_the_controllers_own_limits_count_too(heater):
    heater.controller.demand.limits = (0.0, 300.0)
    assert heater.limits == (20.0, 300.0)
    with pytest.raises(LimitError, match="20 to 300 degC"):
        heater.set(400)


GUARDED = {
    "tripped": ("tripped", 2, "switched the heater off: the client .* heater.guard.reset"),
    "unknown": ("tripped", 9, "says 9: no reason known"),
    "ceiling": ("ceiling", 100.5, "ceiling of 100.5 degC, .* on the way to 101 degC"),
    "no ceiling": ("ceiling", math.nan, "says nan degC"),
    "no dead man": ("dead_man", 0.0, "says 0.0 s: must be greater than 0"),
}


@pytest.mark.parametrize(("name", "value", "words"), GUARDED.values(), ids=GUARDED)
def test_what_the_guard_would_not_have_is_refused(heater, name, value, words):
    getattr(heater.guard, name).put(value)
    with pytest.raises(DeviceError, match=words):
        heater.set(100)
    assert heater.controller.written == []


def test_without_a_guard_it_must_be_said():
    assert heated_by(LinkamT96, guarded=False).guard is None
    assert heated_by(LinkamT96).guard is not None


@pytest.mark.parametrize("seconds", [0, -5, math.nan, math.inf, "60", True])
def test_a_soak_that_cannot_be_is_refused(heater, seconds):
    heater.set(100).wait(LONG)
    before = list(heater.controller.written)
    with pytest.raises(ValueError, match="heater.soak: seconds = .* must be .* s"):
        heater.soak(seconds)
    assert heater.controller.written == before


def test_a_soak_is_not_longer_than_its_time_out_and_needs_a_temperature(heater):
    with pytest.raises(DeviceError, match="has no temperature to stay at"):
        heater.soak(60)
    heater.set(100).wait(LONG)
    with pytest.raises(ValueError, match="seconds = 3600 s is longer than its time-out, 60 s"):
        heater.soak(3600, timeout=60)


def test_five_hours_in_band_are_soaked(heater):
    heater.set(100).wait(LONG)
    begun = heater.clock.now()
    heater.soak(5 * 3600).wait(LONG)
    assert heater.soaked.in_band_s >= 5 * 3600
    assert heater.soaked.left_out_s == 0.0
    assert heater.clock.now() - begun >= 5 * 3600
    assert 99.0 <= heater.soaked.min_c <= heater.soaked.max_c <= 101.0


def test_what_was_waited_for_can_be_soaked(heater, monkeypatch):
    """Who waits may go on before ophyd runs the callbacks of a status."""
    monkeypatch.setattr(Move, "add_callback", lambda *_: None)
    heater.set(100).wait(LONG)
    assert heater.target == 100.0
    heater.soak(3600).wait(LONG)


def test_a_number_that_epics_calls_invalid_is_none(heater):
    seen = []
    heater.temperature.subscribe(lambda *, value, **_: seen.append(value), run=False)
    Signal.put(heater.controller.reading, 30.0, metadata={"severity": 3})
    assert math.isnan(heater.temperature.get())
    Signal.put(heater.controller.reading, 31.0, metadata={"severity": 0})
    assert heater.temperature.get() == 31.0
    assert seen == pytest.approx([math.nan, 31.0], nan_ok=True)


@pytest.mark.parametrize(
    ("published", "described"),
    [((300.0, 400.0), (26.85, 126.85)), ((0.0, 0.0), (0.0, 0.0))],
    ids=["kelvin", "none"],
)
def test_the_limits_of_a_document_are_in_its_unit(heater, published, described):
    controller, keys = heater.controller, heater.controller.demand.describe()
    names = ("lower_ctrl_limit", "upper_ctrl_limit")
    keys[controller.demand.name].update(zip(names, published, strict=True), units="K")
    controller.unit = lambda: "K"
    controller.demand.describe = lambda: keys
    key = heater.setpoint.describe()["heater_setpoint"]
    assert key["units"] == "degC"
    assert [key[name] for name in names] == pytest.approx(described)


def test_a_stuck_sensor_is_found_and_the_output_switched_off(heater):
    heater.controller.stuck = True
    assert "the sensor is stuck" in failure(heater.set(100))
    assert not heater.controller.is_on
    assert heater.target is None


@pytest.mark.parametrize("soaking", [False, True])
def test_a_failed_sensor_is_found_and_the_output_switched_off(heater, soaking):
    if not soaking:
        heater.controller.step = 1e-3  # it does not get there meanwhile
    status = heater.set(100)
    if soaking:
        status.wait(LONG)
        status = heater.soak(1e7)
    else:
        begun(heater)
    heater.controller.failed = True
    heater.controller.step = 30.0
    assert "the sensor has failed" in failure(status)
    assert not heater.controller.is_on
    with pytest.raises(DeviceError, match="gives no temperature"):
        heater.set(100)


def test_a_heater_that_cannot_reach_it_says_so(heater):
    heater.controller.highest = 70.0
    message = failure(heater.set(100))
    assert "not reached within" in message
    assert "at 70" in message
    assert "the heater cannot reach it" in message


@pytest.mark.parametrize("soaking", [False, True])
def test_what_somebody_else_sets_is_found(heater, soaking):
    if not soaking:
        heater.controller.step = 1e-3  # it does not get there meanwhile
    status = heater.set(100)
    if soaking:
        status.wait(LONG)
        status = heater.soak(1e7)
    else:
        begun(heater)
    heater.controller.demand.put(50.0)
    assert "is 50 degC where 100 degC was asked for: somebody else" in failure(status)


def test_what_somebody_else_switches_off_is_found(heater):
    heater.set(100).wait(LONG)
    status = heater.soak(1e7)
    heater.controller.switch.put(0)
    assert "switched off by somebody else" in failure(status)


def test_a_trip_of_the_guard_ends_a_soak(heater):
    heater.set(100).wait(LONG)
    status = heater.soak(1e7)
    heater.guard.tripped.put(1)
    assert "above the ceiling" in failure(status)


def test_stop_holds_where_it_is_and_again_changes_nothing(heater):
    heater.controller.step = 1e-3
    status = heater.set(100)
    begun(heater)
    heater.controller.pass_by(600.0)
    heater.stop()
    assert "was stopped at" in failure(status)
    held = heater.setpoint.get()
    assert held == pytest.approx(heater.position, abs=1.0)
    before = list(heater.controller.written)
    heater.stop(), heater.stop(success=True)
    assert heater.controller.written == before
    assert heater.controller.is_on  # it holds, it does not cool


def test_stop_at_temperature_leaves_the_set_point_alone(heater):
    heater.set(100).wait(LONG)
    before = list(heater.controller.written)
    heater.stop()
    assert heater.controller.written == before


def test_stop_does_not_switch_on_what_is_off(heater):
    heater.controller.demand.put(300.0)
    heater.controller.written.clear()
    heater.stop()
    assert heater.controller.written == []


def test_stop_without_a_sensor_switches_off(heater):
    heater.set(100).wait(LONG)
    heater.controller.failed = True
    heater.here()
    heater.stop()
    assert not heater.controller.is_on


@pytest.mark.parametrize("end", ["stop", "pause"])
def test_it_holds_before_it_is_read_back_that_it_is_on(heater, monkeypatch, end):
    """A controller that is polled says for a while that it is off, and where it was sent before."""
    heater.controller.step = 1e-3
    monkeypatch.setattr(type(heater.controller), "is_on", property(lambda _: False))
    status = heater.set(100)
    followed(heater)
    heater.controller.written.clear()
    heater.setpoint.get = lambda **_: heater.position
    getattr(heater, end)()
    ((what, held),) = heater.controller.written
    assert what == "demand" and held == pytest.approx(25.0, abs=1.0)
    assert status.done == (end == "stop")


def no_answer(*_, **__):
    raise TimeoutError("there is no answer")


def test_a_stop_that_cannot_be_written_fails_and_ends_the_move(heater):
    heater.controller.step = 1e-3
    status = heater.set(100)
    followed(heater)
    heater.controller.demand.put = no_answer
    with pytest.raises(TimeoutError, match="no answer"):
        heater.stop()
    assert "was stopped at" in failure(status)


def test_a_pause_that_cannot_be_written_is_logged_and_goes_on(heater, caplog):
    heater.controller.step = 1e-3
    status = heater.set(100)
    followed(heater)
    heater.controller.demand.put = no_answer
    heater.pause()
    assert "may not hold: there is no answer" in caplog.text
    assert not status.done
    del heater.controller.demand.put
    heater.controller.step = 30.0
    heater.resume()
    status.wait(LONG)


def test_a_pause_holds_and_the_same_ramp_goes_on(heater):
    heater.controller.step = 1e-3
    status = heater.set(100)
    begun(heater)
    heater.controller.pass_by(600.0)
    heater.stop(success=True), heater.pause()
    assert heater.setpoint.get() < 60.0
    assert not status.done
    heater.resume()
    assert heater.set(100) is status  # the RunEngine asks for it again
    heater.controller.step = 30.0
    status.wait(LONG)
    assert heater.in_band


def test_made_safe_in_a_pause_it_does_not_go_on(heater):
    heater.controller.step = 1e-3
    status = heater.set(100)
    begun(heater)
    heater.pause()
    safe = heater.make_safe()
    status.wait(LONG)  # no failure: it would end the run that is only paused
    heater.resume()
    heater.controller.step = 30.0
    safe.wait(LONG)
    assert not heater.controller.is_on
    heater.set(100).wait(LONG)


def test_a_soak_goes_on_in_a_pause_and_is_asked_for_again(heater):
    heater.set(100).wait(LONG)
    heater.controller.step = 1e-3
    status = heater.soaking.set(3600)
    before = list(heater.controller.written)
    heater.soaking.stop(success=True), heater.stop(success=True), heater.pause(), heater.resume()
    assert heater.soaking.set(3600) is status
    assert heater.controller.written == before
    heater.controller.step = 30.0
    status.wait(LONG)
    assert heater.soaking.position >= 3600
    assert heater.soaking.time_to(3600) == 3600
    with pytest.raises(ValueError, match="heater_soaking"):
        heater.soaking.check_value(-1)


def test_sent_elsewhere_the_first_fails(heater):
    heater.controller.step = 1e-3
    first = heater.set(100)
    second = heater.set(50)
    assert "was sent to 50 degC instead" in failure(first)
    heater.controller.step = 30.0
    second.wait(LONG)


def test_made_safe_it_ramps_down_and_is_off(heater):
    heater.set(200).wait(LONG)
    heater.controller.written.clear()
    begun = heater.clock.now()
    safe = heater.make_safe()
    assert heater.controller.written[:2] == [("speed", 2.0), ("demand", 25.0)]  # at once
    assert heater.make_safe() is safe
    safe.ordered.wait(LONG)
    safe.wait(LONG)
    assert heater.controller.written[-1] == ("switch", 0)
    assert heater.clock.now() - begun >= (200 - 26) / 2 * 60 * 0.98  # in a ramp
    assert heater.guard.heartbeat.get() == 0 and not heater.guard.beating
    heater.make_safe().wait(LONG)  # again
    assert not heater.controller.is_on


def test_a_stop_afterwards_does_not_keep_it_hot(heater):
    """The RunEngine stops at its end whatever it has set."""
    heater.set(200).wait(LONG)
    safe = heater.make_safe()
    heater.stop(), heater.stop(success=True)
    safe.wait(LONG)
    assert not heater.controller.is_on


def test_made_safe_without_a_sensor_it_is_off_at_once(heater):
    heater.set(100).wait(LONG)
    heater.controller.failed = True
    heater.here()
    heater.make_safe().wait(LONG)
    assert heater.controller.written[-1] == ("switch", 0)
    assert ("demand", 25.0) not in heater.controller.written


def test_what_does_not_answer_is_made_safe_when_it_does(heater, caplog):
    heater.set(100).wait(LONG)
    parts = (heater.controller.demand, heater.controller.switch)
    for part in parts:
        part._metadata["connected"] = False
    safe = heater.make_safe()
    until = threading.Event()
    safe.add_callback(lambda _: until.set())
    assert not safe.ordered.done
    for part in parts:
        part._metadata["connected"] = True
    assert until.wait(LONG) and safe.success
    assert not heater.controller.is_on
    assert "not made safe yet" in caplog.text


def test_an_order_that_is_not_taken_in_time_fails_and_is_tried_on(heater, monkeypatch):
    monkeypatch.setattr("redoxscope.devices.thermal._cooling.ORDERED", 0.1)
    monkeypatch.setattr("redoxscope.devices.thermal._cooling.RETRY", 0.1)
    heater.set(100).wait(LONG)
    parts = (heater.controller.demand, heater.controller.switch)
    for part in parts:
        part._metadata["connected"] = False
    off = threading.Event()
    heater.controller.switch.subscribe(lambda *, value, **_: None if value else off.set())
    safe = heater.make_safe()
    assert "being told to cool down, or off: not done" in failure(safe.ordered)
    assert "not done within" in failure(safe)
    assert heater.make_safe() is safe  # it is at it
    for part in parts:
        part._metadata["connected"] = True
    assert off.wait(LONG)


def test_an_error_that_nobody_foresaw_is_tried_on(heater, monkeypatch):
    monkeypatch.setattr("redoxscope.devices.thermal._cooling.RETRY", 0.01)
    heater.set(100).wait(LONG)
    orders, failures = heater.controller.orders_to_switch_off, iter([OSError("a lost socket")])

    def fails_once():
        for error in failures:
            raise error
        return orders()

    heater.controller.orders_to_switch_off = fails_once
    safe = heater.make_safe()
    safe.wait(LONG)
    assert not heater.controller.is_on
    assert next(failures, None) is None
    assert not heater.guard.beating


def test_off_it_is_safe_whether_or_not_the_guard_was_told(heater, caplog):
    heater.set(100).wait(LONG)
    heater.guard.heartbeat._metadata["connected"] = False
    heater.make_safe().wait(LONG)
    assert not heater.controller.is_on
    assert "guard was not told that it is off" in caplog.text


@pytest.mark.parametrize("cooling", [False, True])
def test_what_no_guard_watches_is_off_at_once(heater, cooling):
    heater.set(100).wait(LONG)
    heater.controller.step = 1e-3  # it does not get cold meanwhile
    heater.controller.written.clear()
    if cooling:
        heater.make_safe().ordered.wait(LONG)
    heater.guard.tripped.get = no_answer
    heater.make_safe().wait(LONG)
    assert not heater.controller.is_on
    assert (("demand", 25.0) in heater.controller.written) == cooling
    assert heater.position > 50.0


def test_a_pending_status_fails_when_it_is_made_safe_unless_told_otherwise(heater):
    heater.controller.step = 1e-3
    status = heater.set(100)
    heater.make_safe()
    assert "was made safe" in failure(status)
    status = heater.set(100)
    heater.make_safe(success=True)
    status.wait(LONG)


def test_hung_up_while_it_cools_it_is_off(heater):
    heater.set(100).wait(LONG)
    heater.controller.step = 1e-3
    heater.make_safe().ordered.wait(LONG)
    assert heater.controller.is_on
    heater.destroy()
    assert heater.controller.written[-1] == ("switch", 0)


def test_hung_up_while_it_does_not_answer_all_else_is_done(heater):
    heater.set(100).wait(LONG)
    heater.controller.step = 1e-3
    safe = heater.make_safe()
    safe.ordered.wait(LONG)
    heater.controller.switch.put = no_answer
    with pytest.raises(TimeoutError, match="no answer"):
        heater.destroy()
    assert "was hung up" in failure(safe)
    assert not heater.guard.beating


def test_hung_up_while_hot_the_guard_hears_no_more(heater):
    heater.set(100).wait(LONG)
    heater.destroy()
    assert not heater.guard.beating
    assert heater.guard.heartbeat.get() > 0  # not let go: it has to trip


def test_silence_for_a_minute_is_an_error_that_can_be_waited_out(heater, monkeypatch):
    monkeypatch.setattr("redoxscope.devices.thermal._jobs.OUTAGE", 0.0)
    heater.controller.silent = True
    status = heater.set(100)
    with pytest.raises(DeviceError, match="does not answer") as caught:
        status.wait(LONG)
    heater.controller.silent = False
    heater.back_after(caught.value).wait(LONG)


def test_progress_says_how_long_it_takes_yet(heater):
    heater.controller.step = 1e-3
    status, told, enough = heater.set(100), [], threading.Event()

    def watch(**report):
        told.append(report)
        enough.set()

    status.watch(watch)
    assert enough.wait(LONG)
    assert told[0]["unit"] == "degC"
    assert told[0]["time_remaining"] == pytest.approx(heater.time_to(100, 25.0), rel=0.01)
    heater.controller.step = 30.0
    status.wait(LONG)
    heater.controller.step = 1e-3
    soak, enough, told = heater.soak(3600), threading.Event(), []
    soak.watch(watch)
    assert enough.wait(LONG)
    assert (told[0]["unit"], told[0]["target"]) == ("s", 3600)
    assert told[0]["time_remaining"] == pytest.approx(3600, abs=10)
    heater.stop()


def test_bluesky_moves_and_scans_it(heater):
    (engine, _), events = make_engine(), []
    engine(bps.mv(heater.rate, 8))
    engine(bps.mv(heater, 60))
    engine(bp.scan([], heater, 30, 120, 3), lambda name, doc: events.append((name, doc)))
    rows = [doc["data"] for name, doc in events if name == "event"]
    assert [row["heater"] for row in rows] == pytest.approx([30, 75, 120], abs=1.0)
    assert [row["heater_setpoint"] for row in rows] == [30, 75, 120]
    (descriptor,) = [doc for name, doc in events if name == "descriptor"]
    assert descriptor["data_keys"]["heater"]["units"] == "degC"
    assert descriptor["configuration"]["heater"]["data"]["heater_rate"] == 8
    with pytest.raises(LimitError, match="did you mean"):
        engine(bps.mv(heater, 700))


def test_the_controller_of_the_how_to_makes_a_heater():
    page = Path(__file__).parents[3] / "docs/how-to/own-heater.md"
    (code,) = [part for part in page.read_text("utf-8").split("```") if "class Mine" in part]
    scope: dict[str, object] = {}
    exec(code.removeprefix("python"), scope)
    stage = scope["MyHeater"]("Nowhere:", name="oven", low=20, high=300)
    assert isinstance(stage, Heater) and isinstance(stage, HeatingStage)
    written = [signal.pvname for signal, _ in stage.controller.orders_to_ramp(20, 90, 2, on=False)]
    assert written == ["Nowhere:Rate", "Nowhere:SP", "Nowhere:Enable"]
    with pytest.raises(LimitError, match="20 to 300 degC"):
        stage.set(301)
    stage.destroy()


def test_every_controller_can_be_made_where_there_is_none():
    stage = HeatingStage("Nowhere:", name="heater", low=20, high=350)
    with pytest.raises(DeviceError, match="its PVs do not answer"):
        stage.check_value(100)
    with pytest.raises(LimitError, match="did you mean 99.85 degC, which is 373 K"):
        stage.check_value(373)
    stage.destroy()


@pytest.mark.parametrize(("scale", "margin"), [(1.0, 50.0), (600.0, 18020.0), (0.5, 50.0)])
def test_a_stage_whose_time_runs_faster_leaves_a_busy_machine_its_30_s(scale, margin):
    """50 s of the stage are 0.1 s here at 600 times the speed; at its own nothing changes."""
    stage = HeatingStage("Nowhere:", name="heater", time_scale=scale, margin=50.0)
    assert stage.margin_s == margin
    stage.destroy()
