"""A scan as data: what it holds, what it refuses, its JSON form."""

from __future__ import annotations

import json

import numpy as np
import pytest

from redoxscope.scan import (
    Exposures,
    Frame,
    Outer,
    Point,
    Region,
    Role,
    Scan,
    as_scan,
    energies_of,
    points_scan,
    stack_scan,
)

A = Region((0, 0), 5, (10, 8), "A")
B = {"center": [20.0, 3.0], "size": [2, 2], "pixels": 6, "name": "B"}

SCANS = {
    "one image": stack_scan(energies=[640], regions=[Region((0, 0), 5, 10)]),
    "stack": stack_scan(
        zones=[(635, 640, 1), (640, 642, 0.5, 0.004)], regions=[A], edge="Mn L3", retries=0
    ),
    "regions, roles": stack_scan(
        energies=[642, 640, 641],
        regions=[A, B],
        i0_region={"center": (9, 9), "size": 1, "pixels": 4},
        dose_check=[640],
    ),
    "outer": stack_scan(
        energies=[640, 641],
        regions=[A],
        outer=[(Outer("temperature", "degC"), [25, 80]), (Outer("polarization", ""), [0, 1])],
    ),
    "points": points_scan(energies=[530, 529, 530], dwell=0.5, passes=3, edge="O K"),
    "uneven points": Scan(points=(Point(530, 1), Point(530, 1, repeat=1), Point(531, 2))),
    "exposures": Scan(exposures=(Exposures(707, 0.1, [(0, 0), (0.1, np.float32(0))], "dark"),)),
}


@pytest.mark.parametrize("name", SCANS)
def test_json_gives_the_same_scan(name, tmp_path):
    scan = SCANS[name]
    again = Scan.from_json(scan.to_json())
    assert again == scan and again.to_json() == scan.to_json()
    path = tmp_path / "scan.json"
    path.write_text(scan.to_json(), encoding="utf-8")
    for source in (scan, scan.as_dict(), str(path), path, scan.to_json()):
        assert as_scan(source) == scan
    assert Scan.from_start({"scan": json.loads(scan.to_json())}) == scan


def test_each_region_is_visited_at_each_energy():
    scan = SCANS["regions, roles"]
    assert [region.name for region in scan.regions] == ["A", "B", "i0"]
    assert [(f.energy, f.region, str(f.role)) for f in scan.frames] == [
        (e, r, role)
        for e in (642.0, 640.0, 641.0)
        for r, role in ((0, "sample"), (1, "sample"), (2, "i0"))
    ] + [(640.0, 0, "dose_check"), (640.0, 1, "dose_check"), (640.0, 2, "i0")]
    assert scan.energies == [642.0, 640.0, 641.0]
    assert scan.lines == 4 * (8 + 6 + 4)
    assert scan.live_time == pytest.approx(4 * (80 + 36 + 16) * 0.001)
    assert [scan.stream_of(i) for i in range(3)] == ["A", "B", "i0"]
    assert scan.region_in("B") == 1 and scan.region_in("primary") is None


def test_one_region_is_in_the_primary_stream():
    scan = SCANS["one image"]
    assert scan.regions[0].name == "region"
    assert scan.stream_of(0) == "primary" and scan.region_in("primary") == 0


def test_outer_loops_are_outside():
    frames = SCANS["outer"].frames
    assert [(*f.outer, f.energy) for f in frames] == [
        (t, p, e) for t in (25.0, 80.0) for p in (0.0, 1.0) for e in (640.0, 641.0)
    ]


def test_passes_are_written_once():
    content = SCANS["points"].as_dict()
    assert content["passes"] == 3 and content["points"]["energy"] == [530.0, 529.0, 530.0]
    assert SCANS["points"].passes == 3 and SCANS["points"].events == 9
    assert "passes" not in SCANS["uneven points"].as_dict()


def test_zones():
    assert energies_of([(635, 638, 1), (638, 639, 0.5, 0.01), (639, 641, 2)], 0.001) == [
        (635.0, 0.001), (636.0, 0.001), (637.0, 0.001), (638.0, 0.01), (638.5, 0.01),
        (639.0, 0.001), (641.0, 0.001),
    ]  # fmt: skip
    assert [e for e, _ in energies_of([(640, 638, 1)], 1)] == [640, 639, 638]
    assert [e for e, _ in energies_of([(640, 641, 0.3)], 1)] == [640, 640.3, 640.6, 640.9, 641]
    later_first = energies_of([{"start": 650, "stop": 652, "step": 1}, (640, 650, 5)], 1)
    assert [e for e, _ in later_first] == [650, 651, 652, 640, 645]


def test_a_long_list_of_zones_is_made_at_once():
    """Only ends are looked for among what is there already; else 50 000 take an hour."""
    listed = energies_of([(200, 700, 0.01), (700, 1200, 0.01)], 0.001)
    assert len(listed) == 100_001 and listed[50_000] == (700.0, 0.001)


LINES = {"version": 1, "kind": "lines", "regions": [A.as_dict()]}
REFUSED = {
    "overlapping zones": (
        lambda: energies_of([(635, 641, 1), (640, 645, 1)], 1),
        r"zones\[0\] \(635 to 641 eV\) and zones\[1\] \(640 to 645 eV\) overlap, from 640 to 641",
    ),
    "a zone within another": (
        lambda: energies_of([(635, 641, 1), (638, 638, 1)], 1), "overlap, from 638 to 638 eV"
    ),
    "the same zone twice": (lambda: energies_of([(1, 2, 1), (1, 2, 1)], 1), "overlap"),
    "no zone": (lambda: energies_of([], 1), "zones is empty"),
    "a zone of one number": (lambda: energies_of([640], 1), r"zones\[0\] = 640 must be \(start"),
    "a zone without end": (
        lambda: energies_of([{"start": 640, "step": 1}], 1), r"zones\[0\] has no 'stop'"
    ),
    "a zone with a wrong key": (
        lambda: energies_of([{"start": 1, "stop": 2, "steps": 1}], 1), "did you mean 'step'"
    ),
    "a zone with step 0": (lambda: energies_of([(1, 2, 0)], 1), "zone step = 0 eV must be greater"),
    "a zone of a million": (lambda: energies_of([(1, 1000, 1e-4)], 1), "0.0001 eV is too small"),
    "a loop twice": (
        lambda: stack_scan(energies=[1], regions=[A], outer=2 * [(Outer("tilt", "deg"), [1])]),
        "two outer loops are called 'tilt'",
    ),
    "a frame twice": (
        lambda: Scan(regions=(A,), frames=(Frame(640, 0.01, 0),) * 2),
        r"frames\[1\]: 640 eV is there twice in region 'A'; give the second the role 'dose_check'",
    ),
    "a region called as results are": (
        lambda: Region((0, 0), 1, 2, "oxidation_map_v2"), "'oxidation_map_v2' is that of results"
    ),
    "an energy twice": (
        lambda: stack_scan(energies=[640, 641, 640], regions=[A]),
        r"energies\[2\] = 640 eV is there twice: each is measured once .*dose_check",
    ),
    "a dose check of nothing": (
        lambda: stack_scan(energies=[640], regions=[A], dose_check=700),
        "dose_check = 700 eV is none of the scan's energies",
    ),
    "a dose check alone": (
        lambda: Scan(regions=(A,), frames=(Frame(640, 1, role="dose_check"),)),
        "a dose check at 640 eV compares with an image of region 'A'",
    ),
    "energies and zones": (
        lambda: stack_scan(energies=[1], zones=[(1, 2, 1)], regions=[A]), "either energies"
    ),
    "neither": (lambda: stack_scan(regions=[A]), "either energies"),
    "no region": (lambda: stack_scan(energies=[1], regions=[]), "regions is empty"),
    "regions of one name": (
        lambda: stack_scan(energies=[1], regions=[A, A]), "two regions are called 'A'"
    ),
    "a region called primary": (
        lambda: Region((0, 0), 1, 1, "primary"), "is that of another stream"
    ),
    "a region called a/b": (lambda: Region((0, 0), 1, 1, "a/b"), "must be at most 40 letters"),
    "a region without size": (
        lambda: stack_scan(energies=[1], regions=[{"center": (0, 0), "pixels": 5}]),
        r"regions\[0\] has no 'size'",
    ),
    "a region with a wrong key": (
        lambda: stack_scan(energies=[1], regions=[{**B, "centre": 1}]), "did you mean 'center'"
    ),
    "a key that is like none": (
        lambda: stack_scan(energies=[1], regions=[{**B, "angle": 1}]),
        r"regions\[0\]: key 'angle' is not known; known are center, size, pixels, name",
    ),
    "one region instead of a list": (
        lambda: stack_scan(energies=[1], regions=B), "must be a list of regions"
    ),
    "a negative width": (
        lambda: stack_scan(energies=[1], regions=[{**B, "size": (-1, 2)}]),
        r"regions\[0\]: region width = -1 µm must be greater than 0 µm",
    ),
    "a region that is not used": (
        lambda: Scan(regions=(A, Region((0, 0), 1, 1, "B")), frames=(Frame(1, 1),)),
        "region 'B' is in no frame",
    ),
    "a region that is not there": (
        lambda: Scan(regions=(A,), frames=(Frame(1, 1, 1),)), "is of region 1; there are 1"
    ),
    "two kinds": (
        lambda: Scan(regions=(A,), frames=(Frame(1, 1),), points=(Point(1, 1),)),
        "has frames and points",
    ),
    "nothing": (lambda: Scan(), "this one has none"),
    "a text for frames": (lambda: Scan(frames="abc"), "frames = 'abc' must be a list"),
    "a number for a frame": (lambda: Scan(frames=(1,)), r"frames\[0\] = 1 must be a Frame"),
    "a truth value for an energy": (lambda: Frame(True, 1), "frame energy = True must be one num"),
    "a dwell of nothing": (lambda: Frame(640, 0), "frame dwell = 0 s must be greater than 0 s"),
    "a role of its own": (lambda: Frame(640, 1, role="sampel"), "did you mean 'sample'"),
    "loops without values": (
        lambda: Scan(regions=(A,), frames=(Frame(1, 1),), outer=(Outer("temperature", "degC"),)),
        r"frames\[0\] has 0 values of outer loops; the scan has 1",
    ),
    "the engine's own stream": (
        lambda: Region((0, 0), 1, 2, "interruptions"), "that of another stream of a run"
    ),
    "another version": (lambda: Scan.from_dict({**LINES, "version": 2}), "reads version 1"),
    "no version": (lambda: Scan.from_dict({"kind": "lines"}), "version = None"),
    "another kind": (lambda: Scan.from_dict({"version": 1, "kind": "line"}), "kind = 'line' must"),
    "an unknown key": (lambda: Scan.from_dict({**LINES, "frame": 1}), "did you mean 'frames'"),
    "no frames": (lambda: Scan.from_dict(LINES), "scan frames = None must be a mapping"),
    "columns of two lengths": (
        lambda: Scan.from_dict({**LINES, "frames": {"energy": [1, 2, 3], "dwell": [1, 2]}}),
        r"columns of different lengths \(energy: 3, dwell: 2\)",
    ),
    "a frame of the file": (
        lambda: Scan.from_dict({**LINES, "frames": {"energy": [1, "x"], "dwell": 1}}),
        r"scan frames\[1\]: frame energy = 'x' must be one number in eV",
    ),
    "passes of a half": (
        lambda: Scan.from_dict({"version": 1, "kind": "points", "passes": 1.5,
                                "points": {"energy": [1], "dwell": 1}}),
        "passes = 1.5 must be a whole number",
    ),
    "too many points": (
        lambda: points_scan(energies=[1, 2], dwell=1, passes=10**6), "passes = 1000000 must be"
    ),
    "passes without end": (
        lambda: Scan.from_json('{"version": 1, "kind": "points", "passes": 1e400, '
                               '"points": {"energy": 530, "dwell": 1}}'),
        "scan passes = inf must be a whole number",
    ),
    "too deep": (lambda: Scan.from_json("[" * 100_000 + "]" * 100_000), "is no JSON"),
    "too many digits": (lambda: Scan.from_json('{"version": ' + "9" * 5000 + "}"), "is no JSON"),
    "nobody's home": (lambda: as_scan("~nobody_is_called_so/a.json"), "cannot be read"),
    "no path": (lambda: as_scan("a\0.json"), "cannot be read"),
    "no JSON": (lambda: as_scan("{'a': 1}"), "is no JSON"),
    "no file": (lambda: as_scan("nowhere/scan.json"), "'nowhere/scan.json' cannot be read"),
    "no scan": (lambda: as_scan(7), "scan = 7 must be a Scan"),
    "a start without": (
        lambda: Scan.from_start({"uid": "abcdefghijk"}), "of run 'abcdefgh' carries no scan"
    ),
    "a start of another version": (
        lambda: Scan.from_start({"uid": "abcdefghijk", "scan": {"version": 9}}),
        "the scan of run 'abcdefgh': scan version = 9",
    ),
    "a position of three": (
        lambda: Exposures(1, 1, [(1, 2, 3)]), r"positions\[0\] = \(1, 2, 3\) must be a pair"
    ),
    "no position": (lambda: Exposures(1, 1, []), "positions is empty"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    make, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        make()


def test_numbers_of_every_kind():
    scan = stack_scan(
        energies=np.array([640, 641], dtype=np.int16),
        regions=[Region(np.float32([0, 0]), np.int8(5), np.int64(10))],
        dwell=np.float32(0.5),
    )
    assert scan.frames[0] == Frame(640.0, 0.5) and scan.regions[0].pixels == (10, 10)
    json.dumps(scan.as_dict(), allow_nan=False)
    assert Role(scan.frames[0].role) is Role.SAMPLE


def test_a_scan_at_the_prompt_is_one_line():
    scan = stack_scan(
        zones=[(635, 640, 1), (640, 650, 0.5, 0.002)],
        regions=[{**B, "name": "left"}, {**B, "name": "right"}],
        dose_check=642.0,
        edge="Mn L3",
    )
    assert repr(scan) == (
        f"<Scan of images: 54 at 26 energies, 635 to 650 eV; dwell 0.001 s to 0.002 s; "
        f"regions left, right; with dose_check; edge Mn L3; live time {scan.live_time:g} s>"
    )
