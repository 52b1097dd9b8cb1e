"""A file of another microscope is a run like any other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from redoxscope.callbacks import oxidation_map
from redoxscope.cli import app
from redoxscope.documents import LineStatus
from redoxscope.formats import FormatError, ImageStack, StxmFile, read_stxm
from redoxscope.scan import Frame, Outer, Role, Scan
from redoxscope.sim import MeasuredStack
from redoxscope.storage import run_documents, stack_cube
from redoxscope.storage.nxstxm import NxstxmRecorder
from redoxscope.stxm_files import import_stxm, stack_documents, write_sample
from redoxscope.testing import validate_run

from ..callbacks.scan_runs import EMPTY, ENERGIES, REFERENCES, Particle, Run, region, scan_of
from ..storage.conftest import embedded, home  # noqa: F401  fixtures

DATA = Path(__file__).parents[3] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no ../shared/data")


def file_of(run: Run, folder: Path, dwell: float | np.ndarray = 1e-3) -> StxmFile:
    """What a run would be in a file of another microscope."""
    stacks = []
    for i, one in enumerate(run.scan.regions):
        (x0, x1), (y0, y1) = one.extents
        nx, ny = one.pixels
        frames = [k for k, frame in enumerate(run.scan.frames) if frame.region == i]
        stacks.append(
            ImageStack(
                one.name, np.array([run.scan.frames[k].energy for k in frames]),
                np.linspace(x0, x1, nx), np.linspace(y0, y1, ny),
                np.array([run.counts[k] for k in frames]),
                np.broadcast_to(dwell, len(frames)),
                np.array([run.monitor[k] for k in frames]) if run.monitored else None,
            )
        )  # fmt: skip
    path = folder / "other.nxs"
    path.touch()
    return StxmFile(path, "other", "PMT", ("PMT",), tuple(stacks))


def test_the_map_is_that_of_the_run(tmp_path: Path) -> None:
    run = Run(scan_of(region("A")), monitored=True)
    documents = list(stack_documents(file_of(run, tmp_path)))
    validate_run(documents)
    wanted = oxidation_map(run.documents(), REFERENCES).result
    found = oxidation_map(documents, REFERENCES).result
    np.testing.assert_array_equal(found.fraction, wanted.fraction)
    np.testing.assert_array_equal(found.sigma, wanted.sigma)


def test_i0_of_its_own_measurement(tmp_path: Path) -> None:
    run = Run(scan_of(region("A")))
    documents = list(stack_documents(file_of(run, tmp_path)))
    spectrum = (ENERGIES, np.full(len(ENERGIES), 3e3))
    wanted = stack_cube(run.documents(), i0=spectrum)
    found = stack_cube(documents, i0=spectrum)
    np.testing.assert_array_equal(found["od"], wanted["od"])
    assert not np.allclose(stack_cube(documents)["od"], wanted["od"])  # as found in the image


def test_i0_of_a_run_of_an_empty_place(tmp_path: Path) -> None:
    run, empty = Run(scan_of(region("A"))), Run(scan_of(region("A")), (EMPTY,), seed=3)
    documents, beam = (list(stack_documents(file_of(one, tmp_path))) for one in (run, empty))
    wanted = oxidation_map(run.documents(), REFERENCES, i0=list(empty.documents())).result
    found = oxidation_map(documents, REFERENCES, i0=beam).result
    np.testing.assert_array_equal(found.fraction, wanted.fraction)
    assert abs(float(np.nanmean(found.fraction[found.mask])) - 0.4) < 0.02


def test_dwells_and_regions(tmp_path: Path) -> None:
    run = Run(scan_of(region("a"), region("b", (9, 1))), (Particle(), Particle()))
    dwell = np.linspace(1e-3, 2e-3, len(ENERGIES))
    documents = list(stack_documents(file_of(run, tmp_path, dwell)))
    validate_run(documents)
    scan = Scan.from_start(documents[0][1])
    assert [r.pixels for r in scan.regions] == [(30, 24), (9, 1)]
    np.testing.assert_allclose([f.dwell for f in scan.frames], [*dwell, *dwell])
    np.testing.assert_allclose(scan.regions[0].extents, run.scan.regions[0].extents)


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    found = file_of(Run(scan_of(region("A", (7, 5)))), tmp_path)
    counts = found.stacks[0].counts
    counts[3, 2], counts[4, 1, 3:], counts[10, 3:], counts[11] = (np.nan,) * 4
    documents = list(stack_documents(found))
    validate_run(documents)
    stop = documents[-1][1]
    assert stop["exit_status"] == "abort" and "the imported file ends" in stop["reason"]
    assert stop["num_events"] == {"primary": 10 * 5 + 3}
    status = stack_cube(documents)["line_status"].values
    assert status[3, 2] == LineStatus.MISSED and status[4, 1] == LineStatus.DISTURBED
    assert (status[10] == [0, 0, 0, -1, -1]).all() and (status[11] == -1).all()


def test_an_energy_that_comes_again_is_a_dose_check(tmp_path: Path) -> None:
    found = file_of(Run(scan_of(region("A", (7, 5)))), tmp_path)
    found.stacks[0].energy[5] = found.stacks[0].energy[4]
    scan = Scan.from_start(next(stack_documents(found))[1])
    assert [i for i, f in enumerate(scan.frames) if f.role is Role.DOSE_CHECK] == [5]


def test_the_same_file_is_the_same_run(tmp_path: Path) -> None:
    found = file_of(Run(scan_of(region("A", (7, 5)))), tmp_path)

    def uid(file: StxmFile, **options: Any) -> str:
        return str(next(stack_documents(file, **options))[1]["uid"])

    first = uid(found)
    assert uid(found) == first
    assert uid(found, edge="Mn L3") != first and uid(found, md={"a": 1}) != first
    found.stacks[0].counts[0, 0, 0] += 1
    assert uid(found) != first


@needs_data
def test_the_real_stack_gives_its_map() -> None:
    """The same numbers by the file and by documents; the map's are those of the data's README."""
    from redoxscope.data import references_from_h5

    path = DATA / "toner_fe_l" / "71214078.h5"
    documents = list(stack_documents(read_stxm(path)))
    found = oxidation_map(documents, references_from_h5(path)).result
    shown = found.fraction[found.mask]
    assert abs(len(shown) - 2449) < 60
    assert abs(shown.mean() - 0.741) < 0.01 and abs(shown.std() - 0.289) < 0.02


def test_our_own_file_comes_back(tmp_path: Path) -> None:
    run = Run(scan_of(region("left"), region("right", (20, 16))), (Particle(0.7), Particle(0.2)),
              monitored=True)  # fmt: skip
    documents = list(run.documents())
    recorder = NxstxmRecorder(tmp_path / "a.nxs", documents[0][1])
    for name, doc in documents:
        recorder(name, {"time": 1.7e9, **doc} if name == "stop" else doc)
    found = read_stxm(tmp_path / "a.nxs")
    assert [stack.name for stack in found.stacks] == ["left", "right"]
    again = list(stack_documents(found))
    for name in ("left", "right"):
        wanted = stack_cube(documents, region=name)
        got = stack_cube(again, region=name)
        for key in ("counts", "od", "energy", "dwell"):
            np.testing.assert_array_equal(got[key], wanted[key])
        np.testing.assert_allclose(got["x"], wanted["x"])


def test_regions_of_our_own_file_say_which_loop_they_are_of(tmp_path: Path) -> None:
    frames = [
        Frame(float(e), 1e-3, 0, Role.SAMPLE, (t,)) for t in (20.5, 300.0) for e in ENERGIES[:3]
    ]
    loops = (Outer("temperature", "degC"),)
    run = Run(Scan(regions=(region("left"),), frames=tuple(frames), outer=loops), (Particle(),))
    documents = list(run.documents())
    recorder = NxstxmRecorder(tmp_path / "a.nxs", documents[0][1])
    for name, doc in documents:
        recorder(name, {"time": 1.7e9, **doc} if name == "stop" else doc)
    start = next(stack_documents(read_stxm(tmp_path / "a.nxs")))[1]
    assert [one.name for one in Scan.from_start(start).regions] == [
        "left_temperature_20_5_degC", "left_temperature_300_degC",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["dose", "primary"])
def test_a_region_that_may_not_be_called_so_has_a_number(tmp_path: Path, name: str) -> None:
    found = file_of(Run(scan_of(region("A"))), tmp_path)
    found = replace(found, stacks=tuple(replace(stack, name=name) for stack in found.stacks))
    start = next(stack_documents(found))[1]
    assert [one.name for one in Scan.from_start(start).regions] == ["region_1"]


def test_a_sample_of_the_simulated_beamline(tmp_path: Path) -> None:
    run = Run(scan_of(region("A")))
    dwell = np.linspace(1e-3, 2e-3, len(ENERGIES))
    found = file_of(run, tmp_path, dwell)
    found.stacks[0].counts[3, 2] = np.nan
    (left,) = write_sample(found, tmp_path / "sample.h5")
    assert left.startswith(f"{ENERGIES[3]:g} eV is left out")
    sample = MeasuredStack(tmp_path / "sample.h5")
    np.testing.assert_allclose(sample.dwells_s, np.delete(dwell, 3))
    stack = found.stacks[0]
    line = sample.line(ENERGIES[5], None, stack.x, stack.y[7], dwell[5], 0.0)
    np.testing.assert_array_equal(line["transmission"], run.counts[5][7])
    with pytest.raises(ValueError, match="at which sample.h5 was measured"):
        sample.line(ENERGIES[5], None, stack.x, stack.y[7], dwell[0], 0.0)


def test_samples_that_are_refused(tmp_path: Path) -> None:
    run = Run(scan_of(region("a"), region("b", (9, 1))), (Particle(), Particle()))
    found = file_of(run, tmp_path)
    for asked, words in ((None, "regions a, b: name one"), ("c", "no region 'c'"), ("b", "two")):
        with pytest.raises(FormatError, match=words):
            write_sample(found, tmp_path / "sample.h5", region=asked)
    assert not (tmp_path / "sample.h5").exists()


def test_into_the_catalog(tmp_path: Path, embedded: Any, home: Path) -> None:  # noqa: F811
    run = Run(scan_of(region("A", (9, 8))))
    found = file_of(run, tmp_path)
    report = import_stxm(found, embedded, sample="electrode 7", md={"batch": 3})
    assert report.status == "stored" and report.lines == 12 * 8
    stored = embedded[report.uid]
    start = stored.metadata["start"]
    assert start["imported"]["file"] == "other.nxs" and start["sample"] == "electrode 7"
    assert start["batch"] == 3
    cube = stack_cube(list(run_documents(stored)))
    np.testing.assert_array_equal(cube["counts"], run.counts)
    again = import_stxm(found, embedded, sample="electrode 7", md={"batch": 3})
    assert again.status == "present" and again.uid == report.uid
    with pytest.raises(ValueError, match="which the plan writes itself"):
        import_stxm(found, embedded, md={"scan": 1})
    with pytest.raises(ValueError, match="edge"):
        import_stxm(found, embedded, edge="Xx K9")


@needs_data
def test_the_command(tmp_path: Path) -> None:
    out = tmp_path / "sample.h5"
    path = str(DATA / "stxm_files" / "71214078.hdr")
    result = CliRunner().invoke(app, ["import", path, "--as-sample", str(out)])
    assert result.exit_code == 0, result.output
    assert "4 images of 125 x 125 pixels" in result.output
    assert "119 of 123 images are not there" in result.output
    with h5py.File(out) as file:
        assert file["counts"].shape == (4, 125, 125)
        np.testing.assert_allclose(file["dwell"], 0.433)


@needs_data
def test_the_command_into_the_catalog(embedded: Any, home: Path) -> None:  # noqa: F811
    path = str(DATA / "stxm_files" / "small_diamond_nxs.nxs")
    result = CliRunner().invoke(app, ["import", path, "--sample", "cell"])
    assert result.exit_code == 0, (result.output, result.exception)
    assert "8 images of 6 x 7 pixels, 278 to 282.2 eV, Counter1" in result.output
    assert "taken as mm" in result.output and "It is run" in result.output
    uid = result.output.split("It is run ")[1].split(";")[0]
    assert embedded[uid].metadata["start"]["sample"] == "cell"
    again = CliRunner().invoke(app, ["import", path, "--sample", "cell"])
    assert f"It was imported before, as run {uid}" in again.output
