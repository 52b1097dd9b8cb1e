"""A camera, a path, and the ptychography station in a beamline file."""

from __future__ import annotations

import copy
from importlib import resources

import pytest
import yaml

from redoxscope.beamline import ConfigError, make_beamline, parse_beamline
from redoxscope.devices import AreaDetectorCamera, PathScanner, PtychoStation

TEXT = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text("utf-8")
CAMERA = {"class": "area_detector", "prefix": "Cam:"}
PATH = {"class": "path", "prefix": "Path:"}
ROLES = {
    "energy": "mono", "zone_plate": "zone_plate", "osa": "osa", "sample_stage": "sample_stage",
    "camera": "camera", "path": "path", "shutter": "shutter", "i0": "i0", "ring": "ring",
}  # fmt: skip
NUMBERS = {"distance": 8.0e4, "pixel": 120, "saturation": 6e4, "read_noise": 3, "gain": 10}


def file(prefix="BL:", **changes):
    """The simulated beamline's file with a station; ``section__key=value``, None deletes it."""
    content = yaml.safe_load(TEXT)
    content |= {"prefix": prefix, "simulated": False}
    content["devices"] |= copy.deepcopy({"camera": CAMERA, "path": PATH})
    content["instruments"]["ptycho"] = {**ROLES, **NUMBERS}
    for name, value in changes.items():
        section, key = name.split("__")
        part = content["instruments"] if section == "ptycho" else content["devices"]
        if value is None:
            del part[section][key]
        else:
            part[section][key] = value
    return yaml.safe_dump(content, sort_keys=False)


def test_a_station_is_bound_of_the_parts_of_the_microscope():
    beamline = make_beamline(parse_beamline(file(ptycho__defocus=4.0, ptycho__flux=1e7), "x"))
    try:
        station, stxm = beamline.instruments["ptycho"], beamline.instruments["stxm"]
        assert type(station) is PtychoStation
        assert type(station.camera) is AreaDetectorCamera and type(station.path) is PathScanner
        for part in ("zone_plate", "osa", "sample_stage", "shutter", "monochromator", "ring", "i0"):
            assert getattr(station, part) is getattr(stxm, part)
        assert station.camera.cam.acquire.setpoint_pvname == "BL:Cam:cam1:Acquire"
        assert station.path.x.pvname == "BL:Path:X"
        said = {name: getattr(station, name).get() for name in (*NUMBERS, "defocus", "flux")}
        assert said == {**NUMBERS, "defocus": 4.0, "flux": 1e7}
        assert {name for name, _ in beamline.roots()} >= {"ptycho", "camera", "path"}
    finally:
        beamline.destroy()


def test_a_camera_may_have_other_names_and_folders():
    text = file(
        camera__prefix="13SIM1:", camera__cam="det:", camera__hdf="H5:", camera__path="/data",
        camera__read_path="/mnt/data", camera__external="Ext. Gate",
    )  # fmt: skip
    config = parse_beamline(text, "x")
    names = config.pv_names("camera")
    assert names["cam1:Acquire"] == "BL:13SIM1:det:Acquire"
    assert names["HDF1:Capture"] == "BL:13SIM1:H5:Capture"
    beamline = make_beamline(config)
    try:
        camera = beamline.devices["camera"]
        assert camera.hdf1.capture.setpoint_pvname == "BL:13SIM1:H5:Capture"
        pvs = {w.item.pvname.removesuffix("_RBV") for w in camera.walk_signals()
               if hasattr(w.item, "pvname")}  # fmt: skip
        assert pvs == {name.removesuffix("_RBV") for name in names.values()}
    finally:
        beamline.destroy()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ptycho__pixel": None}, "key 'instruments.ptycho.pixel' is missing"),
        ({"ptycho__pixel": 0}, "ptycho.pixel = 0 µm must be greater than 0 µm"),
        ({"ptycho__distance": True}, "ptycho.distance = True must be one number in µm"),
        ({"ptycho__gain": float("nan")}, "ptycho.gain = nan counts/photon must be"),
        ({"ptycho__read_noise": -1}, "read_noise = -1 counts must be at least 0 counts"),
        ({"ptycho__pixl": 3}, "unknown key 'instruments.ptycho.pixl'.*pixel"),
        ({"ptycho__camera": "i0"}, r"ptycho.camera = 'i0' \(counter\) cannot be that: it has no"),
        ({"ptycho__path": "scanner"}, r"ptycho.path = 'scanner' \(scanner\) cannot be that"),
        ({"ptycho__camera": None}, "key 'instruments.ptycho.camera' is missing"),
        ({"camera__pvs": {"cam1:Acquire": "X"}}, "unknown key 'devices.camera.pvs'"),
        ({"path__prefix": "Scan:"}, r"the PV 'BL:Scan:X' belongs to scanner already"),
        ({"path__pvs": {"Strt": "X"}}, "no PV 'Strt'.*Start"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_by_key(change, words):
    with pytest.raises(ConfigError, match=words):
        parse_beamline(file(**change), "x")


def test_a_monitor_behind_the_shutter_counts_no_whole_block():
    config = parse_beamline(file(i0__behind_shutter=True), "x")
    with pytest.raises(ConfigError, match=r"instruments.ptycho: ptycho.i0 = 'stxm_i0' is behind"):
        make_beamline(config)


def test_where_frames_are_published_and_what_reconstructs_them():
    plain = parse_beamline(TEXT, "bl.yml")
    assert plain.cosmic == "" and plain.gpu is False
    assert plain.without("ptycho").cosmic == "" and plain.without("ptycho").gpu is False
    (key,) = (line for line in TEXT.splitlines(keepends=True) if line.startswith("  ptycho:"))
    more = f"{key}    cosmic: 127.0.0.1:37013\n    gpu: true\n"
    chosen = parse_beamline(TEXT.replace(key, more), "bl.yml")
    assert chosen.cosmic == "tcp://127.0.0.1:37013" and chosen.gpu is True
    with pytest.raises(ConfigError, match="instruments.ptycho.cosmic = '5577' must be the address"):
        parse_beamline(TEXT.replace(key, f'{key}    cosmic: "5577"\n'), "bl.yml")
    with pytest.raises(ConfigError, match="instruments.ptycho.gpu"):
        parse_beamline(TEXT.replace(key, f"{key}    gpu: 1\n"), "bl.yml")
