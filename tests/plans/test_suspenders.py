"""Suspenders on pressure, temperatures and count rate: before a plan, during, twice, refused."""

from __future__ import annotations

import math
import threading
from types import SimpleNamespace

import pytest
from ophyd import Signal
from ophyd.status import Status

from redoxscope.plans import (
    CountRateSuspender,
    CryostatSuspender,
    OverTemperatureSuspender,
    PressureSuspender,
    rixs_map,
)
from redoxscope.testing import FakeMono, FakeSpectrometer, make_engine

ENERGIES = [700.0, 701.0, 702.0]


def elsewhere(act, *args):
    """From another thread, as a monitor comes."""
    threading.Thread(target=act, args=args).start()


class Heater:
    """Knows how often it was made safe, and whether all was at rest then."""

    name = "heater"

    def __init__(self, signal, resting):
        self.temperature, self._resting = signal, resting
        self.safe, self.status = [], Status()

    def make_safe(self, *, success):
        assert success
        self.safe.append(self._resting())
        return self.status


def pressure(signal, **options):
    return PressureSuspender(SimpleNamespace(name="gauge", pressure=signal), above=1e-7, **options)


def cryostat(signal, **options):
    device = SimpleNamespace(name="cryostat", temperature=signal)
    return CryostatSuspender(device, above=0.07, **options)


class Bench:
    """A spectrometer under a suspender; what is wrong is over once all is at rest."""

    def __init__(self, kind):
        self.mono = FakeMono()
        self.tes = FakeSpectrometer(self.mono, prompt=False)
        good, self.bad = {"pressure": (1e-9, 1e-6), "cryostat": (0.05, 0.3), "heat": (99.0, 140.0)}[
            kind
        ]
        self.good = good
        self.signal = Signal(name=kind, value=good)
        self.heater = Heater(self.signal, lambda: not self.tes.shutter.beam)
        if kind == "heat":
            self.suspender = OverTemperatureSuspender(self.heater, above=130)
        else:
            self.suspender = {"pressure": pressure, "cryostat": cryostat}[kind](self.signal)
        self.engine, self.documents = make_engine()
        self.engine.install_suspender(self.suspender)
        self.engine.msg_hook = self._look
        self.waits, self.asked, self.trips = 0, [], {}
        self._trigger, self.tes.trigger = self.tes.trigger, self._triggered

    def _look(self, msg):
        first = getattr(self.suspender, "_make_safe", None)
        if (
            msg.command == "wait_for"
            and first not in msg.args[0]
            and self.signal.get() != self.good
        ):
            assert not self.tes.shutter.beam
            self.waits += 1
            elsewhere(self.signal.put, self.good)

    def _triggered(self):
        """A point ends, or something goes wrong in it: the next in ``trips``."""
        self.asked.append(self.mono.position)
        status = self._trigger()
        if self.trips.get(len(self.asked)):
            elsewhere(self.signal.put, self.trips[len(self.asked)])
        else:
            self.tes.finish()
        return status

    def run(self):
        self.engine(rixs_map(self.tes, self.mono, energies=ENERGIES, passes=1, dwell=1.0))

    def check(self):
        assert self.tes.taken == [(energy, True) for energy in ENERGIES]
        rows = list(self.documents.rows().values())
        assert [row["energy"] for row in rows] == ENERGIES
        assert self.documents.stop["exit_status"] == "success"


KINDS = ["pressure", "cryostat", "heat"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["bad", "none"])
def test_a_plan_is_not_begun(kind, value):
    bench = Bench(kind)
    bench.signal.put(bench.bad if value == "bad" else math.nan)
    bench.run()
    assert bench.waits == 1 and bench.asked == ENERGIES
    bench.check()


@pytest.mark.parametrize("kind", KINDS)
def test_a_point_in_which_it_trips_is_measured_again_as_often_as_that_happens(kind):
    bench = Bench(kind)
    bench.trips = {2: bench.bad, 3: math.nan}
    bench.run()
    assert bench.waits == 2
    assert bench.asked == [700.0, 701.0, 701.0, 701.0, 702.0]
    bench.check()


def test_a_heater_is_made_safe_when_all_is_at_rest():
    """Within a run; before one, nothing is asked of it."""
    bench = Bench("heat")
    bench.signal.put(bench.bad)
    bench.run()
    assert bench.heater.safe == []
    bench = Bench("heat")
    bench.trips = {2: bench.bad}
    bench.run()
    assert bench.heater.safe == [True]
    bench.check()


@pytest.mark.parametrize("how", ["raises", "fails later"])
def test_a_heater_that_was_not_made_safe_is_told_of(how, caplog):
    bench = Bench("heat")
    bench.trips = {2: bench.bad}
    if how == "raises":
        bench.heater.make_safe = lambda **_: 1 / 0
    bench.run()
    if how != "raises":
        told = threading.Event()
        bench.heater.status.add_callback(lambda _: told.set())
        bench.heater.status.set_exception(RuntimeError("it does not answer"))
        assert told.wait(30)
    bench.check()
    assert "heater is too hot and was not made safe" in caplog.text
    assert "CHECK IT BY HAND" in caplog.text


def test_between_the_limits_it_goes_on_as_it_was():
    signal = Signal(name="pressure", value=1e-9)
    suspender = pressure(signal, resume=5e-8)
    engine, _ = make_engine()
    engine.install_suspender(suspender)
    for value, tripped in [(8e-8, 0), (1e-7, 0), (1.1e-7, 1), (8e-8, 1), (5e-8, 0), (1e-6, 1)]:
        signal.put(value)
        assert suspender.tripped == bool(tripped), value


# -- count rate -------------------------------------------------------------------------------


class Rates(Bench):
    """Each trigger tells a rate, and the point ends only where that is good."""

    def __init__(self, rates, **options):
        super().__init__("pressure")
        self.engine.clear_suspenders()
        self.rate = self.tes.count_rate = Signal(name="tes_count_rate", value=math.nan)
        options = {"below": 50, "above": 2e4, "settle": 0.0, **options}
        self.engine.install_suspender(CountRateSuspender(self.tes, **options))
        self.rates = list(rates)

    def _look(self, msg):
        if msg.command == "wait_for":
            self.waits += 1

    def _triggered(self):
        self.asked.append(self.mono.position)
        status = self._trigger()
        rate = self.rates.pop(0) if self.rates else 1000.0
        elsewhere(self._told, rate)
        return status

    def _told(self, rate):
        self.rate.put(rate)
        if 50 <= rate <= 2e4:
            self.tes.finish()
        self.rate.put(math.nan)


def test_a_point_with_a_wrong_rate_is_tried_again():
    bench = Rates([1000.0, 3.0, 1e5, 1000.0])
    bench.run()
    assert bench.asked == [700.0, 701.0, 701.0, 701.0, 702.0]
    bench.check()


def test_what_stays_wrong_ends_the_plan_and_says_so():
    bench = Rates([1000.0, *[3.0] * 9], tries=2)
    with pytest.raises(RuntimeError, match="3 counts/s, less than 50 counts/s, also after 2 f"):
        bench.run()
    assert bench.asked == [700.0, 701.0, 701.0, 701.0]
    stop = bench.documents.stop
    assert stop["exit_status"] == "fail" and "less than 50 counts/s" in stop["reason"]
    assert not bench.tes.shutter.beam
    bench.rates, bench.asked, bench.tes.taken = [], [], []  # the next plan begins afresh
    bench.documents.all.clear()
    bench.run()
    bench.check()


def test_tries_count_in_a_row():
    bench = Rates([3.0, 1000.0, 3.0, 1000.0, 3.0, 1000.0], tries=1)
    bench.run()
    bench.check()


def test_a_dark_array_is_not_judged():
    bench = Rates([])
    bench.rate.put(math.nan)
    bench.run()
    assert bench.asked == ENERGIES


# -- refused ----------------------------------------------------------------------------------

SIGNAL = Signal(name="signal", value=1.0)
HEATER = Heater(SIGNAL, bool)


@pytest.mark.parametrize(
    "make, says",
    [
        (lambda: PressureSuspender(SIGNAL, above=0), "above = 0 mbar must be greater than 0 mbar"),
        (lambda: PressureSuspender(SIGNAL, above=True), "above = True must be one number in mbar"),
        (
            lambda: PressureSuspender(SIGNAL, above=1e-7, resume=1e-6),
            "resume = 1e-06 mbar must be at most 1e-07 mbar",
        ),
        (lambda: PressureSuspender("gauge", above=1), "gauge = 'gauge' must be a signal"),
        (lambda: CryostatSuspender(SIGNAL, above=math.nan), "above = nan K must be"),
        (lambda: CryostatSuspender(HEATER, above=1, settle=-1), "settle = -1 s must be at least 0"),
        (lambda: OverTemperatureSuspender(SIGNAL, above=100), "is no heating stage"),
        (lambda: OverTemperatureSuspender(HEATER, above="hot"), "above = 'hot' must be one number"),
        (lambda: CountRateSuspender(SIGNAL), "give one of them, counts/s"),
        (
            lambda: CountRateSuspender(SIGNAL, below=5, above=5),
            "above = 5 counts/s must be greater than 5 counts/s",
        ),
        (lambda: CountRateSuspender(SIGNAL, below=5, tries=0), "tries = 0 must be a whole number"),
    ],
    ids=range(11),
)
def test_what_makes_no_sense_is_refused(make, says):
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        make()


def test_they_say_what_they_wait_for(caplog):
    for make, bad, good, says in [
        (pressure, 1e-6, 1e-9, "signal is 1e-06 mbar, more than 1e-07 mbar: waiting until it is"),
        (cryostat, math.nan, 0.05, "signal is nan, which is no value in K: waiting until it is"),
    ]:
        signal = Signal(name="signal", value=good)
        engine, _ = make_engine()
        engine.install_suspender(make(signal))
        signal.put(bad)
        signal.put(good)
        assert says in caplog.text and f"signal is {good:g}" in caplog.text
