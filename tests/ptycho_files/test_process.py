"""Files with frames: written, read, reconstructed, the right way round; refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

from redoxscope.analysis.ptychography import GAIN_BITS_FULL, Engine
from redoxscope.cli import app
from redoxscope.formats import read_cosmic, read_cxi, write_cxi
from redoxscope.ptycho_files import _process, process, reconstruct
from redoxscope.ptycho_files._process import Options, _read

from .files import DEFOCUS, GEOMETRY, STOP, ZONE, frames, seen, write_stxm

ASKED = {"outer_zone_nm": ZONE, "stop_fraction": STOP, "defocus_um": DEFOCUS, "updates": 15}


@pytest.fixture(scope="module")
def data():
    return frames()


def write(path: Path, data, **changed) -> Path:
    given = {
        "energy_ev": GEOMETRY.energy_ev,
        "distance_um": GEOMETRY.distance_um,
        "pixel_um": GEOMETRY.pixel_um,
        "shape": (GEOMETRY.size, GEOMETRY.size),
        "illumination": data["probe"],
        "frames": [(data["counts"][:50], data["x"][:50], data["y"][:50]),
                   (data["counts"][50:], data["x"][50:], data["y"][50:])],
    }  # fmt: skip
    write_cxi(path, **given | changed)
    return path


@pytest.fixture(scope="module")
def cxi(tmp_path_factory, data):
    return write(tmp_path_factory.mktemp("cxi") / "letter.cxi", data)


def test_cxi_comes_back_as_it_was(cxi, data):
    scan = read_cxi(cxi)
    assert scan.energy_ev == pytest.approx(640.0)
    assert (scan.distance_um, scan.pixel_um) == pytest.approx((80_000.0, 480.0))
    np.testing.assert_allclose(scan.x_um, data["x"], atol=1e-9)
    np.testing.assert_allclose(scan.y_um, data["y"], atol=1e-9)
    np.testing.assert_array_equal(scan.read(48, 53)[:, 0], data["counts"][48:53])
    assert scan.mask.all() and scan.clean and not scan.notes


def test_layout_is_what_ptypy_cdtools_and_ptychodus_look_for(cxi):
    """The keys of the map in docs/reference/cxi.md, their units and types."""
    with h5py.File(cxi) as file:
        entry = file["entry_1"]
        n = entry["data_1/data"].shape[0]
        assert file["cxi_version"][()] == 160 and file["number_of_entries"][()] == 1
        assert entry["definition"].asstr()[()] == "NXcxi_ptycho"
        joule = entry["instrument_1/source_1/energy"][()]
        assert joule / 1.602176634e-16 == pytest.approx(0.640)  # ptypy's multiplier to keV
        assert entry["instrument_1/source_1/wavelength"][()] == pytest.approx(1.93725e-9, rel=1e-4)
        detector = entry["instrument_1/detector_1"]
        assert detector["mask"].dtype == np.uint32 and detector["mask"].shape == (64, 64)
        assert detector["distance"][()] == pytest.approx(0.08)
        np.testing.assert_allclose(detector["basis_vectors"], [[0, -4.8e-4], [-4.8e-4, 0], [0, 0]])
        assert detector["corner_position"].shape == (3,)
        assert detector["data"].chunks == (1, 64, 64)
        for key in ("data_1/translation", "sample_1/geometry_1/translation",
                    "instrument_1/detector_1/translation"):  # fmt: skip
            assert entry[key].shape == (n, 3)


def test_object_is_the_right_way_round(cxi, data):
    found = seen(reconstruct(read_cxi(cxi), Options(updates=25)), data["object"])
    assert max(found, key=found.get) == "as it is" and found["as it is"] > 0.9, found
    assert all(value < 0.8 for name, value in found.items() if name != "as it is")


@pytest.mark.parametrize("how", ["transposed", "other axes", "no vectors"])
def test_basis_vectors_say_which_way_translations_count(cxi, data, how, tmp_path):
    """Files of others: (2, 3) vectors; a detector whose axes are those of the sample."""
    path = tmp_path / "other.cxi"
    path.write_bytes(cxi.read_bytes())
    with h5py.File(path, "r+") as file:
        detector = file["entry_1/instrument_1/detector_1"]
        basis = np.asarray(detector["basis_vectors"])
        del detector["basis_vectors"]
        if how == "transposed":
            detector["basis_vectors"] = basis.T
        elif how == "other axes":
            detector["basis_vectors"] = -basis
            file["entry_1/sample_1/geometry_1/translation"][...] *= -1
    scan = read_cxi(path)
    np.testing.assert_allclose(scan.x_um, data["x"], atol=1e-9)
    np.testing.assert_allclose(scan.y_um, data["y"], atol=1e-9)
    assert bool(scan.notes) == (how == "no vectors")


def test_a_pixel_without_value_in_one_frame_is_masked(data, tmp_path):
    counts = data["counts"].copy()
    counts[7, 3, 5] = np.nan
    path = write(tmp_path / "a.cxi", data, frames=[(counts, data["x"], data["y"])])
    scan = read_cxi(path)
    assert not scan.mask[3, 5] and scan.mask.sum() == 64 * 64 - 1
    with h5py.File(path) as file:
        assert set(np.unique(file["entry_1/instrument_1/detector_1/mask"])) == {0, 1}
        assert np.isfinite(file["entry_1/data_1/data"][7]).all()


def test_mask_bits_of_others(cxi, tmp_path):
    path = tmp_path / "bits.cxi"
    path.write_bytes(cxi.read_bytes())
    with h5py.File(path, "r+") as file:
        mask = file["entry_1/instrument_1/detector_1/mask"]
        mask[0, 0], mask[0, 1], mask[0, 2] = 0x1000, 1, 2
    assert read_cxi(path).mask[0, :4].tolist() == [True, False, False, True]


@pytest.mark.parametrize("double", [True, False])
def test_raw_frames_of_pystxmcontrol(data, tmp_path, double):
    path = tmp_path / "scan.stxm"
    write_stxm(path, data, double=double)
    scan = read_cosmic(path)
    assert scan.times == ((0.01, 0.1) if double else (0.1,))
    assert scan.darks.mean(axis=(1, 2)) == pytest.approx([100, 130][-len(scan.times) :], abs=0.2)
    np.testing.assert_allclose(scan.x_um, data["x"])
    options = Options(**ASKED, gain=5.0, read_noise=2.0)
    found = seen(reconstruct(scan, options), data["object"])
    assert max(found, key=found.get) == "as it is" and found["as it is"] > 0.85, found


def test_gain_bits_are_undone_in_frames_and_in_darks(data, tmp_path):
    path = tmp_path / "a.stxm"
    write_stxm(path, {name: value[:3] for name, value in data.items()})
    with h5py.File(path, "r+") as file:
        root = file["entry0/ccd0"]
        root["exp/1"][0, 0] = 0xC000 | 300  # lowest gain
        root["exp/1"][0, 1] = 0x2000 | 300  # marked as bad
        for k in range(10):
            root[f"dark/{k}"][5, 5] = 0x8000 | 50
        root["dark/1"][6, 6] = 0x2000 | 7000
        for k in range(1, 10, 2):
            root[f"dark/{k}"][7, 7] = 0x2000 | 1
    plain, scan = (_read(path, Options(gain_bits=asked)) for asked in (False, True))
    assert plain.read(0, 1)[0, 1, 0, 0] == 0xC000 | 300
    frames = scan.read(0, 1)
    assert frames[0, 1, 0, 0] == 2400 and np.isinf(frames[0, 1, 0, 1])
    assert scan.darks[:, 5, 5].tolist() == [200, 200]
    assert scan.darks[1, 6, 6] == pytest.approx(130, abs=8)
    assert plain.mask.all()
    assert not scan.mask[7, 7] and scan.mask.sum() == 64 * 64 - 1
    with h5py.File(path, "r+") as file:
        del file["entry0/ccd0/exp/0"]
        file["entry0/ccd0/exp/0"] = np.zeros((64, 64), "i4")
    with pytest.raises(ValueError, match="exp/0 has values of type int32; gain bits are in uint16"):
        scan.read(0, 1)


def test_full_scale_is_that_of_what_was_read(monkeypatch):
    assert (Options().full, Options(gain_bits=True).full) == (57343, GAIN_BITS_FULL)
    assert Options(gain_bits=True, saturation=100).full == 100
    with pytest.raises(ValueError, match="gain_bits = 1 must be True or False"):
        Options(gain_bits=1)
    asked = []

    def process(files, out, **options):
        asked.append(Options(**options))
        return {"files": {}}

    monkeypatch.setattr("redoxscope.ptycho_files.process", process)
    for more in ([], ["--gain-bits"], ["--gain-bits", "--saturation", "5"]):
        run = CliRunner().invoke(app, ["ptycho", "process", "a.stxm", *more])
        assert run.exit_code == 0, run.output
    assert [one.full for one in asked] == [57343, GAIN_BITS_FULL, 5]


def test_command_writes_object_picture_and_summary(cxi, tmp_path):
    run = CliRunner().invoke(
        app, ["ptycho", "process", str(cxi), "--out", str(tmp_path / "out"), "--updates", "3"]
    )
    assert run.exit_code == 0, run.output
    said = json.loads((tmp_path / "out/summary.json").read_text())["files"]["letter"]
    assert said["frames"] == 81 and said["pixel_nm"] == pytest.approx(5.045, abs=0.01)
    assert (tmp_path / "out" / said["picture"]).stat().st_size > 10_000
    with h5py.File(tmp_path / "out" / said["object"]) as file:
        assert file["object"].dtype == np.complex64 and file["x"].attrs["units"] == "um"


def test_error_of_the_command_is_one_line(tmp_path):
    (tmp_path / "a.cxi").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="no HDF5 file, or is cut off"):
        process([tmp_path / "a.cxi"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def change(path: Path, cxi: Path, key: str, value) -> Path:
    path.write_bytes(cxi.read_bytes())
    with h5py.File(path, "r+") as file:
        del file[key]
        if value is not None:
            file[key] = value
    return path


DETECTOR, SOURCE = "entry_1/instrument_1/detector_1", "entry_1/instrument_1/source_1"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("entry_1", None, "has no entry_1"),
        (f"{SOURCE}/energy", 640.0, "is it in eV"),
        (f"{DETECTOR}/distance", None, "has no distance (m)"),
        (f"{DETECTOR}/x_pixel_size", -1.0, "must be one number > 0 (m)"),
        (f"{DETECTOR}/y_pixel_size", 1e-4, "they must be square"),
        (f"{DETECTOR}/mask", np.zeros((3, 3), "u4"), "mask has shape (3, 3), frames (64, 64)"),
        (f"{DETECTOR}/basis_vectors", np.zeros((3, 2)), "basis_vectors must be two vectors"),
        ("entry_1/data_1/translation", np.zeros((3, 3)), "has shape (3, 3) for 81 frames"),
        ("entry_1/data_1/translation", np.full((81, 3), np.nan), "has no number for frame 0"),
    ],
)
def test_cxi_that_does_not_fit_is_refused(cxi, tmp_path, key, value, words):
    with pytest.raises(ValueError, match=".") as caught:
        read_cxi(change(tmp_path / "bad.cxi", cxi, key, value))
    assert words in str(caught.value) and "bad.cxi" in str(caught.value)


def test_truncated_file_is_named(cxi, tmp_path):
    path = tmp_path / "cut.cxi"
    path.write_bytes(cxi.read_bytes()[:60_000])
    with pytest.raises(ValueError, match=r"cut\.cxi is no HDF5 file, or is cut off"):
        read_cxi(path)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"dwell1": 5.0}, "dwell1 = 5 ms is the long exposure"),
        ({"energy": "x"}, "its metadata has no energy (eV)"),
        ({"energy": 1.03e-16}, "is it in J or keV?"),
        ({"translations": [[1.0]]}, "must be places (y, x) in um"),
        ({"geometry": 3}, "its metadata has no geometry"),
    ],
)
def test_pystxmcontrol_file_that_does_not_fit_is_refused(data, tmp_path, said, words):
    few = {name: value[:3] for name, value in data.items()}
    write_stxm(tmp_path / "bad.stxm", few, **said)
    with pytest.raises(ValueError, match=".") as caught:
        read_cosmic(tmp_path / "bad.stxm")
    assert words in str(caught.value)


def test_darks_of_one_exposure_only_are_refused(data, tmp_path):
    """As many as there must be, and none of the long time."""
    few = {name: value[:3] for name, value in data.items()}
    write_stxm(tmp_path / "a.stxm", few)
    with h5py.File(tmp_path / "a.stxm", "r+") as file:
        for k in range(1, 10, 2):
            del file[f"entry0/ccd0/dark/{k}"]
    with pytest.raises(ValueError, match="no frame without beam of exposure 2 of 2"):
        read_cosmic(tmp_path / "a.stxm")


def test_a_missing_raw_frame_is_named_and_a_rest_is_told(data, tmp_path):
    few = {name: value[:4] for name, value in data.items()}
    write_stxm(tmp_path / "a.stxm", few)
    with h5py.File(tmp_path / "a.stxm", "r+") as file:
        del file["entry0/ccd0/exp/7"]
    scan = read_cosmic(tmp_path / "a.stxm")
    assert len(scan.x_um) == 3 and "7 frames for 4 places" in scan.notes[0]
    with h5py.File(tmp_path / "a.stxm", "r+") as file:
        del file["entry0/ccd0/exp/2"]
    with pytest.raises(ValueError, match="frame 2 is missing"):
        read_cosmic(tmp_path / "a.stxm")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"updates": 0}, "updates = 0"),
        ({"gain": -1}, "gain = -1 counts/photon"),
        ({"defocus_um": float("nan")}, "defocus_um"),
        ({"outer_zone_nm": True}, "outer_zone_nm = True"),
        ({"gpu": True}, "gpu = True: array module 'cupy' cannot be used here"),
        ({"ptychi": -1}, "ptychi = -1"),
        ({"gpu": "yes"}, "gpu = 'yes' must be True or False"),
    ],
)
def test_bad_option_is_named(given, words):
    with pytest.raises(ValueError, match=".") as caught:
        Options(**given)
    assert words in str(caught.value)


def test_without_illumination_the_zone_plate_is_asked_for(data, tmp_path):
    path = write(tmp_path / "bare.cxi", data, illumination=None)
    with pytest.raises(ValueError, match="--outer-zone"):
        reconstruct(read_cxi(path))
    with pytest.raises(ValueError, match=r"ends with '\.tif'"):
        process([tmp_path / "a.tif"], tmp_path)


def test_on_a_gpu_it_is_reconstructed_there(cxi, monkeypatch):
    used = []

    def engine(*arguments, xp, **options):
        used.append(xp)
        return Engine(*arguments, **options)

    monkeypatch.setattr(_process, "array_module", lambda name: None)
    monkeypatch.setattr(_process, "Engine", engine)
    reconstruct(read_cxi(cxi), Options(updates=1, gpu=True))
    assert used == ["cupy"]
