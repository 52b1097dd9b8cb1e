"""Points during a ramp: when they are due, what is late, what a pause does, how it ends."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np
import pytest
from ophyd import Signal

from redoxscope.plans import RingSuspender, estimate, measure_during_ramp
from redoxscope.plans.thermal._ticks import DueTime, Ticks
from redoxscope.testing import (
    FakeAxis,
    FakePoint,
    FakeShutter,
    make_engine,
    paused_after,
    run_resuming,
)

from .ramps import RampHeater, Slow

EVERY, RAMP = 180.0, 75 / 2 * 60 + 60
"""Period, and time from 25 to 100 degC at 2 degC/min with settling (s)."""


@pytest.fixture
def heater():
    return RampHeater()


def ramp(heater, detectors=None, **options):
    given = {"rate": 2, "every": EVERY, **options}
    detectors = [Slow(heater, 0.0)] if detectors is None else detectors
    return measure_during_ramp(heater, 25, 100, detectors=detectors, **given)


def rows(record):
    return list(record.rows().values())


def column(record, key):
    return [row[key] for row in rows(record)]


# -- the clock ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_a_due_time_never_depends_on_when_another_was_met(seed):
    """Whatever measurements take: multiples of the period, never a whole one late."""
    chance, ticks, elapsed, taken = np.random.default_rng(seed), Ticks(10.0), 0.0, []
    for _ in range(2000):
        ticks.skip(elapsed)
        begun = max(elapsed, ticks.due)
        assert 0 <= begun - ticks.due < 10.0
        taken.append((ticks.number, ticks.missed))
        elapsed = begun + chance.exponential(8.0)
        ticks.measured()
    numbers = [number for number, _ in taken]
    missed = [missed for _, missed in taken]
    assert np.array_equal(np.diff(numbers) - 1, missed[1:]) and missed[0] == 0
    assert sum(missed) > 0


class Still:
    """A clock that stands until it is told."""

    def __init__(self):
        self.time, self.asked = 0.0, threading.Event()

    def now(self):
        return self.time

    def here(self, seconds):
        self.asked.set()
        return 0.001


def test_a_due_time_is_waited_for_however_early_it_is_looked_at():
    clock = Still()
    due = DueTime(clock, "due")
    status = due.set(100.0)
    for _ in range(3):  # its timer has looked, and it was not time yet
        clock.asked.clear()
        assert clock.asked.wait(30)
        assert not status.done
    clock.time = 100.0
    status.wait(30)
    assert due.time_to(150.0) == 50.0 and due.time_to(50.0) == 0.0


@pytest.mark.parametrize("end", ["wake", "stop", "set"])
def test_a_wait_is_ended_well_and_no_other_with_it(end):
    due = DueTime(Still(), "due")
    first = due.set(100.0)
    if end == "set":
        second = due.set(200.0)
        first.wait(30)
        assert not second.done
        due.stop()
        second.wait(30)
        return
    getattr(due, end)()
    first.wait(30)
    assert first.success
    due.wake()  # nobody waits


# -- points -------------------------------------------------------------------------------------


def check_last(record):
    """The last point is taken where it arrived."""
    last = rows(record)[-1]
    assert last["ramp_due"] == last["ramp_elapsed"] == pytest.approx(RAMP)
    assert last["ramp_from"] == last["heater"] == 100.0
    assert record.stop["exit_status"] == "success"


def test_points_are_due_at_multiples_of_the_period(heater, RE, record):
    RE(ramp(heater))
    record.validate()
    number = int(np.ceil(RAMP / EVERY))
    assert column(record, "point") == list(range(number + 1))
    assert column(record, "ramp_due")[:-1] == [EVERY * k for k in range(number)]
    assert column(record, "ramp_elapsed")[:-1] == pytest.approx(column(record, "ramp_due")[:-1])
    assert set(column(record, "ramp_tries")) == {1} and set(column(record, "ramp_missed")) == {0}
    wanted = [min(25 + 2 * EVERY * k / 60, 100) for k in range(number)]
    assert column(record, "ramp_from")[:-1] == pytest.approx(wanted)
    check_last(record)
    assert heater.rate.value == 2.0
    start = record.start
    assert start["ramp"] == {
        "heater": "heater", "start_c": 25.0, "stop_c": 100.0, "rate": 2.0, "every_s": EVERY,
        "then": "cool",
    }  # fmt: skip


def test_a_slow_detector_makes_nothing_drift(heater, RE, record):
    RE(ramp(heater, [Slow(heater, 100.0)]))
    assert column(record, "ramp_late")[:-1] == pytest.approx([0.0] * (len(rows(record)) - 1))
    first = rows(record)[0]
    assert first["ramp_to"] - first["ramp_from"] == pytest.approx(100 / 60 * 2)


def test_what_takes_longer_than_the_period_is_late_and_leaves_points_out(
    heater, RE, record, caplog
):
    RE(ramp(heater, [Slow(heater, 250.0)]))
    found = rows(record)[:-1]
    assert [row["ramp_due"] for row in found] == [EVERY * row["point"] for row in found]
    assert [row["ramp_elapsed"] for row in found] == pytest.approx(
        [250.0 * k for k in range(len(found))]
    )
    late = column(record, "ramp_late")[:-1]
    assert min(late) >= 0 and max(late) < EVERY
    points = column(record, "point")
    assert column(record, "ramp_missed") == [0, *np.diff(points) - 1]
    assert sum(column(record, "ramp_missed")) > 0
    assert "is left out: it would have been more than 180 s late" in caplog.text
    assert "points of the ramp were late (by 1" in caplog.text


def test_a_way_down_is_a_ramp_too(heater, RE, record):
    heater.temperature.put(100.0)
    heater.beginning = 100
    RE(measure_during_ramp(heater, 100, 40, rate=10, every=60, detectors=[FakePoint("det")]))
    assert column(record, "ramp_from") == pytest.approx([100, 90, 80, 70, 60, 50, 40, 40])


def test_it_goes_to_its_beginning_first(heater, RE, record):
    heater.temperature.put(300.0)
    RE(ramp(heater))
    assert heater.told[:2] == [("set", 25.0), ("set", 100.0)]
    assert rows(record)[0]["ramp_from"] == 25.0 and rows(record)[0]["ramp_elapsed"] == 0.0


def test_the_temperature_is_a_stream_of_its_own(heater, RE, record):
    RE(ramp(heater))
    names = {doc["name"] for name, doc in record.all if name == "descriptor"}
    assert names == {"primary", "heater_monitor"}


# -- beam ---------------------------------------------------------------------------------------


def test_the_shutter_is_open_for_the_points_only(heater, RE, record):
    shutter, open_in, open_between = FakeShutter(), [], []
    detector, wait = Slow(heater, 10.0), heater.clock.here
    count = detector.trigger

    def trigger():
        open_in.append(shutter.beam)
        return count()

    def here(seconds):
        open_between.append(shutter.beam)
        return wait(seconds)

    detector.trigger, heater.clock.here = trigger, here
    RE(ramp(heater, [detector], shutter=shutter))
    assert all(open_in) and len(open_in) == len(rows(record))
    assert open_between and not any(open_between)
    assert not shutter.beam


# -- pauses -------------------------------------------------------------------------------------


def test_a_pause_anywhere_loses_and_doubles_no_point():
    """After every 7th message of the run."""

    def one(number):
        heater, shutter = RampHeater(), FakeShutter()
        RE, record = make_engine()
        plan = ramp(heater, [Slow(heater, 10.0)], shutter=shutter, every=600.0)
        run_resuming(RE, paused_after(plan, number))
        return heater, shutter, record

    whole = len(list(ramp(RampHeater())))
    assert whole < 100  # nobody carries it out: it ends all the same
    marked = 0
    for number in range(5, 90, 7):
        heater, shutter, record = one(number)
        record.validate()
        assert column(record, "ramp_due")[:-1] == [0.0, 600.0, 1200.0, 1800.0], number
        assert column(record, "point") == list(range(5)), number
        assert max(column(record, "ramp_tries")) <= 2
        marked += max(column(record, "ramp_tries")) == 2
        assert not shutter.beam and heater.safe
        assert record.stop["exit_status"] == "success"
    assert marked > 0


def test_a_point_that_was_suspended_is_measured_again_and_marked(heater, RE, record):
    current = Signal(name="ring_current", value=300.0)
    ring = SimpleNamespace(name="ring", current=current)
    RE.install_suspender(RingSuspender(ring, below=100))
    detector, point = FakePoint("det", prompt=False), []
    real = detector.trigger

    def trigger():
        status = real()
        point.append(status)
        if len(point) == 3:
            threading.Thread(target=current.put, args=(20.0,)).start()  # and it never ends
        else:
            detector.finish()
        return status

    def look(msg):
        if msg.command == "wait_for" and current.get() < 100:
            threading.Thread(target=current.put, args=(300.0,)).start()

    detector.trigger, RE.msg_hook = trigger, look
    RE(ramp(heater, [detector], every=600.0))
    assert column(record, "ramp_due")[:-1] == [0.0, 600.0, 1200.0, 1800.0]
    tries = column(record, "ramp_tries")
    assert tries[2] > 1 and tries[:2] + tries[3:] == [1, 1, 1, 1]


# -- how it ends --------------------------------------------------------------------------------


@pytest.mark.parametrize("then, safe", [("cool", True), ("hold", False)])
def test_what_comes_after_it(heater, RE, record, then, safe):
    RE(ramp(heater, then=then))
    assert heater.safe == safe and (("safe",) in heater.told) == safe


@pytest.mark.parametrize("then", ["cool", "hold"])
def test_a_detector_that_fails_leaves_the_heater_safe_and_says_so(heater, RE, record, then):
    detector, shutter = Slow(heater, 1.0), FakeShutter()
    real = detector.trigger

    def trigger():
        if detector.counted == 3:
            raise RuntimeError("det lost its server")
        return real()

    detector.trigger = trigger
    with pytest.raises(RuntimeError, match="det lost its server"):
        RE(ramp(heater, [detector], shutter=shutter, then=then))
    assert heater.safe and not shutter.beam
    assert record.stop["exit_status"] == "fail" and "lost its server" in record.stop["reason"]
    assert len(rows(record)) == 3


def test_a_ramp_that_fails_while_it_is_waited_for_ends_the_run(heater, RE, record):
    real = heater.clock.here

    def here(seconds):
        if heater.clock.time > 500 and heater.moving:
            moves, heater._moves = heater._moves, []
            for status in moves:
                status.set_exception(RuntimeError("heater: its sensor is stuck"))
        return real(seconds)

    heater.clock.here = here
    with pytest.raises(RuntimeError, match="its sensor is stuck"):
        RE(ramp(heater))
    assert heater.safe and "sensor is stuck" in record.stop["reason"]


# -- before it ----------------------------------------------------------------------------------


class Flyer(FakePoint):
    def kickoff(self):
        raise AssertionError("it was flown")


class Lost(FakePoint):
    connected = False

    def walk_signals(self):
        return [SimpleNamespace(item=SimpleNamespace(connected=False, pvname="Det:Counts"))]


REFUSED = {
    "beyond": ({"stop": 700}, "heater = 700 degC is outside 20 to 600 degC"),
    "below": ({"start": 5}, "heater = 5 degC is outside 20 to 600 degC"),
    "no-way": ({"stop": 25}, "start and stop = 25 degC: a ramp needs two temperatures"),
    "rate": ({"rate": -2}, "rate = -2 degC/min must be greater than 0 degC/min"),
    "too-fast": ({"rate": 200}, "heater.rate = 200 degC/min must be above 0 and at most 100"),
    "every": ({"every": 0}, "every = 0 s must be greater than 0 s"),
    "nan": ({"stop": float("nan")}, "stop = nan degC must be"),
    "text": ({"start": "25"}, "start = '25' must be one number in degC"),
    "truth": ({"rate": True}, "rate = True must be one number in degC/min"),
    "none": ({"detectors": []}, "detectors is empty: nothing would be measured"),
    "one": ({"detectors": FakePoint("det")}, "must be a list of devices"),
    "no-detector": ({"detectors": [3]}, r"detectors\[0\] = 3 cannot be read"),
    "flyer": (
        {"detectors": [Flyer("lines")]},
        r"detectors\[0\] = '.*' flies: it counts no point when it is triggered",
    ),
    "lost": (
        {"detectors": [FakePoint("det"), Lost("lost")]},
        r"detectors\[1\] = 'lost' is not connected: Det:Counts does not answer",
    ),
    "then": ({"then": "burn"}, "then = 'burn' must be one of 'cool', 'hold'"),
    "heater": ({"heater": FakeAxis("axis", 0.0)}, "heater = 'axis' is not a device such as"),
    "metadata": ({"md": {"ramp": 1}}, "ramp"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_before_anything_is_heated(heater, what):
    changed, says = REFUSED[what]
    given = {
        "heater": heater, "start": 25, "stop": 100, "rate": 2, "every": EVERY,
        "detectors": [FakePoint("det")], **changed,
    }  # fmt: skip
    with pytest.raises(ValueError, match=says):
        measure_during_ramp(**given)
    assert heater.told == []


@pytest.mark.parametrize("kind", [np.float32, np.int16, np.array])
def test_numbers_of_any_kind_are_numbers(heater, RE, record, kind):
    detectors = [FakePoint("det")]
    RE(
        measure_during_ramp(
            heater, kind(25), kind(100), rate=kind(2), every=kind(600), detectors=detectors
        )
    )
    assert record.start["ramp"]["stop_c"] == 100.0


@pytest.mark.parametrize("seconds", [0.0, 100.0, 250.0])
def test_its_estimate_is_what_it_takes(heater, RE, record, seconds):
    detector = Slow(heater, seconds)
    found = estimate(ramp(heater, [detector]))
    assert heater.told == [] and found.ok
    RE(ramp(heater, [detector]))
    assert found.live == pytest.approx(detector.counted * seconds)
    assert found.total == pytest.approx(heater.clock.time, abs=1.0)
