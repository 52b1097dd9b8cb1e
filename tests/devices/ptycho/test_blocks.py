"""Blocks of frames: each frame is found in the file, or flagged and named."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from ophyd.utils import LimitError

from redoxscope.devices import DeviceError
from redoxscope.devices.camera import CountedFrames
from redoxscope.devices.path import FlownPath
from redoxscope.devices.ptycho import judged
from redoxscope.devices.ptycho._conditions import BlockConditions
from redoxscope.documents import PTYCHO_ARRAYS, BlockFrames, FrameStatus, PtychoInfo
from redoxscope.scan import Block, Exposures
from redoxscope.testing import FakePtycho

LONG = 30.0
TIMES = (0.01, 0.1)


def block(places: int = 4, first: int = 0, dark: bool = False) -> Block:
    return Block(1, first, tuple((0.04 * (first + k), 0.0) for k in range(places)), TIMES, dark)


@pytest.fixture
def station(tmp_path):
    made = FakePtycho(tmp_path, shape=(4, 6))
    made.block_frames.put(10)
    made.stage().wait(LONG)
    made.shutter.set("follow")
    yield made
    made.unstage().wait(LONG)


def take(station, asked=None):
    station.prepare(block() if asked is None else asked).wait(LONG)
    station.trigger().wait(LONG)
    return station.taken


def test_a_block_is_taken_place_by_place(station):
    station.sample_stage.x.position = 3.0  # sample coordinates are coarse plus fine
    taken = take(station)
    assert taken.good and taken.row.tolist() == list(range(8))
    assert taken.gate.tolist() == [0.01, 0.1] * 4
    assert taken.x.tolist() == pytest.approx(np.repeat(0.04 * np.arange(4), 2).tolist())
    with h5py.File(station.camera.path, "r", swmr=True) as file:
        frames = file["/entry/data/data"][:]
    assert frames[taken.row].mean(axis=(1, 2)).tolist() == [20, 110] * 4
    again = take(station, block(2, first=4))
    assert again.row.tolist() == [8, 9, 10, 11]


def test_a_short_block_is_filled_up(station):
    take(station, block(2, first=4))
    values = {key: one["value"] for key, one in station.read().items()}
    assert (values["exposure"], values["first"]) == (1, 4)
    assert {key: len(values[key]) for key in PTYCHO_ARRAYS} == dict.fromkeys(PTYCHO_ARRAYS, 10)
    keys = station.describe()
    assert set(keys) == set(values)
    assert all(keys[key]["shape"] == [10] for key in PTYCHO_ARRAYS)
    frames = BlockFrames.from_data(values, len(TIMES))
    assert frames.place.tolist() == [4, 4, 5, 5] and frames.time.tolist() == [0, 1, 0, 1]
    assert frames.row.tolist() == [0, 1, 2, 3] and not frames.status.any()


@pytest.mark.parametrize(
    ("fault", "status", "row", "words"),
    [
        ("drop", FrameStatus.UNWRITTEN, [0, 1, 2, 3, -1, 4, 5, 6], "no row in the file"),
        ("unwritten", FrameStatus.UNWRITTEN, [0, 1, 2, 3, -1, 4, 5, 6], "no row in the file"),
        ("torn", FrameStatus.TORN, [0, 1, 2, 3, -1, 5, 6, 7], "only part"),
        ("miss", FrameStatus.MISSED, [-1] * 8, "took 7 frames where 8"),
        ("extra", FrameStatus.EXTRA, [-1] * 8, "took 9 frames where 8"),
    ],
)
def test_what_is_wrong_is_found_and_the_next_try_is_whole(station, fault, status, row, words):
    station.camera.faults = [fault]
    taken = take(station)
    assert not taken.good and words in "; ".join(taken.reasons)
    assert taken.row.tolist() == row
    assert all(
        (found == status) == (place < 0) for found, place in zip(taken.status, row, strict=True)
    )
    rows = station.camera.frames
    again = take(station)
    assert again.good and again.row.tolist() == list(range(rows, rows + 8))


def test_a_pause_ends_the_block_and_nothing_of_it_counts(tmp_path):
    station = FakePtycho(tmp_path, prompt=False)
    station.block_frames.put(8)
    station.stage().wait(LONG)
    station.prepare(block()).wait(LONG)
    status = station.trigger()
    assert station.path.flying.wait(LONG)
    station.pause()
    status.wait(LONG)
    assert station.taken is None and not station.camera.armed
    with pytest.raises(DeviceError, match="no block was prepared"):
        station.trigger()
    station.path.prompt = True
    assert take(station).good
    station.unstage().wait(LONG)


def test_a_path_that_gives_up_fails_the_block_and_disarms(station):
    station.path.error = DeviceError("path gave up: a limit")
    station.prepare(block()).wait(LONG)
    with pytest.raises(DeviceError, match="a limit"):
        station.trigger().wait(LONG)
    assert station.taken is None and not station.camera.armed


def test_what_moved_flags_every_frame(station):
    station.conditions.doubts = [{FrameStatus.SHUTTER: ["the shutter was closed"]}]
    taken = take(station)
    assert set(taken.status.tolist()) == {FrameStatus.SHUTTER}
    assert taken.row.tolist() == list(range(8)) and taken.reasons == ("the shutter was closed",)


def test_blocks_that_cannot_be_are_refused_before_anything_moves(station):
    with pytest.raises(ValueError, match="12 frames; block_frames is 10"):
        station.prepare(block(6))
    with pytest.raises(ValueError, match=r"exposure of 0.0001 s is shorter than 0.001 s"):
        station.prepare(Block(0, 0, ((0.0, 0.0),), (1e-4,)))
    far = station.prepare(Block(0, 0, ((60.0, 0.0),), (0.1,)))
    with pytest.raises(Exception, match="fine_x = 60 µm is outside its soft limits"):
        far.wait(LONG)
    station.shutter.dead_man = type(station.shutter.dead_man)("dead_man", 0.3)
    with pytest.raises(ValueError, match="block of 4 places takes"):
        station.prepare(block())
    assert station.prepare(block(dark=True)).wait(LONG) is None
    assert station.block_places(TIMES) == 1


def test_how_many_places_a_block_has(station):
    assert station.block_places((0.1,)) == 47  # 5 s of 0.105 s
    assert station.block_places((0.01,)) == 333
    assert station.block_time(block()) == pytest.approx(4 * 0.115 + 0.1)


def test_gates_and_places_that_are_not_as_asked_are_flagged():
    asked = Block(0, 0, ((0.0, 0.0), (1.0, 0.0)), (0.1,))
    fine = CountedFrames(np.array([0, 1]), np.array([0, 0]))
    flown = FlownPath(np.array([0.0, 1.5]), np.array([0.0, np.nan]), np.array([0.11, 0.1]))
    taken = judged(asked, fine, flown, {}, 0.2)
    assert taken.status.tolist() == [FrameStatus.GATE, FrameStatus.POSITION]
    assert taken.row.tolist() == [0, 1]
    assert "frame 0 was 0.11 s where 0.1 s" in taken.reasons[0]
    near = FlownPath(np.array([0.0, 1.1]), np.zeros(2), np.array([0.1, np.nan]))
    assert judged(asked, fine, near, {}, 0.2).status.tolist() == [0, FrameStatus.GATE]


def test_the_start_document_says_what_frames_are(station, tmp_path):
    info = PtychoInfo(**station.info([650.0, 640.0]))
    assert info.image == "ptycho_camera_image" and info.shape == (4, 6)
    y, x = info.object_pixel(640.0)
    assert x == pytest.approx(1.93725e-3 * 80_000 / (6 * 120), rel=1e-4)
    assert y == pytest.approx(x * 6 / 4)
    assert info.probe_um == pytest.approx(2.44 * 0.045 + 240 * 4 / (240 * 45 * 640 / 1239.842))
    for name, shape in (("right.npy", (4, 6)), ("wrong.npy", (6, 4))):
        np.save(tmp_path / name, np.zeros(shape, dtype=np.uint8))
    station.mask.put(str(tmp_path / "right.npy"))
    assert station.info([640.0])["mask"] == str(tmp_path / "right.npy")
    station.mask.put(str(tmp_path / "wrong.npy"))
    with pytest.raises(ValueError, match="has 6 x 4 pixels, and frames have 4 x 6: it is of anoth"):
        station.info([640.0])
    station.mask.put(str(tmp_path / "none.h5"))
    with pytest.raises(ValueError, match="none.h5' cannot be read"):
        station.info([640.0])
    for name, value, words in (
        ("half.npy", 0.5, "0 .good. and 1 .bad. only"),
        ("all.npy", 1, "all pix"),
    ):
        np.save(tmp_path / name, np.full((4, 6), value))
        station.mask.put(str(tmp_path / name))
        with pytest.raises(ValueError, match=f"{name}' .*{words}"):
            station.info([640.0])
    (tmp_path / "empty.npy").touch()
    station.mask.put(str(tmp_path / "empty.npy"))
    with pytest.raises(ValueError, match="empty.npy' cannot be read"):
        station.info([640.0])


def test_frames_are_announced_with_shape_type_and_chunks(station):
    take(station)
    key = station.images.describe_collect()["ptycho_camera_image"]
    assert key["shape"] == [4, 6] and key["dtype_numpy"] == "<u2"
    resource, datum = station.images.collect_asset_docs()
    assert resource[1]["parameters"]["chunk_shape"] == [1, 4, 6]
    assert datum[1]["indices"] == {"start": 0, "stop": 8}
    assert list(station.images.collect_asset_docs()) == []
    take(station, block(1))
    ((name, more),) = station.images.collect_asset_docs()
    assert name == "stream_datum" and more["indices"] == {"start": 8, "stop": 10}


def test_the_file_is_closed_and_readable_when_a_block_was_broken_off(tmp_path):
    station = FakePtycho(tmp_path)
    station.block_frames.put(8)
    station.stage().wait(LONG)
    take(station)
    station.prepare(block()).wait(LONG)
    station.unstage().wait(LONG)
    with h5py.File(station.camera.path, "r") as file:
        assert file["/entry/data/data"].shape == (8, 16, 16)
    with pytest.raises(DeviceError, match="no file is open"):
        _ = station.camera.images.file


def test_a_block_that_is_stopped_while_it_is_prepared_leaves_nothing_armed(station, monkeypatch):
    """The stop comes when the path has its places and the camera is about to be armed."""
    arm = station.camera.arm

    def stopped_before(n, gate="external"):
        station.stop(success=True)
        return arm(n, gate)

    monkeypatch.setattr(station.camera, "arm", stopped_before)
    armed = threading.Event()
    paused = station.camera.pause
    monkeypatch.setattr(station.camera, "pause", lambda: (paused(), armed.set()))
    station.prepare(block()).wait(LONG)
    assert armed.wait(LONG) and not station.camera.armed
    with pytest.raises(DeviceError, match="no block was prepared"):
        station.trigger()


def test_a_path_that_begins_after_the_stop_is_ended(tmp_path, monkeypatch):
    station = FakePtycho(tmp_path, prompt=False)
    station.block_frames.put(8)
    station.stage().wait(LONG)
    station.prepare(block()).wait(LONG)
    fly, ended = station.path.fly, threading.Event()
    stop = station.path.stop

    def stopped_before(frames, seconds):
        station.stop(success=True)
        monkeypatch.setattr(station.path, "stop", lambda **how: (stop(**how), ended.set()))
        return fly(frames, seconds)

    monkeypatch.setattr(station.path, "fly", stopped_before)
    station.trigger().wait(LONG)
    assert ended.wait(LONG) and not station.path.flying.is_set()
    assert station.taken is None and station.path.flown_paths == 0
    station.unstage().wait(LONG)


@pytest.mark.parametrize("dark", [False, True])
def test_a_shutter_that_somebody_took_meanwhile_ends_the_run(dark):
    """A flag alone would have the block taken again, with the shutter opened for it."""

    class Taken:
        name, blade, told_to_follow = "shutter", None, False

        @property
        def follows(self):
            raise DeviceError("shutter was taken out of following")

    asked = SimpleNamespace(pin_within=lambda near: (0.0, 0.0), held=lambda: [])
    conditions = BlockConditions(asked, Taken(), None)
    conditions.hold(block(dark=dark))
    if dark:  # it was told to close
        assert conditions.judged() == {}
    else:
        with pytest.raises(DeviceError, match="taken out of following"):
            conditions.judged()


def test_the_fine_stage_has_room_for_what_the_coarse_one_is_off(station):
    """It reaches 50 µm to either side, from where the coarse one really stands."""
    station.sample_stage.x.tolerance = 0.5
    narrow = Exposures(640.0, 0.1, ((100.0, 0.0), (199.0, 0.0)))
    assert station.place(narrow) == (149.5, None)
    wide = Exposures(640.0, 0.1, ((100.0, 0.0), (200.0, 0.0)))
    with pytest.raises(LimitError, match="fine_x = -50.5 µm is outside its soft limits"):
        station.place(wide)
    assert station.place(wide, at=(150.0, 0.0)) == (None, None)


def test_what_a_pause_left_behind_does_not_end_the_next_block(station, monkeypatch):
    """The thread of a block comes back late from its wait, with an error, and disarms nothing."""
    station.prepare(block()).wait(LONG)
    back, ends = threading.Event(), []

    def late(over, patience):
        assert back.wait(LONG)
        raise DeviceError("no answer")

    monkeypatch.setattr(station.camera, "count", late)
    status = station.trigger()
    (old,) = (one for one in threading.enumerate() if one.name == station.name)
    station.pause()
    status.wait(LONG)
    monkeypatch.undo()
    station.prepare(block()).wait(LONG)
    monkeypatch.setattr(station.camera, "pause", lambda: ends.append(1))
    back.set()
    old.join(LONG)
    assert not old.is_alive() and not ends
    monkeypatch.undo()
    station.trigger().wait(LONG)
    assert station.taken.good
