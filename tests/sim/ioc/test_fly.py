"""The FLY contract as the simulated beamline serves it: its facts, with a plain client."""

from __future__ import annotations

import queue
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from epics import PV, ca

from redoxscope.sim import Simulation, check_options

SPEED = 50.0


@pytest.fixture(scope="module")
def beamline():
    """A beamline that serves both contracts; polls of 1 ms, deadlines of 0.3 s."""
    options = {"fly-poll": 0.001, "fly-margin": 0.3}
    with Simulation(speed=SPEED, contract="fly", options=options) as running:
        yield running


@pytest.fixture(scope="module")
def pv(beamline):
    """``pv("E712:FLY:GO")``: a connected PV of the fleet; ``pv("Sim:Fault", own=True)``."""
    known: dict[str, PV] = {}

    def get(name, own=False):
        full = (beamline.prefix if own else beamline.fly_prefix) + name
        if full not in known:
            known[full] = PV(full, auto_monitor=False)
            assert known[full].wait_for_connection(timeout=60), full
        return known[full]

    yield get
    for one in known.values():
        one.disconnect()


@pytest.fixture
def fly(pv):
    """A client that does as the contract says, and no more."""
    client = Client(pv)
    client.fault("clear")
    client.fault("fly clear")
    client.put("ABORT", 1)
    for daq in ("DEFAULT", "I0"):
        pv(f"{daq}:LINE:ABORT").put(1, wait=True, timeout=30)
    client.settings(n=5, dwell=2.0)  # other than any test's: nothing stale is left on the counters
    assert client.line() == "ARMED"
    client.settings()
    yield client
    client.put("ABORT", 1)


class Client:
    def __init__(self, pv):
        self.pv = pv

    def put(self, name, value):
        assert self.pv(f"E712:FLY:{name}").put(value, wait=True, timeout=60) is not None

    def get(self, name):
        return self.pv(f"E712:FLY:{name}").get(timeout=30, as_string=name == "STATE")

    def fault(self, command):
        self.pv("Sim:Fault", own=True).put(command, wait=True, timeout=30)

    def settings(self, start=-2.0, stop=2.0, n=20, dwell=10.0, axis="x"):
        for name, value in (("START", start), ("STOP", stop), ("NPOINTS", n), ("DWELL", dwell)):
            self.put(name, value)
        self.put("AXIS", axis)
        self.put("ARM", 1)

    def line(self):
        self.put("GO", 1)
        return self.get("STATE")

    @property
    def error(self):
        text = self.pv("E712:FLY:ERROR.VAL$").get(timeout=30, as_string=True)
        return text


def test_a_good_line_is_published_counted_and_leaves_the_service_armed(fly):
    before = fly.get("INDEX")
    assert fly.get("STATE") == "ARMED"
    assert fly.line() == "ARMED"  # settings and ARM need not be repeated
    assert fly.line() == "ARMED"
    assert fly.get("INDEX") == before + 2
    np.testing.assert_allclose(fly.get("POS"), np.linspace(-2, 2, 20))
    for key in ("default", "i0"):
        counts = fly.get(f"DATA:{key}")
        assert len(counts) == 20 and min(counts) > 100
    assert fly.error == ""
    assert fly.get("GO") == fly.get("ARM") == 0


def test_the_counts_are_those_of_the_other_contract_for_the_same_raster(fly, pv):
    """Same sample, beam and counters: the lines differ by noise only."""
    for name, value in (("XStart", -2.0), ("XStop", 2.0), ("NX", 20), ("NY", 1)):
        pv(f"Scan:{name}", own=True).put(value, wait=True, timeout=30)
    pv("Scan:YStart", own=True).put(1.0, wait=True, timeout=30)
    pv("Scan:Dwell", own=True).put(0.01, wait=True, timeout=30)
    pv("Shutter:Mode", own=True).put(1, wait=True, timeout=30)
    index = pv("Scan:Index", own=True)
    before, ended = index.get(), threading.Event()
    watch = PV(index.pvname, callback=lambda value, **_: value > before and ended.set())
    pv("Scan:Go", own=True).put(0, wait=True, timeout=30)
    assert ended.wait(timeout=60)
    watch.disconnect()
    theirs = pv("Trans:Line", own=True).get(timeout=30)[:20]
    pv("Shutter:Mode", own=True).put(0, wait=True, timeout=30)
    pv("E712:SampleY").put(1.0, wait=True, timeout=60)
    assert fly.line() == "ARMED"
    ours = fly.get("DATA:default")[:20]
    pv("E712:SampleY").put(0.0, wait=True, timeout=60)
    # 1 % flicker and counting; the stage's own error shifts the line by a few nm.
    np.testing.assert_allclose(ours, theirs, rtol=0.15)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.8


def test_a_line_may_go_down_and_along_y(fly, pv):
    pv("E712:SampleX").put(0.5, wait=True, timeout=60)
    fly.settings(start=1.0, stop=-1.0, n=8, axis="y")
    assert fly.line() == "ARMED"
    np.testing.assert_allclose(fly.get("POS"), np.linspace(1, -1, 8))
    assert pv("E712:SampleY.RBV").get() == pytest.approx(0.0)  # the record does not move
    pv("E712:SampleX").put(0.0, wait=True, timeout=60)


@contextmanager
def watched(pv, *names):
    """Queue of what monitors tell, as (name, text), from after their first messages on."""
    seen: queue.Queue = queue.Queue()
    watching = []
    try:
        for name in names:
            full = pv(f"E712:FLY:{name}").pvname
            tell = partial(lambda name, char_value=None, **_: seen.put((name, char_value)), name)
            watching.append(PV(full, auto_monitor=True, callback=tell))
            assert watching[-1].wait_for_connection(timeout=60)
            watching[-1].get_ctrlvars(timeout=60)  # what its states are called
            assert seen.get(timeout=60)[0] == name
        yield seen
    finally:
        for one in watching:
            one.disconnect()


def test_monitors_come_in_the_order_of_the_contract(fly, pv):
    """DATA, POS, INDEX, STATE, and only then the put completes."""
    with watched(pv, "DATA:default", "POS", "INDEX", "STATE") as seen:
        assert fly.line() == "ARMED"
        order = []
        while not order or order[-1] != ("STATE", "ARMED"):
            order.append(seen.get(timeout=60))
    told = [name for name, _ in order]
    assert told[0] == "STATE" and told[-1] == "STATE"
    assert told.index("DATA:default") < told.index("POS") < told.index("INDEX") < len(told) - 1


def test_arm_joins_what_is_wrong(fly):
    fly.settings(start=-100.0, n=20000, dwell=-1.0)
    assert fly.get("STATE") == "ERROR"
    problems = fly.error.split("; ")
    assert len(problems) == 3
    assert [text.split()[0] for text in problems] == ["START", "NPOINTS", "DWELL"]
    assert fly.pv("E712:FLY:ERROR").get(timeout=30) == fly.error[:40].rstrip("\0")


def test_go_without_arm_is_an_error_whose_put_completes(fly):
    fly.settings(n=0)
    assert fly.line() == "ERROR"
    assert fly.error == "GO rejected: state is ERROR"


def test_state_changes_before_error(fly, pv):
    with watched(pv, "ERROR", "STATE") as seen:
        fly.settings(n=0)
        assert [seen.get(timeout=60)[0] for _ in range(2)] == ["STATE", "ERROR"]


def test_a_line_that_fails_completes_its_put_and_counts_nothing(fly, pv):
    before = fly.get("INDEX")
    fly.fault("fly line_fails")
    assert fly.line() == "ERROR"
    assert fly.get("INDEX") == before and "following error" in fly.error
    assert pv("Shutter:Status", own=True).get() == 0
    assert fly.line() == "ERROR" and fly.error == "GO rejected: state is ERROR"
    fly.settings()
    assert fly.line() == "ARMED" and fly.error == ""


def test_a_fault_after_some_lines(fly):
    fly.fault("fly line_fails 1 2")
    assert [fly.line() for _ in range(3)] == ["ARMED", "ARMED", "ERROR"]


def test_counters_that_never_finish_end_with_the_deadline(fly):
    fly.fault("fly no_data")
    assert fly.line() == "ERROR"
    assert "no data" in fly.error


def test_abort_while_armed_only_sets_a_flag(fly):
    before = fly.get("INDEX")
    fly.put("ABORT", 1)
    assert fly.get("STATE") == "ARMED"
    assert fly.line() == "IDLE"
    assert fly.error == "" and fly.get("INDEX") == before
    assert fly.line() == "ERROR"
    fly.put("ARM", 1)
    assert fly.line() == "ARMED"


def test_abort_while_flying_ends_the_put_and_closes_the_shutter(fly, pv):
    fly.fault("fly silent")
    ended = threading.Event()
    pv("E712:FLY:GO").put(1, callback=lambda **_: ended.set())
    state = pv("E712:FLY:STATE")
    while state.get(as_string=True) != "FLYING":
        ca.poll()
    fly.put("START", 1.0)  # accepted, and unchecked
    fly.put("ARM", 1)
    assert state.get(as_string=True) == "FLYING" and "ARM rejected" in fly.error
    fly.put("ABORT", 1)
    assert ended.wait(timeout=30)
    assert fly.get("STATE") == "IDLE" and fly.error == ""
    assert pv("Shutter:Status", own=True).get() == 0
    assert pv("DEFAULT:LINE:STATUS").get(as_string=True) == "IDLE"


def test_a_dwell_that_another_client_set_is_stale(fly, pv):
    assert fly.line() == "ARMED"
    right = fly.get("DATA:i0").mean()
    pv("I0:DWELL").put(100.0, wait=True, timeout=30)
    pv("DEFAULT:DWELL").put(100.0, wait=True, timeout=30)
    assert fly.line() == "ARMED"
    assert fly.get("DATA:i0").mean() == pytest.approx(10 * right, rel=0.1)
    fly.settings(dwell=5.0)
    assert fly.line() == "ARMED"
    fly.settings(dwell=10.0)
    assert fly.line() == "ARMED"
    assert fly.get("DATA:i0").mean() == pytest.approx(right, rel=0.1)


def test_a_stale_dwell_on_request(fly, pv):
    fly.fault("fly stale_dwell")
    assert fly.line() == "ARMED"
    assert pv("DEFAULT:DWELL").get() == pytest.approx(100.0)


def test_anothers_line_is_taken_for_ones_own(fly, pv):
    assert fly.line() == "ARMED"
    before = fly.get("INDEX")
    fly.fault("fly foreign_line")
    assert fly.line() == "ARMED"
    assert fly.get("INDEX") == before + 1 and fly.error == ""
    assert len(fly.get("DATA:default")) == 20
    assert pv("DEFAULT:LINE:NPOINTS").get() == 40


def test_positions_that_were_never_filled(fly):
    fly.fault("fly zero_positions")
    assert fly.line() == "ARMED"
    assert not fly.get("POS").any()
    assert fly.line() == "ARMED"
    assert fly.get("POS").any()


def test_a_service_that_starts_anew(fly):
    fly.fault("fly restart")
    assert fly.line() == "ERROR"
    assert fly.get("INDEX") == 0 and fly.error == "GO rejected: state is IDLE"


def test_a_point(fly, pv):
    pv("SHUTTER1:MODE").put("OPEN", wait=True, timeout=30)
    for daq in ("DEFAULT", "I0"):
        pv(f"{daq}:DWELL").put(10.0, wait=True, timeout=30)
        pv(f"{daq}:ACQUIRE").put(1, wait=True, timeout=30)
        counts = pv(f"{daq}:COUNTS").get()
        assert counts > 100
        assert pv(f"{daq}:RATE").get() == pytest.approx(counts / 0.01)
    pv("SHUTTER1:MODE").put(1, wait=True, timeout=30)
    assert pv("Shutter:Status", own=True).get() == 0


def test_a_counter_that_is_busy_says_so_and_completes(fly, pv):
    pv("DEFAULT:LINE:NPOINTS").put(1000, wait=True, timeout=30)
    pv("DEFAULT:DWELL").put(1000.0, wait=True, timeout=30)
    pv("DEFAULT:LINE:ARM").put(1, wait=True, timeout=30)
    status = pv("DEFAULT:LINE:STATUS")
    assert status.get(as_string=True) in ("ARMED", "ACQUIRING")
    for order in ("LINE:ARM", "ACQUIRE"):
        pv(f"DEFAULT:{order}").put(1, wait=True, timeout=30)
        assert "refused" in pv("DEFAULT:LINE:ERROR").get()
        assert status.get(as_string=True) == "ACQUIRING"
    index = pv("DEFAULT:LINE:INDEX").get()
    pv("DEFAULT:LINE:ABORT").put(1, wait=True, timeout=30)
    assert status.get(as_string=True) == "IDLE"
    assert pv("DEFAULT:LINE:ERROR").get() == "line aborted"
    assert pv("DEFAULT:LINE:INDEX").get() == index


def test_a_motor_record_completes_when_the_move_is_over(pv):
    x = pv("E712:SampleX")
    x.put(3.0, wait=True, timeout=60)
    assert pv("E712:SampleX.RBV").get() == pytest.approx(3.0)
    assert pv("E712:SampleX.DMOV").get() == 1
    assert pv("Sample:FineX.RBV", own=True).get() == pytest.approx(3.0)  # one axis, two names
    x.put(1e6, wait=True, timeout=60)  # refused: nothing moves
    assert pv("E712:SampleX.RBV").get() == pytest.approx(3.0)
    x.put(0.0, wait=True, timeout=60)
    assert pv("E712:SampleX.HLM").get() == 15.0


def test_the_energy_is_a_motor_in_ev(pv):
    energy = pv("XPS:energy")
    energy.put(645.0, wait=True, timeout=60)
    for name in ("Mono:Energy:RBV", "Mono:EPU:RBV"):
        assert pv(name, own=True).get() == pytest.approx(645.0)
    assert pv("XPS:energy.EGU").get() == "um"  # as theirs say of every motor
    energy.put(640.0, wait=True, timeout=60)


def test_bad_requests_are_refused_before_anything_starts():
    with pytest.raises(ValueError, match="unknown fault 'fly nonsense'"):
        check_options(contract="fly", options={"fault": "fly nonsense"})
    with pytest.raises(ValueError, match="expected line_fails"):
        check_options(contract="fly", options={"fault": "fly line_fails x"})
    with pytest.raises(ValueError, match="not served here"):
        check_options(options={"fault": "fly line_fails"})
    with pytest.raises(ValueError, match="contract = 'flie'"):
        check_options(contract="flie")
