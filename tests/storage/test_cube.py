"""A stack as arrays, against the map made of the same run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from redoxscope.callbacks import _room, oxidation_map
from redoxscope.data import References
from redoxscope.scan import Frame, Role
from redoxscope.storage import DocumentLog, stack_cube

from ..callbacks.conftest import Stack, make
from ..callbacks.scan_runs import EMPTY, ENERGIES, REFERENCES, Particle, Run, region, scan_of
from ..callbacks.test_drift import drifting
from .test_maps import composed, stored


def fitted(cube: Any, references: References) -> np.ndarray:
    """Fraction from an unweighted fit to the cube's optical density, pixel by pixel."""
    design = references.design(cube["energy"].values)
    od = cube["od"].values.reshape(len(design), -1)
    coefficients = np.linalg.lstsq(design, od, rcond=None)[0]
    return (coefficients[0] / coefficients[:2].sum(axis=0)).reshape(cube["od"].shape[1:])


@pytest.mark.parametrize("monitored", [False, True])
def test_it_is_what_the_map_is_fitted_to(monitored: bool) -> None:
    stack, references = make(monitored=monitored)
    order = np.random.default_rng(3).permutation(len(stack.energies))
    stack.energies, stack.counts = stack.energies[order], stack.counts[order]
    if stack.monitor is not None:
        stack.monitor = stack.monitor[order]
    cube = stack_cube(stack.documents())
    rising = np.argsort(stack.energies)
    assert cube["counts"].dims == cube["i0"].dims == cube["od"].dims == ("energy", "y", "x")
    np.testing.assert_array_equal(cube["energy"], stack.energies[rising])
    np.testing.assert_array_equal(cube["counts"], stack.counts[rising])
    np.testing.assert_array_equal(cube["order"], rising)
    np.testing.assert_allclose(cube["x"], stack.x)
    np.testing.assert_allclose(cube["y"], stack.y)
    assert {key: cube[key].attrs["units"] for key in ("energy", "x", "y", "dwell", "counts")} == {
        "energy": "eV", "x": "µm", "y": "µm", "dwell": "s", "counts": "counts per pixel",
    }  # fmt: skip
    np.testing.assert_allclose(
        cube["od"], -np.log(cube["counts"].values / cube["i0"].values), atol=1e-5
    )
    want = oxidation_map(stack.documents(), references).result
    np.testing.assert_allclose(
        fitted(cube, references)[want.mask], want.fraction[want.mask], atol=1e-4
    )
    assert cube.attrs["monitored"] is monitored
    if monitored:
        assert np.ptp(cube["i0"].values[0]) > 0  # follows the monitor, pixel by pixel


def test_dead_time_and_dark_are_taken_off() -> None:
    before = (Frame(float(ENERGIES[0]), 1e-3, 0, Role.DARK),)
    run = Run(scan_of(region("A"), before=before), dark=2e5, dead_time=2e-8)
    cube = stack_cube(run.documents())
    observed = cube["counts"].values
    true = observed / (1 - observed * 2e-8 / 1e-3) - 200.0
    np.testing.assert_allclose(cube["od"], -np.log(true / cube["i0"].values), atol=2e-3)
    blank = cube["od"].values[:, :3, :3]
    assert abs(float(blank.mean())) < 0.01


def test_a_run_under_way_in_its_log(tmp_path: Path) -> None:
    """From the file that is being written, its last line half there."""
    stack, _ = make()
    log = DocumentLog(tmp_path)
    documents = list(stack.documents())
    for name, doc in documents[: 2 + 24 * 7 + 5]:  # seven images and five lines
        log(name, doc)
    with log.path("run").open("ab") as file:
        file.write(b'{"name":"event_page","doc":{"descr')
    for cube in (stack_cube(log), stack_cube(log.path("run")), stack_cube(str(log.path("run")))):
        assert cube.attrs["lines_done"] == 24 * 7 + 5 and cube.attrs["lines_total"] == 24 * 12
        assert np.isfinite(cube["counts"].values[:7]).all()
        assert np.isfinite(cube["counts"].values[7, :5]).all()
        assert np.isnan(cube["counts"].values[7, 5:]).all()
        assert np.isnan(cube["od"].values[8:]).all()
        assert (cube["line_status"].values[8:] == -1).all()
    log.close()
    with pytest.raises(ValueError, match="no run is in progress"):
        stack_cube(log)
    with pytest.raises(FileNotFoundError, match="no such document log"):
        stack_cube(tmp_path / "other.jsonl")


def test_aborted_in_the_catalog(tmp_path: Path, embedded: Any) -> None:
    run = Run(scan_of(region("left"), region("right", (20, 16))), (Particle(), EMPTY))
    found = stored(tmp_path, embedded, composed(run.documents(run.lines()[:100])))
    with pytest.raises(ValueError, match="the run has maps of 'left', 'right': give region="):
        stack_cube(found)
    left, right = (stack_cube(found, region=name) for name in ("left", "right"))
    assert left["counts"].shape == (12, 24, 30) and right["counts"].shape == (12, 16, 20)
    lines = np.isfinite(left["counts"].values).all(axis=2)
    assert lines.sum() + np.isfinite(right["counts"].values).all(axis=2).sum() == 100
    again = stack_cube(run.documents(run.lines()[:100]), region="left")
    np.testing.assert_array_equal(left["od"], again["od"])
    missing = [doubt for doubt in left.attrs["doubts"] if doubt["kind"] == "missing"]
    assert missing and missing[0]["value"] > 0 and "no data" in missing[0]["text"]


def test_missed_lines_are_no_zeros() -> None:
    stack, _ = make()
    documents = list(stack.documents())
    documents[2 + 30] = stack.line(1, 6, missed=True)
    cube = stack_cube(documents)
    assert np.isnan(cube["counts"].values[1, 6]).all() and np.isnan(cube["i0"].values[1, 6]).all()
    assert cube["line_status"].values[1, 6] == 2


def test_lines_whose_beam_changed_keep_their_counts() -> None:
    run = Run(scan_of(region("A")))
    run.counts[7][16:] = np.round(0.8 * run.counts[7][16:])
    cube = stack_cube(run.documents(), REFERENCES)
    out = cube["left_out"].values
    assert out[7, 16:].any()
    np.testing.assert_array_equal(cube["counts"], run.counts)
    assert (np.isnan(cube["od"].values).all(axis=2) == out).all()
    assert (np.isnan(cube["i0"].values).all(axis=2) == out).all()
    assert (cube["line_status"].values == 0).all()


def test_how_far_the_map_moves_each_image_is_said() -> None:
    run, _ = drifting(2.5)
    cube = stack_cube(run.documents(), REFERENCES)
    drift = oxidation_map(run.documents(), REFERENCES).drift
    assert drift is not None and drift.undone
    np.testing.assert_array_equal(cube["shift_y"], drift.shifts[:, 0])
    np.testing.assert_array_equal(cube["shift_x"], drift.shifts[:, 1])
    np.testing.assert_array_equal(cube["counts"], run.counts)  # as they were taken
    still = stack_cube(Run(scan_of(region("A"))).documents(), REFERENCES)
    assert not still["shift_y"].values.any() and not still["left_out"].values.any()


def test_too_large_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    stack, _ = make()
    monkeypatch.setattr(_room, "available_bytes", lambda: 1000)
    with pytest.raises(ValueError, match="the cube of run run needs 0.000104 GB, and 1e-06 GB"):
        stack_cube(stack.documents())


def test_no_stack_is_said() -> None:
    with pytest.raises(ValueError, match="no energy stack"):
        stack_cube([("start", {"uid": "r", "plan_name": "count"})])


def test_the_measured_fe_stack(toner: Path) -> None:
    """A real one: the map of it is the fit to its cube."""
    with h5py.File(toner) as file:
        counts, energies = file["counts"][::4, 40:104, 40:120], file["energy"][::4]
        table = np.stack([file["oxidized"][:, 1], file["reduced"][:, 1]])
        references = References(("Fe3+", "Fe2+"), file["energy"][:], table, "OD", "measured")
        i0 = file["energy"][:], file["i0"][:, 1] * file["dwell"][()]
        dwell = float(file["dwell"][()])
    _, ny, nx = counts.shape
    stack = Stack(
        counts.astype(float), energies, 0.05 * np.arange(nx), 0.05 * np.arange(ny), dwell=dwell
    )
    cube = stack_cube(stack.documents(), i0=i0)
    want = oxidation_map(stack.documents(), references, i0=i0).result
    np.testing.assert_allclose(cube["i0"].values[:, 0, 0], np.interp(energies, *i0), rtol=1e-5)
    np.testing.assert_allclose(
        fitted(cube, references)[want.mask], want.fraction[want.mask], atol=1e-3
    )
    assert want.n_mask > 200


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"blank": 3}, "blank has shape ()"),
        ({"blank": np.zeros((24, 30), bool)}, "blank is true nowhere"),
        ({"blank": {"left": np.ones((24, 30), bool)}}, "blank is given for 'left'"),
        ({"area": np.ones((3, 3), bool)}, "area has shape (3, 3)"),
        ({"i0": "images"}, "the run has no image of the empty beam"),
        ({"i0": ([100.0, 200.0], [1.0, 2.0])}, "i0 "),
    ],
    ids=["number", "nowhere", "elsewhere", "area", "no-images", "other-energies"],
)
def test_what_does_not_fit_the_images_is_no_cube(options: dict[str, Any], says: str) -> None:
    """Rather than one with another I0 than the one that was asked for."""
    stack, _ = make()
    with pytest.raises(ValueError, match=re.escape(says)):
        stack_cube(stack.documents(), **options)


def test_a_blank_holds_without_references() -> None:
    """What the sample is made of, nobody need know for its optical density."""
    stack, references = make()
    blank = np.zeros((24, 30), bool)
    blank[:2, :3] = True
    far = np.array([100.0, 101.0, 102.0])
    other = References(("a", "b"), far, np.array([[1, 2, 1], [2, 1, 2.0]]), "OD", "elsewhere")
    wanted = stack_cube(stack.documents(), references, blank=blank)
    np.testing.assert_array_equal(stack_cube(stack.documents(), blank=blank)["i0"], wanted["i0"])
    got = stack_cube(stack.documents(), other, blank=blank)
    np.testing.assert_array_equal(got["i0"], wanted["i0"])
