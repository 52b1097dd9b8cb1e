"""The validator of the ALS's stxm contract: what it lets pass, and what it refuses in words."""

from __future__ import annotations

import copy

import pytest

from redoxscope.plans import energy_stack
from redoxscope.testing import Documents, validate_fly_run

SHAPE = [2, 3, 4]


def golden():
    """A run as their plan writes it: one page of one row per line."""
    block = {
        "contract_version": 1, "shape": SHAPE, "energies": [639.0, 640.0], "dwell_ms": 1.0,
        "x_extent": [-3.0, 3.0], "y_extent": [2.0, -2.0], "x_motor": "sample_x",
        "y_motor": "sample_y", "energy_motor": "energy", "data_field": "transmission",
    }  # fmt: skip
    start = {
        "uid": "u", "time": 0.0, "plan_name": "stxm_energy_stack", "motors": ["energy", "y"],
        "detectors": ["transmission"], "stxm": block,
    }  # fmt: skip
    run = [("start", start), ("descriptor", {"uid": "d", "name": "primary"})]
    for number in range(1, 7):
        data = {"transmission": [[1.0] * 4], "SampleX": [[0.0] * 4], "SampleY": [0.0]}
        run.append(("event_page", {"descriptor": "d", "seq_num": [number], "data": data}))
    return [*run, ("stop", {"exit_status": "success"})]


def changed(change):
    run = copy.deepcopy(golden())
    change(run)
    return run


def block(key, value):
    return lambda run: run[0][1]["stxm"].__setitem__(key, value)


def without(key):
    return lambda run: run[0][1]["stxm"].pop(key)


def page(index, part, value):
    return lambda run: run[2 + index][1].__setitem__(part, value)


def test_their_own_run_is_accepted():
    validate_fly_run(golden())


def test_more_keys_and_missed_lines_are_no_fault():
    run = golden()
    run[0][1]["scan"] = {"version": 1}
    run[4][1]["data"]["transmission"] = [[float("nan")] * 4]
    run[4][1]["data"]["i0"] = [[1.0] * 4]
    validate_fly_run(run)


def test_events_count_as_pages_do():
    run = golden()
    run[2] = (
        "event",
        {"descriptor": "d", "seq_num": 1, "data": {"transmission": [1.0, 2.0, 3.0, 4.0]}},
    )
    validate_fly_run(run)


@pytest.mark.parametrize("status", ["abort", "fail"])
def test_a_run_that_was_ended_early_may_be_short(status):
    run = golden()
    del run[5:8]
    run[-1] = ("stop", {"exit_status": status})
    validate_fly_run(run)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: run[0][1].__setitem__("plan_name", "energy_stack"), "plan_name is 'energy_st"),
        (lambda run: run[0][1].pop("stxm"), "no block 'stxm'"),
        *((without(key), f"stxm has no '{key}'") for key in (
            "contract_version", "shape", "energies", "dwell_ms", "x_extent", "y_extent", "x_motor",
            "y_motor", "energy_motor", "data_field",
        )),
        (block("contract_version", 2), "contract_version is 2, not 1"),
        (block("shape", [2, 3]), "shape .2, 3. is not 3 whole numbers"),
        (block("shape", [2.0, 3, 4]), "is not 3 whole numbers"),
        (block("energies", [639.0]), "energies has 1 values where the shape has 2"),
        (block("energies", [639, 640]), "not a list of floats"),
        (block("dwell_ms", 1), "dwell_ms 1 is not a float"),
        (block("dwell_ms", 0.0), "dwell_ms 0.0 is not a float above 0"),
        (block("x_extent", [1.0]), "x_extent .1.0. is not two floats"),
        (block("y_motor", None), "y_motor None is no name"),
        (page(1, "seq_num", [1]), "event 1 after event 1: each comes once, rising"),
        (page(1, "seq_num", [3]), "event 3 after event 3"),
        (page(5, "seq_num", [7]), "event 7 is beyond the 6 lines"),
        (page(2, "data", {"transmission": [[1.0] * 5]}), "event 3: 'transmission' has 5 where"),
        (page(2, "data", {"counts": [[1.0] * 4]}), "event 3 has no 'transmission'"),
        (lambda run: run.pop(7), "5 lines where a run that succeeded has 6"),
        (lambda run: run.pop(), "0 stop documents"),
        (lambda run: run.pop(0), "0 start documents"),
        (
            lambda run: run.insert(
                2, ("event", {"descriptor": "b", "seq_num": 1, "data": {"ring": 1.0}})
            ),
            "event 1 has no 'transmission'",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(change, words):
    with pytest.raises(ValueError, match=words):
        validate_fly_run(changed(change))


def test_everything_wrong_is_said_at_once():
    def change(run):
        block("dwell_ms", "1")(run)
        page(2, "data", {"transmission": [[1.0] * 5]})(run)

    with pytest.raises(ValueError, match="dwell_ms.*event 3"):
        validate_fly_run(changed(change))


def test_a_run_of_ours_on_the_simulated_beamline_is_accepted(stxm, RE):
    documents = Documents()
    RE.subscribe(documents)
    RE(energy_stack(stxm, energies=[639.0, 640.0], pixels=(4, 3), size=(2.0, 3.0), dwell=0.05))
    validate_fly_run(documents)
    assert documents.start["stxm"]["energies"] == [639.0, 640.0]
    assert documents.start["stxm"]["dwell_ms"] == 50.0
