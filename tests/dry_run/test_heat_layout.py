"""Dry runs of beamlines with heating stages: what the simulation serves of them."""

from __future__ import annotations

import asyncio

import pytest

from redoxscope.beamline import ConfigError, parse_beamline, simulated_beamline, simulated_heat
from redoxscope.dry_run import layout_of
from redoxscope.dry_run._state import State, StateError
from redoxscope.sim.ioc._bench import Bench
from redoxscope.sim.ioc._clock import InstantClock
from redoxscope.sim.physics.stxm import build_model

HOT = """
name: hot
devices:
  oven: {class: linkam_t96, prefix: "T96:", low: 20, high: 600}
  plate: {class: eurotherm2216e, prefix: "EU:", low: 20, high: 600}
  cryo:
    class: lakeshore336
    prefix: "LS:"
    low: 20
    high: 400
    range: high
    pvs: {IN1: "Other:TC"}
"""


def test_all_three_controllers_have_their_pvs_with_readbacks():
    layout = layout_of(parse_beamline(HOT, "hot.yml"))
    bench = Bench(build_model("lmr", seed=1), prefix="P:", clock=InstantClock(), layout=layout)
    served = set(bench.pvdb)
    assert {"T96:rampLimit", "T96:rampRate_RBV", "T96:Guard:Ceiling"} <= served
    assert {"EU:SetPointTemp", "EU:SetPointTempWrite", "EU:Guard:Tripped"} <= served
    assert {"LS:OUT1:SP", "LS:OUT1:SP_RBV", "LS:HTR1:Range_RBV", "Other:TC"} <= served
    assert not any(name.startswith(("Heater:", "P:Heater:", "Linkam:", "Euro:")) for name in served)


def test_the_guard_refuses_as_the_real_one_does():
    file = parse_beamline(HOT, "hot.yml")
    pvs = {name: {} for name in layout_of(file).names.values()}
    for name in ("T96:rampRate", "T96:heating", "LS:IN1:Units"):  # a snapshot has what is read
        pvs[f"{name}_RBV"] = pvs.pop(name)
    pvs["T96:Guard:Ceiling"] = {"value": 150.0}
    state = State("hot", "hot.yml", "", "", pvs)
    layout = layout_of(file, state)
    bench = Bench(build_model("lmr", seed=1), prefix="P:", clock=InstantClock(), layout=layout)
    asyncio.run(bench._stand_as(layout))
    assert bench.heat.stages["Linkam:"].guard.ceiling_c == 150.0
    assert bench.heat.stages["Heater:"].guard.ceiling_c == 620.0
    pvs["T96:Guard:Ceiling"] = {"value": "hot"}
    with pytest.raises(StateError, match="T96:Guard:Ceiling: value = 'hot' must be a number"):
        layout_of(file, state)


def test_the_shipped_files_are_served_by_their_own_names():
    for file in (simulated_beamline(""), simulated_heat()):
        names = layout_of(file).names
        assert file.heaters and all(name == other for name, other in names.items())


def test_two_of_one_controller_are_not_simulated():
    two = HOT + '  kiln: {class: linkam_t96, prefix: "T2:", low: 20, high: 600}\n'
    with pytest.raises(ConfigError, match=r"devices\.kiln rampLimit: .*calls it 'T96:rampLimit'"):
        layout_of(parse_beamline(two, "hot.yml"))
