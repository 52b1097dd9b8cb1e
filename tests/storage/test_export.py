"""Files of a run: read back by what other programs read them with."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

import redoxscope.storage
from redoxscope.callbacks import Result, oxidation_map, oxidation_maps
from redoxscope.cli import app
from redoxscope.storage import StoredResults, export_run, stack_cube, store_results
from redoxscope.storage.export import _content
from redoxscope.storage.export._content import Content
from redoxscope.storage.export._hdf5 import write_hdf5
from redoxscope.storage.export._tiff import write_tiff
from redoxscope.storage.results._datasets import datasets

from ..callbacks.scan_runs import REFERENCES, Particle, Run, region, scan_of
from .conftest import stack_documents
from .test_maps import composed, stored
from .test_results import put


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory, embedded: Any) -> Any:
    """A stack of one region with its map, made a second time with another I0."""
    run = Run(scan_of(region("A")))
    found = stored(tmp_path_factory.mktemp("log"), embedded, composed(run.documents()))
    uid = found.metadata["start"]["uid"]
    store_results(embedded, uid, oxidation_map(found, REFERENCES))
    store_results(embedded, uid, oxidation_map(found, REFERENCES, max_od=1.0))
    return embedded[uid]


def test_a_map_stored_by_hand_is_the_map(mapped: Any) -> None:
    snapshot = oxidation_map(mapped, REFERENCES)
    first = mapped["oxidation_map"]
    np.testing.assert_array_equal(first["fraction"].read(), snapshot.result.fraction)
    np.testing.assert_array_equal(first["mask"].read(), snapshot.result.mask)
    np.testing.assert_array_equal(first["area_od"].read(), snapshot.spectrum.od)
    attrs = first.metadata["attrs"]
    assert attrs["references"]["digest"] == REFERENCES.digest()
    assert attrs["references"]["names"] == ["Mn4+", "Mn3+"]
    assert attrs["parameters"]["i0"] == "blank" and attrs["parameters"]["max_od"] is None
    assert mapped["oxidation_map_v2"].metadata["attrs"]["parameters"]["max_od"] == 1.0


def test_hdf5(mapped: Any, tmp_path: Path) -> None:
    (path,) = export_run(mapped, folder=tmp_path / "new")
    cube = stack_cube(mapped)
    assert path.name.endswith(f"{mapped.metadata['start']['uid'][:8]}.h5")
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["stack/od"], cube["od"])
        assert [dim.label for dim in file["stack/od"].dims] == ["energy", "y", "x"]
        np.testing.assert_array_equal(file["stack/od"].dims[0]["energy"], cube["energy"])
        assert file["stack/energy"].attrs["units"] == "eV"
        fraction = mapped["oxidation_map"]["fraction"].read()
        np.testing.assert_array_equal(file["results/oxidation_map/fraction"], fraction)
        assert "results/oxidation_map_v2/fraction" in file
        assert file["streams/primary/transmission"].shape == (12 * 24, 30)
        said = json.loads(file["results/oxidation_map"].attrs["references"])
        assert said["digest"] == REFERENCES.digest()
        assert json.loads(file.attrs["stop"])["exit_status"] == "success"


def test_tiff(mapped: Any, tmp_path: Path) -> None:
    paths = {path.name[9:]: path for path in export_run(mapped, "tiff", tmp_path)}
    cube, newest = stack_cube(mapped), mapped["oxidation_map_v2"]
    with tifffile.TiffFile(paths["od.tif"]) as file:
        np.testing.assert_array_equal(file.asarray(), cube["od"])
        said = file.imagej_metadata
        assert said is not None and said["unit"] == "um"
        assert said["Labels"][0] == "636 eV" and len(said["Labels"]) == 12
        across, of = file.pages[0].tags["XResolution"].value
        np.testing.assert_allclose(of / across, np.diff(cube["x"]).mean(), rtol=1e-5)
    fraction = tifffile.imread(paths["oxidation_map_fraction.tif"])
    np.testing.assert_array_equal(fraction, newest["fraction"].read().astype(np.float32))
    mask = tifffile.imread(paths["oxidation_map_mask.tif"])
    np.testing.assert_array_equal(mask == 255, newest["mask"].read())
    (told,) = tmp_path.glob("*.json")
    said = json.loads(told.read_text("utf-8"))
    assert said["results"]["oxidation_map"][""]["version"] == 2
    assert isinstance(said["results"]["oxidation_map"][""]["doubts"], list)
    assert said["start"]["plan_name"] == "stxm_energy_stack"


def test_each_form_may_lie_beside_the_others(mapped: Any, tmp_path: Path) -> None:
    paths = [
        path for form in ("hdf5", "tiff", "csv") for path in export_run(mapped, form, tmp_path)
    ]
    assert len(set(paths)) == len(paths) == len(list(tmp_path.iterdir()))


def test_csv(mapped: Any, tmp_path: Path) -> None:
    paths = {path.name[9:]: path for path in export_run(mapped, "csv", tmp_path)}
    with paths["oxidation_map_area_energy.csv"].open(newline="", encoding="utf-8") as file:
        head, *rows = csv.reader(file)
    assert head[:3] == ["area_energy (eV)", "area_od", "area_od_sigma"]
    values = np.array(rows, dtype=float)
    np.testing.assert_array_equal(values[:, 1], mapped["oxidation_map_v2"]["area_od"].read())
    assert "oxidation_map_energy.csv" in paths and "oxidation_map_y.csv" in paths


def test_regions_have_files_of_their_own(tmp_path: Path, embedded: Any) -> None:
    run = Run(scan_of(region("left"), region("right", (20, 16))), (Particle(), Particle(0.8)))
    found = stored(tmp_path, embedded, composed(run.documents()))
    uid = found.metadata["start"]["uid"]
    maps = oxidation_maps(found, REFERENCES)
    store_results(embedded, uid, maps)
    names = {path.name[9:] for path in export_run(embedded[uid], "tiff", tmp_path / "t")}
    assert {"left_od.tif", "right_od.tif", "left_oxidation_map_fraction.tif"} <= names
    (path,) = export_run(embedded[uid], "hdf5", tmp_path)
    with h5py.File(path) as file:
        assert file["stack/right/od"].shape == (12, 16, 20)
        np.testing.assert_array_equal(
            file["results/oxidation_map/right/fraction"], maps["right"].result.fraction
        )


def test_a_run_that_is_no_stack(tmp_path: Path, embedded: Any) -> None:
    run = put(tmp_path, embedded, stack_documents(plan_name="count"))
    with pytest.raises(ValueError, match="has nothing that goes into csv: no results are stored"):
        export_run(run, "csv", tmp_path)
    uid = run.metadata["start"]["uid"]
    store_results(embedded, uid, [Result("scan_image", "counts", np.ones((2, 3)), ("y", "x"))])
    why = (
        r"goes into csv: none of its results \(scan_image\) is a spectrum or a yield; hdf5 has all"
    )
    with pytest.raises(ValueError, match=why):
        export_run(embedded[uid], "csv", tmp_path)
    energies = np.array([640.0, 641.0])
    spectrum = Result(
        "yields", "tfy", np.array([1.0, 3.0]), ("energy",), coords={"energy": energies},
        units={"energy": "eV"}, unit="1/s",
    )  # fmt: skip
    store_results(embedded, run.metadata["start"]["uid"], [spectrum])
    run = embedded[run.metadata["start"]["uid"]]
    table, _ = export_run(run, "csv", tmp_path)
    assert table.read_text("utf-8").splitlines() == [
        "energy (eV),tfy (1/s)",
        "640.0,1.0",
        "641.0,3.0",
    ]
    (path,) = export_run(run, "hdf5", tmp_path)
    with h5py.File(path) as file:
        assert "stack" not in file and file["streams/primary/transmission"].shape == (10, 20)


def test_nothing_is_overwritten_unasked(mapped: Any, tmp_path: Path) -> None:
    (path,) = export_run(mapped, "hdf5", tmp_path)
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="is there already: give another folder"):
        export_run(mapped, "hdf5", tmp_path)
    assert path.read_text() == "mine"
    export_run(mapped, "hdf5", tmp_path, overwrite=True)
    assert h5py.is_hdf5(path) and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("form", ["tif", "", None])
def test_other_forms_are_refused(form: Any) -> None:
    with pytest.raises(ValueError, match="must be one of hdf5, tiff, csv"):
        export_run(object(), form)


def test_on_the_command_line(
    mapped: Any, embedded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redoxscope.storage, "open_catalog", lambda *_, **__: embedded)
    uid = mapped.metadata["start"]["uid"]
    said = CliRunner().invoke(app, ["export", uid[:8], "--out", str(tmp_path)])
    assert said.exit_code == 0 and said.output.strip().endswith(".h5")
    assert Path(said.output.strip()).exists()
    wrong = CliRunner().invoke(app, ["export", uid, "--format", "png"])
    assert "--format png is none of hdf5, tiff, csv" in str(wrong.exception)
    gone = CliRunner().invoke(app, ["export", "99999"])
    assert "run '99999' is not in the catalog" in str(gone.exception)
    listed = CliRunner().invoke(app, ["runs", "--last", "3", "--plan", "stxm_energy_stack"])
    assert listed.exit_code == 0 and listed.output.splitlines()[0].startswith("scan  uid")


def test_parts_that_are_called_alike_have_files_of_their_own(tmp_path: Path) -> None:
    """Where a name has signs that a file's cannot have, or differs in case only."""
    x = np.array([0.0, np.nan])
    of = {"dims": ("y", "x"), "coords": {"y": x, "x": x}, "units": {"y": "µm", "x": "µm"}}
    names = ["+5 eV", "5 eV", "5_eV", "A", "a", "°", ".", ".."]
    results = [
        Result("found", "map", np.full((2, 2), float(i)), part=name, unit="", **of)
        for i, name in enumerate(names)
    ]
    content = Content("uid", "00001_uid", {"operator": "a\0b", "big": 2**70}, {}, {}, (), {
        (StoredResults("found", 1, "found", tuple(names), "", ""), part): dataset
        for part, dataset in datasets(results).items()
    })  # fmt: skip
    plan = write_tiff(content, tmp_path)
    assert len(plan) == len({path.name.casefold() for path in plan}) == len(names)
    for i, (path, write) in enumerate(plan.items()):
        write(path)
        assert tifffile.imread(path)[0, 0] == i
    ((path, write),) = write_hdf5(content, tmp_path).items()
    write(path)
    with h5py.File(path) as file:
        assert sorted(group["map"][0, 0] for group in file["results/found"].values()) == list(
            range(len(names))
        )
        assert json.loads(file.attrs["start"])["big"] == 2**70


def test_a_stack_that_cannot_be_read_keeps_no_spectrum_back(
    mapped: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(*args: Any, **kwargs: Any) -> None:
        raise ValueError("the cube does not fit into memory")

    monkeypatch.setattr(_content, "stack_cube", too_large)
    assert [path.suffix for path in export_run(mapped, "csv", tmp_path)].count(".csv") >= 3
    with pytest.raises(ValueError, match="does not fit into memory"):
        export_run(mapped, "hdf5", tmp_path)
    assert not list(tmp_path.glob("*.h5")) and not list(tmp_path.glob(".*"))
