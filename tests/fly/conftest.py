"""A beamline of the FLY contract, in a process of its own, and the microscope that talks to it."""

from __future__ import annotations

from importlib import resources

import pytest
from ophyd import EpicsSignal

from redoxscope.beamline import connect, parse_beamline
from redoxscope.sim import Simulation
from redoxscope.testing import made_stxm

SPEED = 50.0


def beamline_file(prefix, **changes):
    """The simulated fleet's file, for an IOC with this prefix."""
    text = resources.files("redoxscope").joinpath("beamlines/fly.yml").read_text("utf-8")
    for start in ("STXMSIM:", "Sample:", "Ring:"):
        text = text.replace(f'"{start}', f'"{prefix}{start}')
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_beamline(text, "fly.yml")


@pytest.fixture(scope="package")
def fleet():
    options = {"fly-poll": 0.001, "fly-margin": 0.3}
    with Simulation(speed=SPEED, seed=1, contract="fly", options=options) as running:
        yield running


@pytest.fixture(scope="package")
def fly_stxm(fleet):
    stxm = made_stxm(beamline_file(fleet.prefix))
    connect(stxm)
    stxm.shutter.time_limit.put(20.0)  # a busy machine is no fault of the blade
    yield stxm
    stxm.destroy()


@pytest.fixture
def fly_fault(fleet):
    """Ask the fleet for a fault: ``fly_fault("line_fails 1 2")``."""
    signal = EpicsSignal(f"{fleet.prefix}Sim:Fault", name="fault", put_complete=True)
    signal.wait_for_connection(timeout=60)

    def ask(command):
        signal.put(f"fly {command}", wait=True, timeout=30)

    ask("clear")
    yield ask
    ask("clear")
    signal.destroy()
