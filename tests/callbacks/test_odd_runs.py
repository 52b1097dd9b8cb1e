"""Documents that are not as they should be: used if they mean one thing, else refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis import StackFit
from redoxscope.callbacks import OxidationMap, oxidation_map, oxidation_maps
from redoxscope.scan import Outer

from .scan_runs import ENERGIES, REFERENCES, Run, play, region, scan_of
from .test_regions import same


def changed(key: str, value, row: int = 40) -> list:
    """A run of which one line holds something else."""
    documents = list(Run(scan_of(region("A"))).documents())
    doc = documents[2 + row][1]
    doc["data"][key] = [value(doc["data"][key][0]) if callable(value) else value]
    return documents


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("frame", 1.5, "event 1: frame = 1.5 must be a whole number"),
        ("frame", True, "event 1: frame = True must be a whole number"),
        ("frame", "1", "event 1: frame = '1' must be a whole number"),
        ("frame", None, "event 1: frame = None must be a whole number"),
        ("frame", float("nan"), "event 1: frame = nan must be a whole number"),
        ("frame", 12, "event 1 says frame 12, which is none of region 'A'"),
        ("line", 0.5, "event 1: line = 0.5 must be a whole number"),
        ("line", -1, "event 1: line = -1 must be a whole number"),
        ("line", 24, "event 1 says line 24 of an image of 24 lines"),
        ("line_status", float("nan"), r"event 1 \(frame 1, line 16\): line_status = nan must be"),
        (
            "transmission",
            [1.0] * 29,
            r"line 16\): transmission has shape \(29,\), but a line has 30",
        ),
        ("transmission", "x", r"\(frame 1, line 16\): transmission = 'x' are not numbers"),
    ],
)
def test_a_line_that_makes_no_sense_is_refused_by_name(key, value, words):
    documents = changed(key, value)
    with pytest.raises(ValueError, match=words):
        oxidation_map(documents, REFERENCES)
    live = OxidationMap(REFERENCES)
    play(live, documents)
    with pytest.raises(ValueError, match=words):
        raise live.error


@pytest.mark.parametrize("kind", [float, np.int64, np.float32, np.array])
def test_numbers_of_any_kind_are_places(kind):
    found = oxidation_map(changed("frame", kind), REFERENCES)
    same(found.result, oxidation_map(Run(scan_of(region("A"))).documents(), REFERENCES).result)


@pytest.mark.parametrize("status", [9, 10**9])
def test_a_line_of_a_status_not_known_here_is_not_used(status):
    found = oxidation_map(changed("line_status", status), REFERENCES)
    assert "1 of a status not known here" in found.message
    assert found.lines_done == found.lines_total - 1


@pytest.mark.parametrize("scan", [{}, {"version": 2, "what": "lines"}, {"kind": "linez"}, "lines"])
def test_a_scan_that_does_not_say_what_it_is_of_is_refused_not_ignored(scan):
    documents = list(Run(scan_of(region("A"))).documents())
    documents[0][1]["scan"] = scan
    live = OxidationMap(REFERENCES)
    play(live, documents)
    assert "run 'run'" in str(live.error)
    with pytest.raises(ValueError, match="run 'run'"):
        oxidation_map(documents, REFERENCES)


def test_metadata_that_only_a_title_needs_cost_no_map():
    documents = list(Run(scan_of(region("A"))).documents())
    documents[0][1].update({"time": "today", "sample": 5, "detectors": None})
    assert oxidation_map(documents, REFERENCES).result.n_mask > 200


def test_a_switch_is_no_dead_time():
    documents = list(Run(scan_of(region("A"))).documents())
    documents[1][1]["configuration"]["scanner"]["data"]["transmission_dead_time"] = True
    assert oxidation_map(documents, REFERENCES).result.n_mask > 200


def test_values_of_an_outer_loop_that_differ_little_have_a_map_each():
    values = [(300.0,), (300.0000001,), (299.99999,)]
    scan = scan_of(region("A"), outer=[Outer("temperature", "degC")], values=values)
    found = oxidation_maps(Run(scan).documents(), REFERENCES)
    assert list(found) == [f"A, {value} degC" for (value,) in values]
    assert all(snapshot.lines_done == 12 * 24 for snapshot in found.values())


def test_each_map_is_made_ready_once_whatever_the_number_of_regions(monkeypatch):
    made = []
    build = StackFit.__init__
    monkeypatch.setattr(StackFit, "__init__", lambda *a, **k: (made.append(1), build(*a, **k))[1])
    regions = [region(f"r{i}", (8, 6), (3.0 * i, 7.0)) for i in range(20)]
    run = Run(scan_of(*regions, energies=ENERGIES[:4]), [*Run(scan_of()).particles] * 20)
    maps = oxidation_maps(run.documents(), REFERENCES)
    assert len(maps) == 20 and len(made) <= 3 * 20
