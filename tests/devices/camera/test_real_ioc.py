"""Camera and path on records of a real EPICS IOC: nothing depends on caproto's behaviour."""

from __future__ import annotations

import itertools
import queue
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from bluesky import plans as bp

from redoxscope.devices import BeamlineBusyError, DeviceError
from redoxscope.devices._base import NoAnswerError
from redoxscope.devices.camera import _camera
from redoxscope.devices.path import _path
from redoxscope.documents import FrameStatus

LONG = 60.0


def settings(camera):
    cam, hdf = camera.cam, camera.hdf1
    signals = (cam.image_mode, cam.trigger_mode, cam.num_images, hdf.enable, hdf.swmr_mode,
               hdf.file_write_mode, hdf.num_capture, hdf.num_frames_flush)  # fmt: skip
    return {signal.name: signal.get(use_monitor=False) for signal in signals}


def test_frames_are_armed_counted_and_found_and_all_is_given_back(camera, driver):
    before = settings(camera)
    camera.stage().wait(LONG)
    staged = settings(camera)
    assert staged["camera_cam_trigger_mode"] == "Ext. Gate" and staged["camera_hdf1_swmr_mode"] == 1
    assert camera.frames == 0 and camera.images.describe_collect()["camera_image"]["shape"] == [
        4,
        6,
    ]
    camera.arm(3).wait(LONG)
    assert int(camera.cam.num_images.get(use_monitor=False)) == 4  # one to spare
    assert int(camera.cam.acquire.get(use_monitor=False)) == 1
    driver.frames(3)
    counted = camera.count()
    assert counted.row.tolist() == [0, 1, 2] and counted.reasons == ()
    assert int(camera.cam.acquire.get(use_monitor=False)) == 0
    camera.arm(3).wait(LONG)
    driver.frames(3, lost=[1])
    counted = camera.count()
    assert counted.row.tolist() == [3, -1, 4]
    assert counted.status.tolist() == [0, FrameStatus.UNWRITTEN, 0]
    camera.arm(2).wait(LONG)
    driver.frames(3)
    assert camera.count().status.tolist() == [FrameStatus.EXTRA] * 2
    camera.arm(1).wait(LONG)
    driver.frames(1)
    assert camera.count().row.tolist() == [8]
    file = camera.images.file.path
    camera.unstage().wait(LONG)
    assert settings(camera) == before
    with h5py.File(file, "r") as there:
        assert there["/entry/data/data"].shape == (9, 4, 6)


def test_a_frame_that_is_written_late_is_waited_for(camera, driver, monkeypatch):
    """Its writer has it already; it would be flagged, and the sample exposed again."""
    camera.stage().wait(LONG)
    camera.arm(3).wait(LONG)
    driver.frames(3, late=True)
    looks, check = itertools.count(), camera._check_written

    def look():
        if next(looks) == 3:
            driver.written()
        check()

    monkeypatch.setattr(camera, "_check_written", look)
    counted = camera.count(patience=LONG)
    assert counted.row.tolist() == [0, 1, 2] and counted.reasons == ()


def test_a_frame_too_many_does_not_pass_for_the_last_that_is_still_read_out(camera, driver):
    """As many as are wanted are counted when the path is over, and one was a gate's noise."""
    camera.stage().wait(LONG)
    camera.readout.put(2 * LONG)
    camera.arm(3).wait(LONG)
    driver.frames(3)
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(camera.count, patience=LONG)
        driver.frames(1)
        counted = counting.result(LONG)
    assert counted.status.tolist() == [FrameStatus.EXTRA] * 3
    assert "took 4 frames where 3 were asked for" in counted.reasons[0]


def test_one_frame_at_a_time_in_bluesky(camera):
    documents = []
    engine = RunEngine(call_returns_result=False)
    engine.subscribe(lambda name, doc: documents.append((name, doc)))
    engine(bp.count([camera], 2))
    assert [doc["data"] for name, doc in documents if name == "event"] == [
        {"camera_frame": 0}, {"camera_frame": 1},
    ]  # fmt: skip
    assert documents[-1][1]["exit_status"] == "success"


def test_what_makes_no_frames_is_refused_before_a_file_is_opened(camera, driver):
    try:
        driver.put("Cam:HDF1:PluginType_RBV", "NDFileTIFF ver1.0")
        with pytest.raises(DeviceError, match="'NDFileTIFF ver1.0'; a plugin NDFileHDF5 is needed"):
            camera.stage().wait(LONG)
    finally:
        driver.put("Cam:HDF1:PluginType_RBV", "NDFileHDF5 ver1.10.1")
    camera.unstage().wait(LONG)
    try:
        driver.put("Cam:HDF1:ArraySize0_RBV", 0)
        with pytest.raises(DeviceError, match=r"has seen frames of 4 x 0 .* camera's are 4 x 6"):
            camera.stage().wait(LONG)
    finally:
        driver.put("Cam:HDF1:ArraySize0_RBV", 6)


def test_a_writer_that_cannot_write_is_heard(camera, driver):
    camera.stage().wait(LONG)
    camera.arm(3).wait(LONG)
    driver.frames(1)
    try:
        driver.put("Cam:HDF1:WriteMessage", "No space left on device")
        driver.put("Cam:HDF1:WriteStatus", 1)
        with pytest.raises(DeviceError, match="cannot write its file: No space left on device"):
            camera.count()
    finally:
        driver.put("Cam:HDF1:WriteStatus", 0)


def test_a_file_that_cannot_be_opened_says_why_at_once(camera, driver):
    driver.refuses = True
    try:
        with pytest.raises(DeviceError, match="cannot write its file: there is no such folder"):
            camera.stage().wait(LONG / 2)  # not when the time limit of an order is over
    finally:
        driver.refuses = False
        camera.unstage().wait(LONG)
        driver.put("Cam:HDF1:WriteStatus", 0)
        driver.put("Cam:HDF1:Capture", 0)
    camera.stage().wait(LONG)
    assert camera.frames == 0


def test_a_path_is_taken_flown_and_measured(path, driver):
    n = 4000
    x = np.linspace(-1, 1, n)
    path.load(x, -x, (0.01, 0.1), 0.005).wait(LONG)
    assert int(path.places.get(use_monitor=False)) == n
    path.load([0.5], [0.25], (0.02,), 0.0).wait(LONG)  # one value comes as a scalar
    status = path.fly(1, 0.02)
    assert driver.starts.acquire(timeout=LONG)
    driver.path_over([0.51], [0.26], [0.0201])
    status.wait(LONG)
    assert path.flown.x.tolist() == [0.51] and path.flown.gate.tolist() == [0.0201]
    status = path.fly(1, 0.02)
    assert driver.starts.acquire(timeout=LONG)
    driver.put("Path:Message", "following error")
    driver.put("Path:State_RBV", 2)
    with pytest.raises(DeviceError, match="gave up: following error"):
        status.wait(LONG)
    driver.put("Path:State_RBV", 0)
    status = path.fly(1, 0.02)
    assert driver.starts.acquire(timeout=LONG)
    path.pause()
    status.wait(LONG)
    assert path.flown is None
    assert int(path.abort.get(use_monitor=False)) == 1
    path.abort.put(0, wait=True)
    path.stop()  # it rests: an abort would close the shutter for a scanner, too
    assert int(path.abort.get(use_monitor=False)) == 0  # what was written is read after it


def test_a_path_that_was_lost_sight_of_is_ended_before_the_next(path, driver, monkeypatch):
    """It is no path of somebody else; one that is, is left alone."""
    monkeypatch.setattr(_path, "TAKEN", LONG)
    path.load([0.5], [0.25], (0.02,), 0.0).wait(LONG)
    status = path.fly(1, 0.02)
    assert driver.starts.acquire(timeout=LONG)
    driver.put("Path:State_RBV", 1)
    path._end(NoAnswerError("Path:State_RBV disconnected"))
    with pytest.raises(NoAnswerError, match="disconnected"):
        status.wait(LONG)
    path.check_free()
    path.end_left().wait(LONG)
    assert int(path.state.get(use_monitor=False)) == 0
    driver.put("Path:Series", int(path.series.get(use_monitor=False)) + 1)
    driver.put("Path:State_RBV", 1)
    path.end_left().wait(LONG)
    assert int(path.state.get(use_monitor=False)) == 1  # it is left alone
    try:
        with pytest.raises(BeamlineBusyError, match="on its way for somebody else"):
            path.check_free()
    finally:
        driver.put("Path:State_RBV", 0)


def test_a_path_of_which_a_question_fails_is_ended(path, driver, monkeypatch):
    path.load([0.5], [0.25], (0.02,), 0.0).wait(LONG)
    path.abort.put(0, wait=True)
    asked = _path.ask

    def unanswered(signal):
        if signal is path.index:
            raise TimeoutError("no answer")
        return asked(signal)

    monkeypatch.setattr(_path, "ask", unanswered)
    status = path.fly(1, 0.02)
    with pytest.raises(NoAnswerError, match="no answer"):
        status.wait(LONG)
    monkeypatch.undo()
    assert int(path.abort.get(use_monitor=False)) == 1 and path._flying is None
    path.check_free()


def test_a_stop_comes_before_the_order_and_nothing_is_armed(camera, monkeypatch):
    """As the order is given, the plan has been stopped: it waits for what is written before."""
    camera.stage().wait(LONG)
    real = _camera.write

    def stopped_before(wanted, what, seconds, over):
        found = real(wanted, what, seconds, over)
        camera.stop(success=True)
        return found

    monkeypatch.setattr(_camera, "write", stopped_before)
    camera.arm(2).wait(LONG)
    monkeypatch.undo()
    camera.disarm().wait(LONG)  # after the thread of the order has gone on
    assert int(camera.cam.acquire.get(use_monitor=False)) == 0
    camera.arm(2).wait(LONG)
    assert int(camera.cam.acquire.get(use_monitor=False)) == 1


def test_a_stop_disarms_although_no_monitor_has_said_yet_that_it_acquires(camera, monkeypatch):
    camera.stage().wait(LONG)
    camera.arm(2).wait(LONG)
    asked = camera.cam.acquire.get
    monkeypatch.setattr(
        camera.cam.acquire, "get", lambda **how: asked(**how) if "use_monitor" in how else 0
    )
    camera.stop(success=True)
    monkeypatch.undo()
    assert int(camera.cam.acquire.get(use_monitor=False)) == 0


def test_each_step_of_closing_is_taken_though_one_fails(camera, monkeypatch, caplog):
    camera.stage().wait(LONG)
    off = camera._off

    def fails(signal):
        if signal is camera.cam.acquire:
            raise DeviceError("it does not rest")
        off(signal)

    monkeypatch.setattr(camera, "_off", fails)
    camera.unstage().wait(LONG)
    assert "it does not rest" in caplog.text
    assert int(camera.hdf1.capture.get(use_monitor=False)) == 0
    assert int(camera.hdf1.swmr_mode.get(use_monitor=False)) == 0
    with pytest.raises(DeviceError, match="no file is open"):
        _ = camera.images.file


def test_what_ends_the_plan_while_the_file_is_opened_closes_it(camera, monkeypatch):
    """The end comes as the plugin is about to be told to open its file."""
    before, closing, begin = settings(camera), queue.Queue(), camera._begin_file

    def ended_before(move, limit):
        closing.put(camera.unstage())
        begin(move, limit)

    monkeypatch.setattr(camera, "_begin_file", ended_before)
    camera.stage().wait(LONG)
    closing.get(timeout=LONG).wait(LONG)
    assert int(camera.hdf1.capture.get(use_monitor=False)) == 0
    assert settings(camera) == before
    with pytest.raises(DeviceError, match="no file is open"):
        _ = camera.images.file


def test_what_was_written_is_given_back_where_not_all_was_taken(camera, monkeypatch):
    before, real = settings(camera), _camera.write

    def refused(*args):
        real(*args)
        raise DeviceError("SWMRMode is not taken")

    monkeypatch.setattr(_camera, "write", refused)
    with pytest.raises(DeviceError, match="SWMRMode is not taken"):
        camera.stage().wait(LONG)
    monkeypatch.undo()
    assert settings(camera) != before
    camera.unstage().wait(LONG)
    assert settings(camera) == before
