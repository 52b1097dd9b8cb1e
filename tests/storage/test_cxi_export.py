"""Ptychography of the catalog in CXI files: merged, in photons, the right way round."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from redoxscope.documents import FrameStatus, PtychoInfo
from redoxscope.formats import read_cxi
from redoxscope.plans import ptychography
from redoxscope.ptycho_files import reconstruct
from redoxscope.scan import Scan
from redoxscope.storage import CatalogWriter, DocumentLog, export_run
from redoxscope.storage.export._content import Content
from redoxscope.storage.export._cxi import write_cxi_files
from redoxscope.testing import FakePtycho, make_engine

from ..callbacks.ptycho_runs import PtychoRun

ENERGIES = (639.0, 642.6)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("frames")
    return PtychoRun(folder / "frames.h5", energies=ENERGIES, uid="2f9d1c0a-cxi-export")


@pytest.fixture(scope="module")
def content(run):
    """As of the catalog, but the documents are given out by the run itself."""
    documents = list(run.documents())
    return Content(run.uid, run.uid[:8], documents[0][1], documents[-1][1], documents, (), {})


@pytest.fixture(scope="module")
def files(content, tmp_path_factory):
    plan = write_cxi_files(content, tmp_path_factory.mktemp("out"))
    for path, write in plan.items():
        write(path)
    return list(plan)


def test_a_file_for_each_energy(files, run):
    assert [path.name for path in files] == ["2f9d1c0a_639.00eV.cxi", "2f9d1c0a_642.60eV.cxi"]
    part = run.scan.exposures[-1]
    scan = read_cxi(files[1])
    assert scan.energy_ev == pytest.approx(642.6)
    assert len(scan.x_um) == len(part.positions)
    np.testing.assert_allclose(np.column_stack([scan.x_um, scan.y_um]), part.positions, atol=1e-9)
    with h5py.File(files[1]) as file:
        assert file["entry_1"].attrs["uid"] == run.uid


def test_frames_are_photons_of_both_exposures(files, run):
    """Without background; the sum of a frame is what went through, in the total time."""
    scan = read_cxi(files[0])
    sums = scan.read(0, len(scan.x_um))[:, 0].sum(axis=(1, 2))
    assert sums.max() == pytest.approx(run.photons * sum(run.times) / max(run.times), rel=0.03)
    assert scan.mask.mean() > 0.95


def test_the_sample_is_where_it_was(files, run):
    """The particle lies to one side of the middle: it would not match itself mirrored."""
    result = reconstruct(read_cxi(files[1]))
    x, y = result.x_um, result.y_um
    near = np.ix_(np.abs(y) < 0.15, np.abs(x) < 0.15)
    thick = -2 * np.log(np.abs(result.object[near]))
    thick = np.clip(thick - np.median(thick[:2]), 0, None)
    yy, xx = np.meshgrid(y[np.abs(y) < 0.15], x[np.abs(x) < 0.15], indexing="ij")
    strong = thick > 0.5 * np.quantile(thick, 0.95)
    assert (xx[strong].mean(), yy[strong].mean()) == pytest.approx((0.02, -0.01), abs=0.006)


def test_another_run_has_nothing_for_cxi(content, tmp_path):
    start = {name: value for name, value in content.start.items() if name != "ptychography"}
    assert write_cxi_files(replace(content, start=start), tmp_path) == {}


def test_a_run_without_whole_frames_is_refused(content, tmp_path):
    """It ended before its first block: no file without frames."""
    kept = [(name, doc) for name, doc in content.run if name != "event"]
    plan = write_cxi_files(replace(content, run=kept), tmp_path)
    for path, write in plan.items():
        with pytest.raises(ValueError, match="ended before its frames at 6"):
            write(path)


def test_of_a_run_that_was_broken_off_what_was_taken_is_written(content, tmp_path, caplog):
    events = [doc for name, doc in content.run if name == "event"]
    second = events[-1]["data"]["exposure"]
    kept = [
        (name, doc)
        for name, doc in content.run
        if name != "event" or doc["data"]["exposure"] != second
    ]
    plan = write_cxi_files(replace(content, run=kept), tmp_path)
    assert [path.name for path in plan] == ["2f9d1c0a_639.00eV.cxi"]
    assert "ended before its frames at 642.6 eV" in caplog.text


def test_an_energy_that_was_taken_twice_gives_the_frames_of_each(tmp_path):
    """A series of drift or dose: the parts of the scan are alike, their frames are not."""

    class Fading(PtychoRun):
        def measure(self, index, places):
            self.bright = 1.0 if index < len(self.scan.exposures) - 1 else 0.5
            return super().measure(index, places)

    run = Fading(tmp_path / "frames.h5", energies=(640.0,), step=0.1, uid="1d8a77b2-twice")
    run.scan = replace(run.scan, exposures=(*run.scan.exposures, run.scan.exposures[-1]))
    documents = list(run.documents())
    of_run = Content(run.uid, run.uid[:8], documents[0][1], documents[-1][1], documents, (), {})
    plan = write_cxi_files(of_run, tmp_path)
    sums = []
    for path, write in plan.items():
        write(path)
        scan = read_cxi(path)
        sums.append(scan.read(0, len(scan.x_um)).sum())
    assert sums[1] == pytest.approx(0.5 * sums[0], rel=0.1)


def test_a_place_without_its_short_exposure_does_not_mask_the_beam_in_all(tmp_path, caplog):
    run = PtychoRun(
        tmp_path / "frames.h5", energies=(642.6,), step=0.1, uid="77c0e1aa-short",
        info={"saturation": 10_000.0},  # the ring of the beam is beyond it in the long time
    )  # fmt: skip
    documents = list(run.documents())
    data = [doc for name, doc in documents if name == "event"][-1]["data"]
    data["frame_status"][0], data["row"][0] = int(FrameStatus.TORN), -1
    of_run = Content(run.uid, run.uid[:8], documents[0][1], documents[-1][1], documents, (), {})
    ((path, write),) = write_cxi_files(of_run, tmp_path).items()
    write(path)
    scan = read_cxi(path)
    assert len(scan.x_um) == len(run.scan.exposures[-1].positions) - 1
    assert scan.mask.mean() > 0.99
    assert "1 places are left out: one of their exposures is missing" in caplog.text


def test_what_speaks_against_the_frames_is_in_the_file(run, content, tmp_path, caplog):
    """The mask is on the machine that took the run; the darks were not taken."""
    dark = {k for k, part in enumerate(run.scan.exposures) if part.role == "dark"}
    kept = [
        (name, doc)
        for name, doc in content.run
        if name != "event" or doc["data"]["exposure"] not in dark
    ]
    start = {**content.start, "ptychography": {**content.start["ptychography"], "mask": "no.npy"}}
    kept[0] = ("start", start)
    plan = write_cxi_files(replace(content, start=start, run=kept), tmp_path)
    path, write = next(iter(plan.items()))
    write(path)
    with h5py.File(path) as file:
        doubts = file["entry_1"].attrs["doubts"]
    assert "All pixels are used: the mask no.npy" in doubts and "no dark frames" in doubts
    assert doubts in caplog.text


def test_a_run_of_the_plan_out_of_the_catalog(embedded, home, tmp_path):
    """The whole way: plan, camera's file, log, catalog, CXI."""

    def picture(energy, x, y, time, beam):
        return np.full((16, 16), 200 + 1000 * time * (1 + x) * beam)

    folder = home / "data" / "ptycho"
    folder.mkdir(parents=True, exist_ok=True)
    station = FakePtycho(folder, picture=picture)
    engine, documents = make_engine()
    log = DocumentLog(tmp_path / "log")
    writer = CatalogWriter(embedded, log)
    engine.subscribe(log)
    engine.subscribe(writer)
    engine(
        ptychography(
            station, {"center": (0, 0), "size": 0.2}, energies=[640], step=0.1,
            exposures=(0.1, 0.4), dark_frames=2,
        )
    )  # fmt: skip
    uid = documents.start["uid"]
    (path,) = export_run(writer.catalog[uid], "cxi", tmp_path / "out")
    assert path.suffix == ".cxi" and "_640.00eV" in path.name
    scan, info = read_cxi(path), PtychoInfo.from_start(documents.start)
    assert scan.illumination is None  # frames of 16 pixels do not hold the light of this zone plate
    places = Scan.from_start(documents.start).exposures[-1].positions
    np.testing.assert_allclose(np.column_stack([scan.x_um, scan.y_um]), places, atol=1e-6)
    assert (scan.distance_um, scan.pixel_um) == pytest.approx((info.distance_um, info.pixel_um))
    photons = scan.read(0, len(places))[:, 0].mean(axis=(1, 2))
    np.testing.assert_allclose(photons, 500 * (1 + scan.x_um) / info.gain, rtol=0.02)
