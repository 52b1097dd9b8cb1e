"""A ramp and a soak on the heating stage itself: what others do to it, and what a user does."""

from __future__ import annotations

import threading

import pytest
from bluesky import Msg
from bluesky.utils import FailedStatus, RunEngineInterrupted

from redoxscope.devices import DeviceError
from redoxscope.plans import ramp_and_soak
from redoxscope.testing import FakeHeater, make_engine, paused_after

LONG = 300.0
SOAK = 3600.0
FAILS = (DeviceError, FailedStatus)


@pytest.fixture
def heater():
    made = FakeHeater()
    made.controller.step = 60.0
    yield made
    made.destroy()


def off(heater):
    """Wait until the output is switched off, by what was told to do so."""
    gone = threading.Event()

    def look(*, value, **_):
        if not value:
            gone.set()

    heater.controller.switch.subscribe(look)
    assert gone.wait(LONG)
    assert not heater.controller.is_on


def when_soaking(plan, action, then=None):
    """Carry out a plan; ``action()``, and a message, when it has begun to soak."""
    answer = None
    error = None
    while True:
        try:
            msg = plan.send(answer) if error is None else plan.throw(error)
        except StopIteration as end:
            return end.value
        answer = error = None
        try:
            answer = yield msg
            if msg.command == "set" and msg.kwargs.get("group") == "soak":
                action()
                if then is not None:
                    yield then
        except GeneratorExit:
            plan.close()
            raise
        except BaseException as exc:
            error = exc


def foreign(heater):
    heater.controller.demand.put(300.0)


def switched(heater):
    heater.controller.switch.put(0)


def sensor(heater):
    heater.controller.failed = True


def tripped(heater):
    heater.guard.tripped.put(1)


TROUBLE = {
    "another client's set point": (foreign, "somebody else has set it"),
    "another client's switch": (switched, "switched off by somebody else"),
    "a failed sensor": (sensor, "the sensor has failed"),
    "the guard": (tripped, "above the ceiling"),
}


@pytest.mark.parametrize(("action", "words"), TROUBLE.values(), ids=TROUBLE)
def test_what_happens_in_a_soak_ends_the_run_which_says_it(heater, action, words):
    engine, record = make_engine()
    plan = ramp_and_soak(heater, 100, soak=1e7, timeout=1e8)
    with pytest.raises(FAILS, match=words):
        engine(when_soaking(plan, lambda: action(heater)))
    assert record.stop["exit_status"] == "fail"
    assert words in record.stop["reason"]
    (soak,) = record.rows("soak").values()
    assert soak["heater_soak_in_band"] >= 0.0
    off(heater)
    assert heater.setpoint.get() != 300.0 or not heater.controller.is_on


def test_a_controller_that_hangs_ends_the_run_and_is_made_safe_when_it_is_back(heater, monkeypatch):
    monkeypatch.setattr("redoxscope.devices.thermal._jobs.OUTAGE", 0.0)
    engine, record = make_engine()

    def hang():
        heater.controller.silent = True

    # It stays away for longer than a plan waits.
    monkeypatch.setattr(heater, "back_after", lambda error: None)
    with pytest.raises(FAILS, match="does not answer"):
        engine(when_soaking(ramp_and_soak(heater, 100, soak=1e7, timeout=1e8), hang))
    assert record.stop["exit_status"] == "fail"
    heater.controller.silent = False
    off(heater)


@pytest.mark.parametrize("how", ["abort", "stop", "halt"])
def test_ended_by_the_user_in_a_pause_it_is_made_safe(heater, how):
    engine, record = make_engine()
    plan = ramp_and_soak(heater, 100, soak=1e9, timeout=1e10)
    with pytest.raises(RunEngineInterrupted):
        engine(when_soaking(plan, lambda: None, then=Msg("pause")))
    assert engine.state == "paused"
    assert (
        heater.controller.is_on and heater.soak_status is not None
    )  # the sample stays hot, and soaks
    getattr(engine, how)()
    off(heater)
    assert heater.target is None
    if how != "halt":
        assert record.stop["exit_status"] == ("abort" if how == "abort" else "success")


def test_a_pause_at_any_message_soaks_once(heater):
    reference, record = make_engine()
    reference(ramp_and_soak(heater, 60, soak=SOAK))
    messages = []
    reference.msg_hook = messages.append
    heater.make_safe().wait(LONG)
    reference(ramp_and_soak(heater, 60, soak=SOAK))
    reference.msg_hook = None
    count = len(messages)
    assert count > 20
    for number in range(0, count, 7):
        heater.make_safe().wait(LONG)
        engine, record = make_engine()
        plan = paused_after(ramp_and_soak(heater, 60, soak=SOAK), number)
        try:
            engine(plan)
        except RunEngineInterrupted:
            engine.resume()
        assert record.stop["exit_status"] == "success", number
        (soak,) = record.rows("soak").values()
        assert SOAK <= soak["heater_soak_in_band"] <= SOAK + 120.0, number
        assert [row["phase"] for row in record.rows().values()] == [
            "begin", "reached", "soaked", "cooled",
        ], number  # fmt: skip
    off(heater)


def test_a_room_that_is_warmer_than_the_safe_temperature_fails_no_run(heater):
    heater.controller.ambient = 40.0
    engine, record = make_engine()
    engine(ramp_and_soak(heater, 100, soak=SOAK))
    assert record.stop["exit_status"] == "success"
    assert not heater.controller.is_on
    assert heater.position == pytest.approx(40.0, abs=0.5)
