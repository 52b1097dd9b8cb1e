"""A rotation series in files that tomography programs read: by theirs, not by ours."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from algotom.io import loadersaver
from algotom.prep import correction
from algotom.rec import reconstruction
from nxtomo.application.nxtomo import NXtomo

from redoxscope.plans import expose, rotation_series
from redoxscope.scan import Exposures, Scan
from redoxscope.storage import CatalogWriter, DocumentLog, export_run
from redoxscope.testing import FakeAxis, FakeFrames, FakeShutter, PromptHeater, make_engine

WIDTH, LIGHT, DARK = 64, 4000.0, 100.0
BALL = (
    12.0,
    5.0,
    6.0,
)  # distance from the axis, angle at which it is seen there (deg), radius; pixels
ANGLES = np.arange(0, 181, 6.0)


def shadow(angle, x, lit):
    """A ball in a beam that is brighter on one side, on a counter that has an offset."""
    columns = np.arange(WIDTH) - (WIDTH - 1) / 2
    distance, at, radius = BALL
    where = distance * np.cos(np.deg2rad(angle - at))
    depth = 2 * np.sqrt(np.maximum(radius**2 - (columns - where) ** 2, 0))
    row = LIGHT * (1 + 0.3 * columns / WIDTH) * np.exp(-0.05 * depth * (x < 10)) * lit + DARK
    return np.tile(row, (3, 1))


@pytest.fixture(scope="module")
def stored(tmp_path_factory, embedded, home):
    """The run, exported in both forms; and the run."""
    engine, documents = make_engine()
    log = DocumentLog(tmp_path_factory.mktemp("log"))
    engine.subscribe(log)
    writer = CatalogWriter(embedded, log)
    engine.subscribe(writer)
    folder = home / "data" / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    rotation, x = FakeAxis("rotation", unit="deg"), FakeAxis("x")
    y, energy, shutter = FakeAxis("y"), FakeAxis("energy", unit="eV"), FakeShutter()
    heater = PromptHeater()

    def picture(n):
        return shadow(rotation.position, x.position, shutter.beam)

    camera = FakeFrames(folder, shape=(3, WIDTH), picture=picture)
    engine(
        rotation_series(
            camera, rotation, x, y, energy, photon_energy=9000, dwell=0.2, start=0, stop=180,
            step=6, blank=(50, 0), flats=2, darks=2, pixel_size=0.05, shutter=shutter,
            heater=heater, temperature=60, md={"sample": "ball"},
        )
    )  # fmt: skip
    run = writer.catalog[documents.start["uid"]]
    out = tmp_path_factory.mktemp("export")
    paths = {form: export_run(run, form, out) for form in ("nxtomo", "dxchange")}
    return {form: path for form, (path,) in paths.items()}, run, writer


def test_nxtomo_reads_what_we_wrote(stored):
    path = stored[0]["nxtomo"]
    read = NXtomo().load(str(path), "entry", detector_data_as="as_numpy_array")
    detector = read.instrument.detector
    key = np.array([int(each.value) for each in detector.image_key_control])
    assert key.tolist() == [2, 2, 1, 1, *[0] * 31, 1, 1]
    assert detector.data.shape == (37, 3, WIDTH) and detector.data.dtype == np.uint16
    angle = read.sample.rotation_angle
    np.testing.assert_allclose(angle.to("degree").magnitude[key == 0], ANGLES)
    assert read.energy.to("keV").magnitude == pytest.approx(9.0)
    assert detector.x_pixel_size.to("m").magnitude == pytest.approx(5e-8)
    assert detector.count_time.to("s").magnitude == pytest.approx([0.2] * 37)
    assert read.sample.name == "ball"
    for image, k, at in zip(detector.data, key, angle.magnitude, strict=True):
        wanted = shadow(at, 50 if k == 1 else 0, k != 2)
        np.testing.assert_array_equal(image, wanted.astype(np.uint16))


def test_the_file_is_nexus(stored):
    with h5py.File(stored[0]["nxtomo"]) as file:
        entry = file[file.attrs["default"]]
        assert entry["definition"][()] == b"NXtomo" and entry.attrs["NX_class"] == "NXentry"
        plot = entry[entry.attrs["default"]]
        np.testing.assert_array_equal(plot["data"][3], entry["instrument/detector/data"][3])
        assert plot["rotation_angle"].attrs["units"] == "degree"
        assert entry["sample/temperature"].attrs["units"] == "degC"
        np.testing.assert_allclose(entry["sample/temperature"], 60, atol=2)
        assert entry["sample/temperature_in_band"][()].all()


def test_algotom_reconstructs_the_ball_where_it_is(stored):
    path = str(stored[0]["dxchange"])
    data, flats, darks = (
        np.asarray(loadersaver.load_hdf(path, f"exchange/{name}"), float)
        for name in ("data", "data_white", "data_dark")
    )
    theta = np.asarray(loadersaver.load_hdf(path, "exchange/theta"))
    assert (len(data), len(flats), len(darks)) == (31, 4, 2)
    np.testing.assert_allclose(theta, ANGLES)
    corrected = correction.flat_field_correction(data[:, 1], flats.mean(0)[1], darks.mean(0)[1])
    found = reconstruction.fbp_reconstruction(
        corrected, (WIDTH - 1) / 2, angles=np.deg2rad(theta), apply_log=True, gpu=False
    )
    distance, _, radius = BALL
    row, column = np.indices(found.shape) - (WIDTH - 1) / 2
    weight = np.where(found > 0.5 * np.percentile(found, 99.5), found, 0)
    centre = np.hypot((weight * row).sum(), (weight * column).sum()) / weight.sum()
    assert centre == pytest.approx(distance, abs=0.7)
    inside = found[np.hypot(row, column) < distance + radius]
    assert np.percentile(inside, 99) == pytest.approx(0.05, rel=0.25)  # per pixel
    with h5py.File(path) as file:
        assert file["implements"][()] == b"exchange:measurement:process"
        assert file["measurement/instrument/monochromator/energy"][()] == 9.0
        assert file["exchange/theta"].attrs["units"] == "deg"
        assert file["measurement/sample/temperature"].shape == (31,)


def test_a_series_that_ended_before_its_first_projection_goes_into_nxtomo_only(
    embedded, tmp_path, home
):
    engine, documents = make_engine()
    log = DocumentLog(tmp_path / "log")
    engine.subscribe(log)
    writer = CatalogWriter(embedded, log)
    engine.subscribe(writer)
    folder = home / "data" / "frames"
    folder.mkdir(parents=True, exist_ok=True)

    class Stuck(FakeFrames):
        """Takes two frames, the darks, and no more."""

        def trigger(self):
            if self.triggered == 2:
                raise RuntimeError("the camera is stuck")
            return super().trigger()

    camera, rotation = Stuck(folder), FakeAxis("rotation", unit="deg")
    axes = rotation, FakeAxis("x"), FakeAxis("y"), FakeAxis("energy", unit="eV")
    plan = rotation_series(
        camera, *axes, photon_energy=9000, dwell=0.2, start=0, stop=6, step=6, flats=0, darks=2,
        shutter=FakeShutter(),
    )  # fmt: skip
    with pytest.raises(RuntimeError, match="stuck"):
        engine(plan)
    run = writer.catalog[documents.start["uid"]]
    with pytest.raises(ValueError, match=r"ended before its first projection; nxtomo can hold it"):
        export_run(run, "dxchange", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (path,) = export_run(run, "nxtomo", tmp_path / "out")
    with h5py.File(path) as file:
        assert file["entry/instrument/detector/image_key"][()].tolist() == [2, 2]


def test_a_run_that_is_no_series_is_refused(embedded, tmp_path, home):
    engine, documents = make_engine()
    log = DocumentLog(tmp_path / "log")
    engine.subscribe(log)
    writer = CatalogWriter(embedded, log)
    folder = home / "data" / "frames"
    folder.mkdir(parents=True, exist_ok=True)
    camera = FakeFrames(folder)
    engine.subscribe(writer)
    scan = Scan(exposures=(Exposures(640.0, 0.1, ((0.0, 0.0),)),))
    engine(expose(camera, scan, FakeAxis("x"), FakeAxis("y"), FakeAxis("energy")))
    run = writer.catalog[documents.start["uid"]]
    for form in ("nxtomo", "dxchange"):
        with pytest.raises(ValueError, match=f"nothing that goes into {form}: it is no rotation"):
            export_run(run, form, tmp_path / "out")
    assert not (tmp_path / "out").exists()
