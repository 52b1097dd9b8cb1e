"""What a beamline can run against its own IOC, run against the simulated one."""

from __future__ import annotations

import re

import pytest
from ophyd import EpicsSignal

from redoxscope.scan import Raster
from redoxscope.sim import Simulation
from redoxscope.testing import check_fly_contract, check_line_contract

LINE = (-1.0, 1.0, 10, 10.0)


@pytest.fixture(scope="module")
def beamline():
    options = {"fly-poll": 0.001, "fly-margin": 0.3}
    with Simulation(speed=50.0, contract="fly", options=options) as running:
        yield running


@pytest.fixture
def trouble(beamline):
    signal = EpicsSignal(f"{beamline.prefix}Sim:Fault", name="fault", put_complete=True)
    signal.wait_for_connection(timeout=60)
    yield lambda command: signal.set(command, timeout=30).wait()
    signal.set("clear", timeout=30).wait()
    signal.destroy()


def lines(beamline, raster=None, **options):
    counters = [f"{beamline.prefix}{name}:" for name in ("Trans", "I0")]
    return check_line_contract(f"{beamline.prefix}Scan:", counters, raster, **options)


def fly(beamline, line=None, **options):
    counters = {key: f"{beamline.fly_prefix}{key.upper()}:" for key in ("default", "i0")}
    return check_fly_contract(f"{beamline.fly_prefix}E712:FLY:", counters, line, **options)


def test_the_simulated_scanner_keeps_the_contract(beamline):
    assert lines(beamline) == []
    assert lines(beamline, Raster(-1, 1, 5, -1, 1, 3, 0.05)) == []


def test_the_simulated_fly_group_keeps_its_own(beamline):
    assert fly(beamline) == []
    assert fly(beamline, LINE) == []


def test_what_does_not_answer_is_said(beamline):
    wrong = check_line_contract(f"{beamline.prefix}None:", [], timeout=0.3)
    assert len(wrong) > 10 and f"{beamline.prefix}None:Go does not answer" in wrong
    other = {f"{beamline.prefix}Scan:Go": f"{beamline.prefix}None:Go"}
    assert f"{beamline.prefix}None:Go does not answer" in lines(beamline, pvs=other, timeout=1.0)


def test_another_type_is_said(beamline):
    other = {f"{beamline.prefix}Scan:Dwell": f"{beamline.prefix}Shutter:Owner"}
    assert "is of type string, which is no number" in lines(beamline, pvs=other)[0]


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("lost_counts 1", "line 1: .*Trans:Line was not sent"),
        ("lost_line 0", "line 0: .*Scan:X was not sent"),
        ("scanner_error 1", "line 1: no index came"),
    ],
)
def test_a_scanner_that_breaks_the_contract(beamline, trouble, command, words):
    trouble(command)
    wrong = lines(beamline, Raster(-1, 1, 5, -1, 1, 3, 0.05), timeout=2.0)
    assert any(re.search(words, text) for text in wrong), wrong


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("fly line_fails", "STATE is ERROR after a line: move failed|INDEX is"),
        ("fly zero_positions", "goes from 0 to 0 µm, not from -1 to 1 µm"),
        ("fly stale_dwell", "DWELL is 100.0, not 10: somebody else sets it"),
        ("fly foreign_line", "LINE:NPOINTS is 20, not 10"),
        ("fly arm_refused 1 1", "after ARM, not ARMED: controller is not ready"),
    ],
)
def test_a_fly_group_that_breaks_its_own(beamline, trouble, command, words):
    fly(beamline, (-1.0, 1.0, 11, 11.0))  # other settings: none is stale on the counters
    trouble(command)
    wrong = fly(beamline, LINE)
    assert any(re.search(words, text) for text in wrong), wrong
