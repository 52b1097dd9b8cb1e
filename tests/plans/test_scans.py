"""Scans of images as the plans measure them, with fakes: regions, zones, orders, roles, loops."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from bluesky import Msg

from redoxscope.plans import energy_stack, execute, image
from redoxscope.scan import Frame, Outer, Region, Scan, stack_scan
from redoxscope.testing import (
    FakeAxis,
    FakeMicroscope,
    make_engine,
    paused_after,
    run_resuming,
    validate_fly_run,
    validate_run,
)

A = Region((0, 0), 2, (4, 3), "A")
B = {"name": "B", "center": [1.0, 1.0], "size": [1, 2], "pixels": [2, 5]}
BLANK = {"center": [-1, 0], "size": 1, "pixels": 2}


@pytest.fixture
def stxm():
    microscope = FakeMicroscope()
    microscope.rasters = []
    prepare = microscope.scanner.prepare

    def noted(raster):
        microscope.rasters.append(raster)
        return prepare(raster)

    microscope.scanner.prepare = noted
    return microscope


@pytest.fixture
def run():
    """Run a plan; its documents, which keep the contract."""

    def start(plan):
        engine, documents = make_engine()
        engine(plan)
        documents.validate()
        validate_run(documents)
        return documents

    return start


def lines_of(documents, stream="primary"):
    """(frame, line, energy) of each event of a stream."""
    rows = documents.rows(stream).values()
    return [(row["frame"], row["line"], row["energy"]) for row in rows]


def test_each_region_has_a_stream_and_is_visited_at_each_energy(stxm, run):
    documents = run(energy_stack(stxm, energies=[641, 640], regions=[A, B], i0_region=BLANK))
    assert {doc["name"] for doc in documents.named("descriptor")} == {"A", "B", "i0"}
    for i, (name, ny) in enumerate([("A", 3), ("B", 5), ("i0", 2)]):
        assert lines_of(documents, name) == [
            (frame, line, energy)
            for frame, energy in ((i, 641.0), (i + 3, 640.0))
            for line in range(ny)
        ]
    assert [raster.nx for raster in stxm.rasters] == [4, 2, 2] * 2
    shapes = {
        doc["name"]: doc["data_keys"]["transmission"]["shape"]
        for doc in documents.named("descriptor")
    }
    assert shapes == {"A": [4], "B": [2], "i0": [2]}
    start = documents.start
    assert start["num_points"] == 20 and "shape" not in start and "stxm" not in start
    assert [str(frame.role) for frame in Scan.from_start(start).frames[:3]] == [
        "sample", "sample", "i0",
    ]  # fmt: skip


def test_only_what_differs_is_done(stxm, run):
    """The energy moves once for all regions, the raster is written where it changes."""
    run(energy_stack(stxm, energies=[640, 641, 642], regions=[A, B]))
    assert stxm.energy.targets == [640.0, 641.0, 642.0]
    assert len(stxm.rasters) == 6
    stxm.rasters.clear()
    run(energy_stack(stxm, energies=[642, 641, 640], pixels=3))
    assert len(stxm.rasters) == 1


def test_zones_have_their_own_dwell(stxm, run):
    zones = [(640, 642, 1), (642, 643, 0.5, 0.02), {"start": 643, "stop": 645, "step": 2}]
    documents = run(energy_stack(stxm, zones=zones, pixels=2, dwell=0.001))
    scan = Scan.from_start(documents.start)
    assert [(f.energy, f.dwell) for f in scan.frames] == [
        (640, 0.001), (641, 0.001), (642, 0.02), (642.5, 0.02), (643, 0.001), (645, 0.001),
    ]  # fmt: skip
    assert [raster.dwell for raster in stxm.rasters] == [0.001, 0.02, 0.001]
    assert [energy for _, line, energy in lines_of(documents) if line == 0] == [
        640, 641, 642, 642.5, 643, 645,
    ]  # fmt: skip
    assert "stxm" not in documents.start and documents.start["shape"] == [6, 2, 2]


@pytest.mark.parametrize("energies", list(itertools.permutations([640.0, 641.0, 643.0])))
def test_any_order(stxm, run, energies):
    documents = run(energy_stack(stxm, energies=energies, pixels=2))
    assert [energy for _, line, energy in lines_of(documents) if line == 0] == list(energies)
    assert documents.start["stxm"]["energies"] == list(energies)
    assert documents.start["extents"][0] == [640.0, 643.0]


def test_a_dose_check_measures_again(stxm, run):
    documents = run(energy_stack(stxm, energies=[640, 641], pixels=(3, 2), dose_check=640))
    assert lines_of(documents) == [
        (0, 0, 640.0), (0, 1, 640.0), (1, 0, 641.0), (1, 1, 641.0), (2, 0, 640.0), (2, 1, 640.0),
    ]  # fmt: skip
    scan = Scan.from_start(documents.start)
    assert [str(frame.role) for frame in scan.frames] == ["sample", "sample", "dose_check"]
    assert scan.energies == [640.0, 641.0] and "stxm" not in documents.start


def test_image(stxm, run):
    documents = run(image(stxm, energy=641.5, pixels=3, size=1, center=(2, 1), dwell=0.004))
    scan = stack_scan(energies=[641.5], regions=[Region((2, 1), 1, 3)], dwell=0.004)
    assert Scan.from_start(documents.start) == scan
    assert documents.start["plan_name"] == "image" and "stxm" not in documents.start
    both = run(image(stxm, energy=641.5, regions=[A, B]))
    assert both.start["plan_name"] == "image" and len(lines_of(both, "B")) == 5


def test_other_peoples_viewers_take_a_stack(stxm, run):
    """Where the contract of the ALS can say it, the start document does, and the run keeps it."""
    documents = run(energy_stack(stxm, energies=[641, 640], pixels=(4, 3), size=(2, 3)))
    validate_fly_run(documents)
    assert documents.start["stxm"] == {
        "contract_version": 1, "shape": [2, 3, 4], "energies": [641.0, 640.0], "dwell_ms": 1.0,
        "x_extent": [-0.75, 0.75], "y_extent": [-1.0, 1.0], "x_motor": "sample_x",
        "y_motor": "sample_y", "energy_motor": "energy", "data_field": "transmission",
    }  # fmt: skip


SCAN = stack_scan(
    zones=[(640, 641, 1), (641, 642, 0.5, 0.002)], regions=[A, B], dose_check=641, edge="Mn L3"
)


@pytest.mark.parametrize("form", ["scan", "dict", "text", "file", "start"])
def test_execute_measures_a_scan_again(stxm, run, tmp_path, form):
    path = tmp_path / "scan.json"
    path.write_text(SCAN.to_json(), encoding="utf-8")
    first = run(execute(stxm, SCAN))
    given = {
        "scan": SCAN, "dict": SCAN.as_dict(), "text": SCAN.to_json(), "file": str(path),
        "start": Scan.from_start(json.loads(json.dumps(first.start))),
    }[form]  # fmt: skip
    again = run(execute(stxm, given))
    assert Scan.from_start(again.start) == SCAN
    assert again.start["edge"] == "Mn L3" and again.start["references"]["names"]
    for stream in ("A", "B"):
        assert lines_of(again, stream) == lines_of(first, stream)


LOOPS = stack_scan(
    energies=[640, 641],
    regions=[A],
    outer=[(Outer("temperature", "degC"), [25, 80]), (Outer("tilt", "deg"), [0, 1])],
)


def test_outer_loops_are_set_where_they_change(stxm, run):
    heater, tilt = FakeAxis("heater", limits=(0, 100)), FakeAxis("tilt")
    at = []
    kickoff = stxm.scanner.kickoff
    stxm.scanner.kickoff = lambda: (at.append((heater.position, tilt.position)), kickoff())[1]
    documents = run(execute(stxm, LOOPS, axes={"tilt": tilt, "temperature": heater}))
    assert heater.targets == [25.0, 80.0] and tilt.targets == [0.0, 1.0, 0.0, 1.0]
    assert at == [frame.outer for frame in LOOPS.frames]
    assert len(lines_of(documents)) == LOOPS.lines
    assert documents.start["motors"][:2] == ["temperature", "tilt"]


def labels(plan):
    return [f"{i} {m.command} {getattr(m.obj, 'name', '')}".strip() for i, m in enumerate(plan)]


def two_regions(stxm):
    return energy_stack(stxm, energies=[640, 641], regions=[A, B], dwell=0.01)


LABELS = labels(two_regions(FakeMicroscope()))
FIRST = next(i for i, text in enumerate(LABELS) if text.endswith("checkpoint"))
LAST = next(i for i, text in enumerate(LABELS) if "close_run" in text)


@pytest.mark.parametrize("number", range(FIRST, LAST), ids=LABELS[FIRST:LAST])
def test_a_pause_after_any_message_of_two_regions(stxm, number):
    engine, documents = make_engine()

    def safe():
        assert not stxm.shutter.beam

    assert run_resuming(engine, paused_after(two_regions(stxm), number), safe) == 1
    validate_run(documents)
    assert documents.stop["exit_status"] == "success"
    for i, (stream, ny) in enumerate((("A", 3), ("B", 5))):
        assert lines_of(documents, stream) == [
            (frame, line, energy)
            for frame, energy in ((i, 640.0), (i + 2, 641.0))
            for line in range(ny)
        ]
    assert stxm.scanner.dark == []


@pytest.mark.parametrize("number", range(FIRST, LAST, 5), ids=LABELS[FIRST:LAST:5])
def test_whatever_fails_lines_are_kept_and_it_is_made_safe(stxm, number):
    """With two regions too: what was finished is collected into the stream that it belongs to."""
    engine, documents = make_engine()

    def broken():
        plan = iter(two_regions(stxm))
        msg = next(plan)
        for _ in range(number):
            msg = plan.send((yield msg))
        yield msg
        msg = plan.throw(RuntimeError("it broke"))
        while True:
            msg = plan.send((yield msg))

    with pytest.raises(RuntimeError, match="it broke"):
        engine(broken())
    assert not stxm.shutter.beam and not stxm.scanner._open
    assert documents.stop["exit_status"] == "fail"
    validate_run(documents)


def refused(says, plan, stxm):
    """It raises when made or at its first message, and nothing was sent."""
    with pytest.raises(ValueError) as caught:
        next(iter(plan()))
    for word in says:
        assert word in str(caught.value), str(caught.value)
    assert stxm.energy.targets == [] and stxm.rasters == []


BAD = {
    "zones that overlap": (
        {"zones": [(640, 645, 1), (644, 650, 1)]},
        ["zones[0]", "zones[1]", "overlap", "644 to 645 eV"],
    ),
    "energies and zones": ({"energies": [640], "zones": [(640, 641, 1)]}, ["either energies"]),
    "an energy twice": (
        {"energies": [640, 641, 640]}, ["energies[2]", "640 eV", "twice", "dose_check"],
    ),
    "a dose check of nothing": (
        {"energies": [640], "dose_check": [645]}, ["dose_check = 645 eV", "none of the scan's"],
    ),
    "a dose check in words": ({"energies": [640], "dose_check": "last"}, ["dose_check", "last"]),
    "no region": ({"energies": [640], "regions": []}, ["regions is empty"]),
    "one region": ({"energies": [640], "regions": A}, ["regions", "must be a list of regions"]),
    "a region in words": ({"energies": [640], "regions": "A"}, ["regions = 'A'", "list"]),
    "a region without pixels": (
        {"energies": [640], "regions": [A, {"center": [0, 0], "size": 1}]},
        ["regions[1] has no 'pixels'"],
    ),
    "two of one name": ({"energies": [640], "regions": [A, A]}, ["two regions are called 'A'"]),
    "regions and a size": (
        {"energies": [640], "regions": [A], "size": 3}, ["size and regions are both given"],
    ),
    "an I0 region in words": ({"energies": [640], "i0_region": "left"}, ["i0_region = 'left'"]),
    "a zone's dwell": ({"zones": [(640, 641, 1, -1)]}, ["zones[0]", "dwell = -1 s"]),
    "an energy outside": (
        {"energies": [640, 2000], "regions": [A, B]}, ["energy = 2000", "1100 eV"],
    ),
    "nothing": ({}, ["edge", "energies", "zones"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_stack_that_makes_no_sense(stxm, name):
    options, says = BAD[name]
    refused(says, lambda: energy_stack(stxm, **options), stxm)


HEATER = FakeAxis("heater", unit="degC", limits=(0, 60))
BAD_SCANS = {
    "no scan": ((7,), {}, ["scan = 7 must be a Scan"]),
    "another version": (({**SCAN.as_dict(), "version": 2},), {}, ["scan version = 2", "version 1"]),
    "points": (
        ({"version": 1, "kind": "points", "points": {"energy": [640], "dwell": 1}},), {},
        ["scan is one of points", "rixs_map", "images"],
    ),
    "exposures": (
        ({"version": 1, "kind": "exposures",
          "exposures": [{"energy": 640, "dwell": 1, "positions": [[0, 0]]}]},), {},
        ["scan is one of exposures", "expose"],
    ),
    "images in the dark": (
        (Scan(regions=(A,), frames=(Frame(640, 1), Frame(640, 1, role="dark"))),), {},
        ["frames[1]", "'dark'", "shutter"],
    ),
    "an unknown edge": (({**SCAN.as_dict(), "edge": "Mn K7"},), {}, ["Mn K7", "Mn L3"]),
    "a loop without axis": (
        (LOOPS,), {"axes": {"temperature": HEATER}}, ["loops over 'tilt' (deg)", "no axis"],
    ),
    "an axis without loop": (
        (SCAN,), {"axes": {"temperature": HEATER}}, ["axes has 'temperature'", "its loops: none"],
    ),
    "an axis that is none": (
        (LOOPS,), {"axes": {"temperature": 5, "tilt": HEATER}}, ["axes['temperature'] = 5"],
    ),
    "a loop that is called as a key of events": (
        (Scan((A,), (Frame(640, 1, outer=(1,)),), outer=(Outer("line", ""),)),),
        {"axes": {"line": HEATER}}, ["loops over 'line'", "take another"],
    ),
    "axes in words": ((LOOPS,), {"axes": "heater"}, ["axes = 'heater' must be a mapping"]),
    "a value outside the axis' limits": (
        (LOOPS,), {"axes": {"temperature": HEATER, "tilt": FakeAxis("tilt")}},
        ["heater = 80 is outside 0 to 60 degC"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_SCANS)
def test_a_scan_that_cannot_be_executed(stxm, name):
    args, options, says = BAD_SCANS[name]
    refused(says, lambda: execute(stxm, *args, **options), stxm)
    assert HEATER.targets == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"energy": "640"}, "energy = '640' must be one number in eV"),
        ({"energy": np.nan}, "energy = nan eV"),
        ({"energy": 0}, "energy = 0 eV must be greater than 0 eV"),
        ({"energy": 640, "dwell": 0}, "dwell = 0 s"),
        ({"energy": 640, "edge": "Mn K7"}, "Mn K7"),
    ],
)
def test_an_image_that_makes_no_sense(stxm, options, says):
    refused([says], lambda: image(stxm, **options), stxm)


def test_what_is_foretold_is_not_measured(stxm):
    sent = []

    def answered():
        plan = iter(two_regions(stxm))
        answer = None
        while True:
            try:
                msg = plan.send(answer)
            except StopIteration:
                return
            sent.append(msg)
            answer = yield msg
            if msg.command == "null" and "scan" in msg.kwargs:
                answer = "told"

    engine, documents = make_engine()
    engine(answered())
    (asked,) = (msg for msg in sent if msg.command == "null")
    assert asked.obj is stxm and asked.kwargs["scan"].lines == 16
    commands = {msg.command for msg in sent}
    assert not commands & {"prepare", "kickoff", "declare_stream", "collect"}
    assert Msg("stop", stxm.scanner) in sent and documents.stop["exit_status"] == "success"
