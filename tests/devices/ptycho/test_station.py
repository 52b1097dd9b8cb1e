"""The station on the simulated beamline: path, camera and file are other processes."""

from __future__ import annotations

import re
import shutil
import threading
from collections import namedtuple

import h5py
import numpy as np
import pytest
from ophyd.utils import LimitError

from redoxscope.beamline import connect, make_beamline, simulated_beamline
from redoxscope.devices import DeviceError
from redoxscope.devices._base import NoAnswerError
from redoxscope.documents import FrameStatus
from redoxscope.scan import Block, Exposures, Role, Scan

LONG = 120.0  # a busy machine may take long to start the camera's process
PLACES = tuple((0.05 * (k % 3), 0.05 * (k // 3)) for k in range(9))
BLOCK = Block(1, 0, PLACES, (0.01, 0.05))


@pytest.fixture(scope="module")
def beamline(simulation):
    file = simulated_beamline(simulation.prefix).without("tes")
    made = make_beamline(file.changed("camera", time_limit=LONG))
    made.connect(LONG)
    made.devices["shutter"].time_limit.put(LONG)
    yield made
    made.instruments["ptycho"].unstage().wait(LONG)
    made.destroy()


@pytest.fixture
def station(beamline):
    """The station, staged, in focus, with the shutter following."""
    made = beamline.instruments["ptycho"]
    made.block_frames.put(18)
    made.energy.set(640.0).wait(LONG)
    try:
        _ = made.images.file
    except DeviceError:  # a test has unstaged it
        made.stage().wait(LONG)
    made.shutter.set("follow").wait(LONG)
    yield made
    made.shutter.set("closed").wait(LONG)


def take(station, block=BLOCK):
    station.prepare(block).wait(LONG)
    station.trigger().wait(LONG)
    return station.taken


def until(signal, value):
    """Wait until a signal has a value."""
    there = threading.Event()

    def look(*, value: object, **_: object) -> None:
        if int(value) == wanted:  # type: ignore[call-overload]
            there.set()

    wanted = value
    signal.subscribe(look)
    try:
        assert there.wait(LONG), f"{signal.name} is {signal.get()}"
    finally:
        signal.clear_sub(look)


def test_blocks_are_taken_in_light_and_in_the_dark_off_focus(station):
    assert station.zone_plate.z.position == pytest.approx(
        station.energy.focus(640.0), abs=station.zone_plate.z.tolerance
    )
    station.defocus.put(0.0)
    assert station.zone_plate.z.position - station.energy.focus(640.0) == pytest.approx(4, abs=0.5)
    station.defocus.put(4.0)
    taken = take(station)
    assert taken.good, taken.reasons
    first = int(taken.row[0])
    assert taken.row.tolist() == list(range(first, first + 18))
    asked = np.repeat(np.array(PLACES), 2, axis=0)
    assert np.hypot(taken.x - asked[:, 0], taken.y - asked[:, 1]).max() < 0.05
    assert taken.gate == pytest.approx(np.tile([0.01, 0.05], 9), rel=0.05)
    assert station.i0.counts.get(use_monitor=False) > 0
    station.shutter.set("closed").wait(LONG)
    dark = take(station, Block(0, 0, PLACES[:1] * 5, (0.05,), dark=True))
    assert dark.good, dark.reasons
    with h5py.File(station.images.file.path, "r", libver="latest", swmr=True) as file:
        mean = file["/entry/data/data"][:].mean(axis=(1, 2))
    assert mean[taken.row[1::2]].min() > mean[dark.row].max() + 20


def test_what_somebody_else_did_meanwhile_flags_the_block(station):
    station.prepare(BLOCK).wait(LONG)
    mono = station.monochromator
    mono.setpoint.put(mono.setpoint.get() + 1.0, wait=True, timeout=LONG)
    station.trigger().wait(LONG)
    assert set(station.taken.status) == {FrameStatus.MOVED}
    assert "641 eV where 640 eV was asked for" in "; ".join(station.taken.reasons)
    station.energy.set(640.0).wait(LONG)
    station.shutter.set("closed").wait(LONG)
    shut = take(station)
    assert set(shut.status) == {FrameStatus.SHUTTER} and "was not open" in shut.reasons[0]
    station.shutter.set("follow").wait(LONG)
    assert take(station).good


def test_a_pause_stops_path_camera_and_beam_and_leaves_a_readable_file(station, fault):
    fault("path_hang")  # half-way, until it is halted
    station.prepare(BLOCK).wait(LONG)
    status = station.trigger()
    until(station.path.state, 1)
    station.pause()
    station.shutter.stop(success=True)
    status.wait(LONG)
    assert station.taken is None
    until(station.path.state, 0)
    until(station.camera.cam.acquire, 0)
    until(station.shutter.status, 0)
    station.shutter.set("follow").wait(LONG)
    assert take(station).good
    path, rows = station.images.file.path, station.camera.frames
    station.unstage().wait(LONG)
    with h5py.File(path, "r") as file:
        assert file["/entry/data/data"].shape[0] == rows >= 18


def scan(energies=(640.0,), places=PLACES, dwell=(0.01, 0.05)):
    dark = Exposures(energies[0], dwell[0], ((0.0, 0.0),) * 3, Role.DARK)
    return Scan(exposures=(dark, *(Exposures(energy, dwell, places) for energy in energies)))


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ({"places": ((0.0, 0.0), (5000.0, 0.0))}, r"fine_x = .* µm is outside its soft limits"),
        ({"places": ((1e6, 0.0),)}, "sample_stage_x = .* is outside its soft limits"),
        ({"energies": (640.0, 5.0)}, "5 eV"),
        ({"dwell": (0.001,)}, "exposure of 0.001 s is shorter than 0.005 s"),
        ({"dwell": (0.1, 40.0)}, "one place takes 40.1.* s, longer than .*dead_man = 30 s"),
    ],
)  # fmt: skip
def test_a_scan_that_cannot_be_is_refused_before_anything_moves(beamline, what, words):
    station = beamline.instruments["ptycho"]
    station.check_scan(scan())
    with pytest.raises(ValueError, match=words):  # limits and interlock are
        station.check_scan(scan(**what))


def test_a_defocus_beyond_the_zone_plates_travel_is_refused(beamline):
    station = beamline.instruments["ptycho"]
    before = station.defocus.get()
    low = station.zone_plate.z.limits[0]
    station.defocus.put(low - 10 - station.energy.focus(640.0) + before)
    try:
        with pytest.raises(LimitError, match="zone_plate_z = .* is outside its soft limits"):
            station.check_scan(scan())
        assert station.energy.limits[1] < 640
    finally:
        station.defocus.put(before)


def test_a_disk_that_is_too_small_is_refused(beamline, monkeypatch):
    station = beamline.instruments["ptycho"]
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 100_000))
    with pytest.raises(ValueError, match=r"camera: 21 frames are 0.00275 GB, more than the 0.0001"):
        station.check_scan(scan())
    monkeypatch.setattr(station.camera, "keeps", False)  # as a dry run has it
    station.check_scan(scan())


def test_a_folder_that_is_yet_to_be_made_is_on_the_disk_of_its_parent(
    beamline, monkeypatch, tmp_path
):
    station, usage = beamline.instruments["ptycho"], namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(0, 0, 100_000))
    station.camera.write_path.put(str(tmp_path / "day" / "one"))
    try:
        with pytest.raises(ValueError, match=rf"are free in {re.escape(str(tmp_path))}$"):
            station.check_scan(scan())
    finally:
        station.camera.write_path.put("")


def test_where_the_coarse_stage_goes(beamline):
    station = beamline.instruments["ptycho"]
    near, far = Exposures(640.0, 0.1, PLACES), Exposures(640.0, 0.1, ((400.0, 0.0), (402.0, 0.0)))
    assert station.place(near, at=(0.0, 0.0)) == (None, None)
    assert station.place(far, at=(0.0, 0.0)) == (pytest.approx(401.0), None)
    assert station.place(near, at=(401.0, 0.0))[0] == pytest.approx(0.05)
    dark = Exposures(640.0, 0.1, ((1e6, 0.0),), Role.DARK)
    with pytest.raises(ValueError, match="sample_stage_x = .* is outside its soft limits"):
        station.place(dark)  # the path goes to the places of dark frames, too
    dark = Exposures(640.0, 0.1, ((400.0, 0.0),) * 3, Role.DARK)
    assert station.place(dark, at=(0.0, 0.0)) == (pytest.approx(400.0), None)


def test_a_path_that_an_outage_hid_is_ended_when_all_answer_again(beamline, monkeypatch):
    station, ended = beamline.instruments["ptycho"], []
    end_left = station.path.end_left

    def noted():
        ended.append(True)
        return end_left()

    monkeypatch.setattr(station.path, "end_left", noted)
    station.back_after(NoAnswerError("path: no answer")).wait(LONG)
    assert ended == [True]
    assert station.back_after(ValueError("no outage")) is None


def test_a_station_without_a_shutter_has_no_dark_frames(beamline):
    devices = beamline.devices
    names = ("zone_plate", "osa", "sample_stage", "camera", "path")
    parts = {name: devices[name] for name in names}
    made = type(beamline.instruments["ptycho"])(name="open", monochromator=devices["mono"], **parts)
    connect(made)
    with pytest.raises(ValueError, match="dark frames, and the beamline has no shutter"):
        made.check_scan(scan())
    with pytest.raises(DeviceError, match="no block was prepared"):
        made.trigger()
