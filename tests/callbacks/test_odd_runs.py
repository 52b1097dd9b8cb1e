"""Documents that are not as they should be: used if they mean one thing, else refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.analysis.oxidation import StackFit
from redoxscope.callbacks import OxidationMap, oxidation_map, oxidation_maps
from redoxscope.data import References
from redoxscope.scan import Outer, Role, Scan

from .scan_runs import EMPTY, ENERGIES, REFERENCES, Run, i0_rate, play, region, scan_of
from .test_regions import same
from .test_stack_roles import FILLED, of_role


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


# -- I0 that is not to be had ----------------------------------------------------------------------


def saturated(limit: float):
    documents = list(Run(scan_of(region("A"))).documents())
    documents[1][1]["configuration"]["scanner"]["data"]["transmission_saturation"] = limit
    return oxidation_map(documents, REFERENCES)


def test_a_blank_area_of_which_a_part_is_saturated_gives_no_i0():
    """The pixels left would be those with fewer counts: I0 too small, and the map wrong."""
    found = saturated(3.9e6)
    known = np.isfinite(found.result.ln_i0)
    rate = i0_rate(ENERGIES)
    assert not known[rate > 3.9e6 - 2 * 2e6**0.5 * 31].any() and known[rate < 3.7e6].all()
    np.testing.assert_allclose(np.exp(found.result.ln_i0[known]), rate[known] * 1e-3, rtol=5e-3)
    (doubt,) = [d for d in found.doubts if d.kind == "i0"]
    assert "the blank area reached the detector's limit there" in doubt.text
    assert "chi2" not in [d.kind for d in found.doubts]


def test_all_saturated_is_said_as_that():
    assert "I0 is not known at 12 energies" in saturated(1e5).message
    assert "reached the detector's limit there" in saturated(1e5).message


@pytest.mark.parametrize("pixels", [(1, 1), (3, 1)])
def test_images_of_the_empty_beam_that_are_too_small_are_said(pixels):
    scan = Scan(
        regions=(region("A"), region("e", pixels, (20.0, 7.0))),
        frames=(*scan_of(region("A")).frames, *of_role(Role.I0, where=1)),
    )
    found = oxidation_map(Run(scan, (FILLED, EMPTY)).documents(), REFERENCES)
    words = "pixel" if pixels == (1, 1) else "pixels"
    assert f"(region 'e', {pixels[0]} {words}) give no I0: they have too few" in found.message


def test_a_region_without_a_line_and_one_with_one_are_said_in_words():
    two = Run(scan_of(region("left"), region("right")), (*Run(scan_of()).particles,) * 2)
    found = oxidation_maps(two.documents(two.lines()[:24]), REFERENCES)
    assert found["right"].message == "None of its images has data."
    assert "energies have no data" in found["left"].message
    assert "1 energies" not in found["left"].message and "1 energy" in found["left"].message


def test_one_reference_spectrum_makes_no_map_and_says_why():
    run = Run(scan_of())
    one = References(("Mn4+",), REFERENCES.energies, REFERENCES.spectra[:1], "OD", "made")
    said = r"references hold one spectrum \(Mn4\+\); a map of a fraction needs two"
    with pytest.raises(ValueError, match=said):
        oxidation_map(run.documents(), one)
    live = OxidationMap(one, rate=1e6)
    play(live, run.documents())
    assert "references hold one spectrum" in live.snapshot.message
