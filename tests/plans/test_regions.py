"""Several regions, zones and scans measured again, on the simulated beamline."""

from __future__ import annotations

import numpy as np
import pytest
from bluesky import Msg
from bluesky import preprocessors as bpp
from bluesky.utils import RunEngineInterrupted

from redoxscope.documents import LineStatus
from redoxscope.plans import energy_stack, execute
from redoxscope.scan import Scan, stack_scan
from redoxscope.testing import Documents, validate_run

from .test_input import values

A = {"name": "A", "center": [0.0, 0.0], "size": [2.0, 3.0], "pixels": [4, 3]}
B = {"name": "B", "center": [3.0, -2.0], "size": [1.0, 2.0], "pixels": [6, 5]}
ENERGIES = [641.0, 640.0]


@pytest.fixture
def documents(RE):
    kept = Documents()
    RE.subscribe(kept)
    return kept


def check(documents, scan):
    """Each line of each frame once, at its energy and place, with beam."""
    documents.validate()
    validate_run(documents)
    for i, region in enumerate(scan.regions):
        nx, ny = region.pixels
        (x0, x1), (y0, y1) = region.extents
        frames = [n for n, frame in enumerate(scan.frames) if frame.region == i]
        rows = list(documents.rows(scan.stream_of(i)).values())
        assert [(r["frame"], r["line"]) for r in rows] == [
            (n, line) for n in frames for line in range(ny)
        ]
        for row in rows:
            assert row["line_status"] in (LineStatus.OK, LineStatus.RETRIED)
            assert row["energy"] == pytest.approx(scan.frames[row["frame"]].energy, abs=0.02)
            np.testing.assert_allclose(row["sample_x"], np.linspace(x0, x1, nx), atol=0.1)
            y = np.linspace(y0, y1, ny)[row["line"]]
            np.testing.assert_allclose(row["sample_y"], y, atol=0.1)
            assert min(row["i0"]) > 0


def test_two_regions_and_a_pause_in_the_second(stxm, RE, documents, safe):
    scan = stack_scan(energies=ENERGIES, regions=[A, B], dwell=0.05)

    paused = []

    def pause_in_the_second(msg):
        if msg.command == "collect" and msg.kwargs["name"] == "B" and not paused:
            paused.append(msg)
            return None, bpp.single_gen(Msg("pause"))
        return None, None

    plan = energy_stack(stxm, energies=ENERGIES, regions=[A, B], dwell=0.05)
    with pytest.raises(RunEngineInterrupted):
        RE(bpp.plan_mutator(plan, pause_in_the_second))
    stxm.scanner.source.abort.set(1).wait(timeout=30)
    assert stxm.shutter.status.get(use_monitor=False, timeout=60) == 0
    RE.resume()
    assert Scan.from_start(documents.start) == scan
    check(documents, scan)
    assert documents.stop["exit_status"] == "success"
    configured = {
        doc["name"]: doc["configuration"]["stxm_scanner"]["data"]
        for doc in documents.named("descriptor")
    }
    assert configured["A"]["stxm_scanner_source_nx"] == 4
    assert configured["B"]["stxm_scanner_source_nx"] == 6
    assert {"stxm_osa_x", "stxm_sample_stage_x"} <= set(configured["B"])
    safe()


def test_a_scan_of_a_run_measured_again_gives_the_same_frames(stxm, RE, documents, safe):
    options = {"zones": [(640, 641, 0.5, 0.05), (641, 642, 1, 0.02)], "dose_check": 640}
    RE(energy_stack(stxm, regions=[B], **options))
    scan = Scan.from_start(documents.start)
    assert [(f.energy, f.dwell, str(f.role)) for f in scan.frames] == [
        (640.0, 0.05, "sample"), (640.5, 0.05, "sample"), (641.0, 0.02, "sample"),
        (642.0, 0.02, "sample"), (640.0, 0.05, "dose_check"),
    ]  # fmt: skip
    check(documents, scan)
    # The dwell is that of the zone: the monitor counts in proportion.
    monitor = [np.mean(row["i0"]) for row in documents.rows().values() if row["line"] == 0]
    assert monitor[1] / monitor[2] == pytest.approx(2.5, rel=0.1)
    assert monitor[4] / monitor[0] == pytest.approx(1.0, rel=0.1)
    first = documents.rows()
    documents.all.clear()
    RE(execute(stxm, scan.to_json()))
    check(documents, scan)
    assert Scan.from_start(documents.start) == scan
    assert list(documents.rows()) == list(first)
    safe()


def test_a_stage_that_is_moved_in_a_pause_does_not_shift_the_region(stxm, RE, documents, safe):
    """What a pause repeats is the raster from where the stage stood before."""
    scan = stack_scan(energies=ENERGIES, regions=[A, B], dwell=0.05)
    prepared = []

    def pause_in_the_second(msg):
        if msg.command == "prepare":
            prepared.append(msg)
            if len(prepared) == 2:
                return None, bpp.single_gen(Msg("pause"))
        return None, None

    plan = energy_stack(stxm, energies=ENERGIES, regions=[A, B], dwell=0.05)
    stage = stxm.sample_stage.x
    try:
        with pytest.raises(RunEngineInterrupted):
            RE(bpp.plan_mutator(plan, pause_in_the_second))
        stage.set(1.0).wait(timeout=30)
        RE.resume()
        check(documents, scan)
        safe()
    finally:
        stage.set(0.0).wait(timeout=30)


def test_regions_far_apart_move_the_coarse_stage(stxm, RE, documents, safe):
    far = {"name": "far", "center": [60.0, 0.0], "size": 1.0, "pixels": 2}
    scan = stack_scan(energies=[640.0, 641.0], regions=[A, far], dwell=0.01)
    try:
        RE(energy_stack(stxm, energies=[640.0, 641.0], regions=[A, far], dwell=0.01))
        check(documents, scan)
        safe()
    finally:
        stxm.sample_stage.x.set(0.0).wait(timeout=30)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (
            {"regions": [A, {**B, "center": [2e4, 0]}]},
            ["region 'B'", "stxm_sample_stage_x", "20000", "10000", "µm"],
        ),
        ({"regions": [A, {**B, "size": 40}]}, ["region 'B'", "stxm_sample_stage_fine", "µm"]),
        (
            {"regions": [A], "i0_region": {**B, "name": "empty", "center": [0, -2e4]}},
            ["region 'empty'", "stxm_sample_stage_y", "-20000"],
        ),
        (
            {"regions": [A, B], "energies": None, "zones": [(640, 641, 1), (641, 642, 1, 20)]},
            ["region 'A'", "stxm_scanner.dwell = 20", "10.0 s"],
        ),
        ({"regions": [A, B], "energies": [640, 1600]}, ["monochromator", "1600", "1100", "eV"]),
    ],
    ids=["far", "wide", "far-i0", "dwell-of-a-zone", "energy"],
)
def test_what_is_outside_is_named_and_nothing_moves(stxm, options, says):
    before = values(stxm)
    with pytest.raises(ValueError) as caught:
        next(energy_stack(stxm, **{"energies": [640.0]} | options))
    for word in says:
        assert word in str(caught.value), str(caught.value)
    assert values(stxm) == before
