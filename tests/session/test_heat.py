"""T(t) is a stream of its own in every run with heat in it, and in no other."""

from __future__ import annotations

import bluesky.plan_stubs as bps
import bluesky.plans as bp
import pytest

from redoxscope.session._heat import HeatRecorder
from redoxscope.testing import FakeHeater, FakePoint, make_engine

LONG = 60.0


@pytest.fixture
def heater():
    made = FakeHeater()
    yield made
    made.destroy()


@pytest.fixture
def engine(heater):
    engine, documents = make_engine()
    engine.preprocessors.append(HeatRecorder([heater]))
    return engine, documents


def streams(documents):
    return sorted(doc["name"] for name, doc in documents if name == "descriptor")


def run(engine, plan):
    engine, _ = engine
    heard = []
    engine(plan, lambda name, doc: heard.append((name, doc)))
    return heard


def test_a_run_without_heat_has_no_such_stream(engine):
    assert streams(run(engine, bp.count([FakePoint("det")]))) == ["primary"]


def test_a_run_while_it_is_hot_has_it(engine, heater):
    heater.set(60).wait(LONG)
    heard = run(engine, bp.count([FakePoint("det")]))
    assert streams(heard) == ["heater_monitor", "primary"]
    (monitored,) = [d["uid"] for n, d in heard if n == "descriptor" and "monitor" in d["name"]]
    values = [
        d["data"]["heater"] for n, d in heard if n == "event" and d["descriptor"] == monitored
    ]
    assert values[0] == pytest.approx(60, abs=1)


def test_a_run_that_heats_has_it_once(engine, heater):
    heard = run(engine, bp.scan([], heater, 30, 60, 2))
    assert streams(heard) == ["heater_monitor", "primary"]
    heater.make_safe().wait(LONG)
    assert streams(run(engine, bp.count([FakePoint("det")]))) == ["primary"]


def test_without_a_run_nothing_is_recorded(engine, heater):
    assert run(engine, bps.mv(heater, 60)) == []
