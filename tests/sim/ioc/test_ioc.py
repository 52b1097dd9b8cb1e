"""The simulated beamline as a process: what it serves, its shutter's dead man, its silence."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import epics
import numpy as np
import pytest
from ophyd.status import SubscriptionStatus

from redoxscope.devices import DeviceError
from redoxscope.scan import Raster
from redoxscope.sim import Simulation, SimulationError, check_options
from redoxscope.sim.ioc import Faults


def fly(stxm, *, ny=3, nx=4, dwell=0.01):
    """Fly an image; its lines."""
    scanner = stxm.scanner
    scanner.prepare(Raster(-1, 1, nx, -1, 1, ny, dwell)).wait(timeout=30)
    scanner.kickoff().wait(timeout=30)
    rows = []
    while not scanner.finished:
        scanner.trigger().wait(timeout=30)
        for page in scanner.collect_pages():
            rows += zip(page["data"]["line"], page["data"]["transmission"], strict=True)
    scanner.complete().wait(timeout=30)
    return rows


def test_an_image_by_hand(stxm):
    rows = fly(stxm)
    assert [line for line, _ in rows] == [0, 1, 2]
    assert all(len(counts) == 4 for _, counts in rows)
    assert stxm.shutter.mode.get() == 1  # it was made to follow by the flight
    stxm.shutter.set("closed").wait(timeout=30)


def test_by_hand_the_shutter_stays_where_it_is(stxm):
    stxm.shutter.set("open").wait(timeout=30)
    assert stxm.shutter.is_open
    stxm.shutter.set("closed").wait(timeout=30)
    assert not stxm.shutter.is_open


def test_telling_it_to_follow_twice_does_not_close_it(stxm, simulation):
    """A blade that closes in the middle of a raster leaves dark lines."""
    stxm.scanner.prepare(Raster(-1, 1, 10, -1, 1, 50, 0.5)).wait(timeout=30)
    stxm.scanner.kickoff().wait(timeout=30)
    stxm.scanner.trigger().wait(timeout=30)
    stxm.shutter.set("follow").wait(timeout=30)
    assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 1
    stxm.scanner.stop()
    stxm.shutter.set("closed").wait(timeout=30)


def test_halted_right_after_go(stxm):
    """Both orders arrive together: the second is the one that counts."""
    scanner = stxm.scanner
    scanner.prepare(Raster(-1, 1, 4, -1, 1, 100, 0.05)).wait(timeout=30)
    for _ in range(10):
        scanner.kickoff().wait(timeout=30)
        scanner.stop()
        scanner.source.abort.set(1).wait(timeout=30)
        assert scanner.source.state.get(use_monitor=False, timeout=60) == 0
        assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
    assert len(fly(stxm)) == 3  # nothing is flying any more
    stxm.shutter.set("closed").wait(timeout=30)


def test_kickoff_waits_until_the_controller_is_idle(stxm):
    """It may still fly back from the image before, and would refuse another."""
    scanner = stxm.scanner
    scanner.prepare(Raster(-1, 1, 50, -1, 1, 3, 0.05)).wait(timeout=30)
    flying = SubscriptionStatus(scanner.source.state, lambda *, value, **_: value == 1, timeout=30)
    scanner.source.go.put(0)
    flying.wait(timeout=30)
    assert len(fly(stxm, nx=50, dwell=0.05)) == 3
    stxm.shutter.set("closed").wait(timeout=30)


def test_dead_man_closes_the_shutter(stxm, fault, monkeypatch):
    monkeypatch.setattr(stxm.scanner, "_guard", None)
    stxm.shutter.dead_man.put(0.3)
    stxm.scanner.margin.put(5.0)
    try:
        fault("hang 1")
        with pytest.raises(DeviceError, match="dead man"):
            fly(stxm)
        assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
        assert stxm.shutter.mode.get(use_monitor=False, timeout=60) == 1
    finally:
        stxm.shutter.dead_man.put(30.0)
        stxm.scanner.margin.put(2.0)
        stxm.scanner.stop()
        stxm.shutter.set("closed").wait(timeout=30)


def test_a_held_shutter_closes_when_nobody_asks_again(stxm):
    opened, closed = threading.Event(), threading.Event()

    def watch(*, value, **_):
        if value:
            opened.set()
        elif opened.is_set():
            closed.set()

    stxm.shutter.dead_man.put(3.0)
    stxm.shutter.status.subscribe(watch, run=False)
    try:
        stxm.shutter.set("hold").wait(timeout=30)
        assert opened.wait(timeout=60) and stxm.shutter.mode.get() == 2
        assert closed.wait(timeout=60)
        stxm.shutter.dead_man.put(30.0)
        stxm.shutter.set("hold").wait(timeout=30)  # and opens again
        assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 1
    finally:
        stxm.shutter.status.clear_sub(watch)
        stxm.shutter.dead_man.put(30.0)
        stxm.shutter.set("closed").wait(timeout=30)
    assert stxm.shutter.mode.get(use_monitor=False, timeout=60) == 0


def test_a_shutter_opened_by_hand_stays_open(stxm):
    """The dead man is for those who asked for him."""
    stxm.shutter.dead_man.put(2.0)  # a busy machine sees it open within that time
    try:
        stxm.shutter.set("hold").wait(timeout=30)
        stxm.shutter.set("open").wait(timeout=30)
        assert not threading.Event().wait(2.3)
        assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 1
    finally:
        stxm.shutter.dead_man.put(30.0)
        stxm.shutter.set("closed").wait(timeout=30)


def test_dead_man_lets_a_long_raster_be(stxm, monkeypatch):
    """It counts real seconds, a client's check of the line those at speed 1."""
    monkeypatch.setattr(stxm.scanner, "_guard", None)
    stxm.shutter.dead_man.put(2.0)
    try:
        rows = fly(stxm, nx=50, ny=10, dwell=0.3)  # 3 s in all, 0.3 s a line
        assert min(min(counts) for _, counts in rows) > 0
    finally:
        stxm.shutter.dead_man.put(30.0)
        stxm.shutter.set("closed").wait(timeout=30)


def test_an_error_text_longer_than_a_string(stxm):
    """EPICS strings end after 39 characters; the message is an array of them."""
    stxm.scanner.prepare(Raster(-1, 1, 4, -1, 1, 3, 0.01)).wait(timeout=30)
    text = "Go = 100 is none of the lines 0 to 2"
    # From the monitor, as the scanner reads it: a get has the length of the text before.
    said = SubscriptionStatus(
        stxm.scanner.source.message, lambda *, value, **_: value == text, timeout=60, run=False
    )
    stxm.scanner.source.go.put(100)
    said.wait(timeout=30)
    stxm.scanner.source.abort.set(1).wait(timeout=30)


def test_a_raster_that_the_controller_does_not_take(stxm, monkeypatch):
    """Read back from the controller, not from what was asked for."""
    monkeypatch.setattr(
        stxm.scanner.source.dwell, "put", lambda *args, callback=None, **kw: callback()
    )
    with pytest.raises(DeviceError, match="Scan:Dwell is .* where 0.0123 was written"):
        stxm.scanner.prepare(Raster(-1, 1, 4, -1, 1, 3, 0.0123)).wait(timeout=30)


def test_a_wrong_a1_blurs():
    """The focus that follows a wrong A1 leaves less contrast."""
    from redoxscope.testing import simulated_stxm

    def contrast(**options):
        with Simulation(speed=50, seed=1, options=options) as simulation:
            stxm = simulated_stxm(simulation.prefix)
            stxm.wait_for_connection(timeout=60)
            stxm.energy.set(643.0).wait(timeout=60)
            rows = fly(stxm, nx=60, ny=30)
            stxm.destroy()
        counts = np.array([counts for _, counts in rows])
        return counts.std() / counts.mean()

    assert contrast(**{"a1-error": 0.02}) < 0.8 * contrast()


ORPHAN = """
    import os, signal, sys
    from redoxscope.testing import simulated_stxm
    from redoxscope.scan import Raster
    os.environ["EPICS_CA_ADDR_LIST"] = "127.0.0.1:" + sys.argv[1]
    os.environ["EPICS_CA_AUTO_ADDR_LIST"] = "NO"
    stxm = simulated_stxm(sys.argv[2])
    stxm.wait_for_connection(timeout=60)
    stxm.scanner.prepare(Raster(-1, 1, 50, -1, 1, 40, 0.05)).wait(timeout=30)
    stxm.scanner.kickoff().wait(timeout=30)
    stxm.scanner.trigger().wait(timeout=30)
    print(stxm.shutter.status.get(use_monitor=False, timeout=60), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_the_client_is_killed(stxm, simulation):
    """The shutter follows the scanner, so it closes at the end of the raster."""
    child = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ORPHAN), str(simulation.port), simulation.prefix],
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert child.returncode == -9, child.stderr
    assert child.stdout.split() == ["1"]
    idle = stxm.scanner.source.until_idle(20)
    if idle is not None:
        idle.wait(timeout=60)
    assert stxm.scanner.source.state.get(use_monitor=False, timeout=60) == 0
    assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0


def test_names_without_a_prefix():
    """As a beamline file has whose prefix is empty."""
    with Simulation(prefix="", speed=50) as simulation:
        assert simulation.prefix == ""
        assert epics.caget("Mono:Energy:RBV", timeout=60) == pytest.approx(640.0)


def test_bad_options_are_explained():
    with pytest.raises(SimulationError, match="there is no PV"):
        Simulation(options={"without": "Mono:Nothing"})


@pytest.mark.parametrize(
    "options, says",
    [
        ({"options": {"fault": "nonsense"}}, "unknown fault 'nonsense'"),
        ({"options": {"fault": ["hang", "hang x"]}}, "fault 'hang x': expected hang"),
        ({"options": {"fault": ""}, "speed": 0}, "speed = 0"),
        ({"options": {"fault": ["dastard drop 1"]}}, "no simulated Dastard"),
        ({"options": {"fault": ["dastard nothing"]}, "tes": True}, "unknown fault 'nothing'"),
        ({"options": {"fault": [" "]}}, "unknown fault ''"),
        ({"speed": True}, "speed = True"),
        ({"seed": -1}, "seed = -1"),
    ],
)
def test_options_are_checked_before_a_process_starts(options, says):
    with pytest.raises(ValueError, match=says):
        check_options(**options)
    with pytest.raises(ValueError, match=says):
        Simulation(**options)


def test_faults_are_used_up():
    faults = Faults()
    faults.request("missed_trigger 3 2")
    faults.request("hang")
    assert [faults.take("missed_trigger", line) for line in (2, 3, 3, 3)] == [0, 1, 1, 0]
    assert [faults.take("hang", line) for line in (7, 8)] == [True, False]
    faults.request("missed_trigger 1")
    faults.request("shutter_stuck")
    faults.request("clear")
    assert not faults.take("missed_trigger", 1) and not faults.shutter_stuck
    with pytest.raises(ValueError, match=r"expected missed_trigger \[LINE \[TIMES\]\]"):
        faults.request("missed_trigger first")


def test_silence(simulation):
    """Nothing went to standard error in all the tests before this one.

    But for what caproto says where the machine has something else to do, too.
    """
    lines = [line for line in simulation.output.splitlines() if "High load" not in line]
    assert lines == []
