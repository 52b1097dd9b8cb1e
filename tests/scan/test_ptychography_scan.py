"""Overlapping exposures: places, exposure times, dark frames first."""

from __future__ import annotations

import numpy as np
import pytest

from redoxscope.scan import Exposures, Region, Role, Scan, ptychography_scan

HERE = {"center": (1.0, -2.0), "size": (2.0, 1.0)}
ASKED = {"regions": HERE, "energies": [640, 642], "step": 0.1, "exposures": (0.01, 0.1)}


def made(**changes) -> Scan:
    return ptychography_scan(**(ASKED | changes))


def places(scan: Scan) -> np.ndarray:
    return np.array(next(p for p in scan.exposures if p.role is Role.SAMPLE).positions)


def test_dark_frames_of_each_time_then_the_same_places_at_each_energy():
    scan = made()
    dark, sample = scan.exposures[:2], scan.exposures[2:]
    assert [(p.role, p.times, p.frames) for p in dark] == [
        (Role.DARK, (0.01,), 5), (Role.DARK, (0.1,), 5)
    ]  # fmt: skip
    assert len({place for part in dark for place in part.positions}) == 1
    assert [(p.energy, p.times, p.frames) for p in sample] == [
        (e, (0.01, 0.1), 2 * 200) for e in (640.0, 642.0)
    ]
    assert sample[0].positions == sample[1].positions
    assert scan.regions[0].pixels == (20, 10) and {p.region for p in sample} == {0}
    assert scan.events == 10 + 2 * 400
    assert scan.live_time == pytest.approx(5 * 0.11 + 400 * 0.11)
    assert "dwell 0.01 s to 0.1 s" in repr(scan)
    assert Scan.from_json(scan.to_json()) == scan


def test_places_are_written_once():
    scan = made(energies=[640, 641, 642])
    written = scan.as_dict()["exposures"]
    assert [part["positions"] for part in written[3:]] == [2, 2] and written[1]["positions"] == 0
    again = Scan.from_json(scan.to_json())
    assert again == scan and again.exposures[4].positions is again.exposures[2].positions
    for wrong, words in ((2, "index of no earlier part"), (-1, "whole number"), (0.5, "whole")):
        written[2]["positions"] = wrong
        with pytest.raises(ValueError, match=words):
            Scan.from_dict({**scan.as_dict(), "exposures": written})


def test_several_regions_at_each_energy_and_no_darks():
    far = {**HERE, "center": (9, 9), "name": "B"}
    scan = made(regions=[{**HERE, "name": "A"}, far], dark_frames=0)
    assert [(p.energy, p.region) for p in scan.exposures] == [
        (640.0, 0), (640.0, 1), (642.0, 0), (642.0, 1)
    ]  # fmt: skip
    assert np.mean(scan.exposures[1].positions, axis=0) == pytest.approx([9, 9], abs=0.02)
    assert Scan.from_json(scan.to_json()) == scan


@pytest.mark.parametrize("trajectory", ["jittered-grid", "fermat", "grid"])
def test_places_fill_the_region_without_jumps(trajectory):
    xy = places(made(trajectory=trajectory))
    assert len(xy) == pytest.approx(200, rel=0.05)
    assert (np.abs(xy - [1.0, -2.0]) <= [1.0, 0.5]).all()
    # every spot of the region is near a place, and the stage goes from one to a near one
    x, y = np.meshgrid(np.linspace(0.05, 1.95, 39), np.linspace(-2.45, -1.55, 19))
    spots = np.stack([x.ravel(), y.ravel()], axis=1)
    nearest = np.hypot(*(spots[:, None] - xy[None]).transpose(2, 0, 1)).min(axis=1)
    assert nearest.max() < 0.15
    assert np.median(np.hypot(*np.diff(xy, axis=0).T)) < 0.2


def test_the_jitter_is_that_of_the_seed():
    even, first = places(made(trajectory="grid")), places(made())
    assert (first == places(made())).all() and (first != places(made(seed=1))).any()
    assert 0 < np.abs(first - even).max() <= 0.025 + 1e-6
    assert np.allclose(even, places(made(jitter=0)))
    assert np.allclose(np.diff(even[:20, 0]), 0.1)


def test_a_step_that_does_not_divide_the_region_is_made_smaller():
    scan = made(step=0.3, trajectory="grid")
    assert scan.regions[0].pixels == (7, 4)
    assert np.diff(places(scan)[:7, 0]) == pytest.approx(2 / 7, abs=2e-6)


def test_numbers_of_every_kind():
    scan = made(
        regions=Region((0, 0), 1, 100), energies=np.float32(640), exposures=np.array([0.25, 0.5]),
        step=np.float32(0.5),
    )  # fmt: skip
    assert scan.exposures[-1].times == (0.25, 0.5) and len(places(scan)) == 4
    assert made(exposures=0.5).exposures[-1].dwell == 0.5
    assert made(exposures=[0.5]).exposures[-1].dwell == 0.5
    assert Exposures(640, [0.1, 0.2], [(0, 0)]).dwell == (0.1, 0.2)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exposures": (0.1, 0.01)}, "must rise, the short exposure first: 0.01 s comes after 0.1"),
        ({"exposures": (0.1, 0.1)}, "must rise"),
        ({"exposures": ()}, "exposures has 0 times; 1 to 4"),
        ({"exposures": (1, 2, 3, 4, 5)}, "exposures has 5 times"),
        ({"exposures": (0.1, float("nan"))}, r"exposures\[1\] = nan"),
        ({"exposures": "short"}, "exposures = 'short' must be a list of times in s"),
        ({"exposures": True}, "exposures = True"),
        ({"step": 0}, "step = 0 µm must be greater than 0"),
        ({"step": 1e-4}, "step = 0.0001 µm makes 20000 x 10000 places"),
        ({"trajectory": "spiral"}, "trajectory = 'spiral' is none of jittered-grid"),
        ({"jitter": 0.7}, "jitter = 0.7 must be at least 0 and at most 0.5"),
        ({"seed": -1}, "seed = -1"),
        ({"dark_frames": 10**9}, "dark_frames = .* >= 0 and <= 10000"),
        (
            {
                "regions": {"center": (0, 0), "size": (1000, 0.04)},
                "step": 0.04,
                "trajectory": "fermat",
            },
            "trajectory = .fermat.: a spiral around a region of 1000 x 0.04 µm",
        ),
        ({"energies": []}, "energies is empty"),
        ({"energies": [640, 640]}, r"energies\[1\] = 640 eV is there twice"),
        ({"regions": []}, "regions is empty"),
        ({"regions": "A"}, "region = 'A' must be a Region"),
        ({"regions": {"center": (0, 0)}}, "region has no 'size'"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        made(**changes)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([Exposures(1, 1, [(0, 0)])], r"exposures\[0\] says none of the scan's regions"),
        ([Exposures(1, 1, [(0, 0)], region=1)], "is of region 1; there are 1"),
        ([Exposures(1, 1, [(0, 0)], "dark")], "region 'region' is in no exposure"),
    ],
)
def test_regions_of_exposures_are_there_and_used(parts, words):
    with pytest.raises(ValueError, match=words):
        Scan(regions=({**HERE, "pixels": 3},), exposures=parts)
