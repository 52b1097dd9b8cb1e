"""The TES against a simulated Dastard: what is counted, and what goes wrong."""

from __future__ import annotations

import threading
from collections import Counter

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from redoxscope.devices import TES, DeviceError
from redoxscope.devices.tes import DastardError
from redoxscope.documents import PHOTON_KEYS, POINT_KEYS, TOTAL_KEYS
from redoxscope.formats import PhotonListWriter, read_photon_list
from redoxscope.sim import SimulatedDastard

from .parts import SPEED, WAIT, make_tes, measure, one_run, plan, settled, totals, truth, written


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with SimulatedDastard(speed=SPEED, seed=1, data=tmp_path_factory.mktemp("dastard")) as running:
        yield running
        assert running.alive, running.output


@pytest.fixture
def tes(server, tmp_path):
    server.beam(energy=640.0, open=True, flux=1.0, sample="lmr_charged")
    device = make_tes(server, tmp_path)
    yield device
    assert server.alive, server.output
    server.fault("clear")
    device.time_limit.put(10.0)
    settled(device)
    device.unstage().wait(WAIT)
    device.destroy()


@pytest.fixture
def fault(server, tes):
    """Let something go wrong; it has begun to when this returns."""

    def request(command):
        server.fault(command)
        settled(tes)

    return request


# -- what is counted ----------------------------------------------------------------------


def test_points_hold_what_the_server_wrote(tes):
    """Event, photon list and OFF files agree photon by photon."""
    tes.windows.put(["PFY[500:560]", "XES[630:650]"])
    points, total = one_run(tes, 4)
    photons = read_photon_list(tes.photon_list.get())
    pixel, time = written(tes)
    usable = np.isin(pixel, tes.calibration.usable)
    keys = {key for key in POINT_KEYS if key.startswith("tes_")} | {"tes_PFY"}
    keys.remove("tes_point_status")  # of the conditions beside it
    for i, point in enumerate(points):
        assert set(point) == keys
        assert point["tes_point"] == i
        start, end = point["tes_point_start"], point["tes_point_end"]
        assert end - start == 10**9
        inside = (time >= start) & (time < end)
        assert point["tes_counts"] == (inside & usable).sum() > 100
        mine = (photons.point == i) & ~photons.late
        assert mine.sum() == inside.sum()
        counted = mine & np.isfinite(photons.photons.energy)
        assert counted.sum() == point["tes_counts"]
        histogram, _ = np.histogram(photons.photons.energy[counted], tes.bins.edges)
        assert np.abs(histogram - point["tes_spectrum"]).sum() <= 2  # on a border, single precision
        assert point["tes_PFY"] == sum(point["tes_spectrum"][600:720])
        assert 0.9 < point["tes_live_fraction"] < 1.0
        assert point["tes_late"] == point["tes_lost"] == 0
    assert tuple(total) == TOTAL_KEYS
    assert total["tes_total_photons"] == len(photons)
    assert total["tes_total_late"] == total["tes_total_lost"] == 0
    assert total["tes_total_outside"] == (photons.point < 0).sum()
    assert total["tes_total_pixels"] == len(tes.calibration.usable)
    assert photons.calibration["uid"] == tes.calibration_uid.get()
    assert photons.points["point"].tolist() == [0, 1, 2, 3]


def test_a_run_in_documents(tes, RE, docs):
    RE(plan(tes, 3))
    events = [e for e in docs["event"] if "tes_point" in e["data"]]
    assert [e["data"]["tes_point"] for e in events] == [0, 1, 2]
    by_name = {d["name"]: d for d in docs["descriptor"]}
    assert set(by_name["tes_photons"]["data_keys"]) == set(PHOTON_KEYS)
    config = by_name["primary"]["configuration"]["tes"]["data"]
    for key in ("spectrum_low", "windows", "calibration_uid", "projector_uid", "noise_uid"):
        assert f"tes_{key}" in config
    assert config["tes_calibration_uid"] == tes.calibration.uid
    assert config["tes_line_table"] == "truth"
    assert config["tes_run_directory"] and config["tes_state_label"]
    assert len(docs["stream_resource"]) == len(PHOTON_KEYS)
    last = docs["stream_datum"][-1]["indices"]["stop"]
    assert last == len(read_photon_list(tes.photon_list.get())) > 0
    assert docs["stop"][0]["exit_status"] == "success"


def test_few_pixels_the_best(tes):
    tes.pixel_limit.put(64)
    (point,), total = one_run(tes, 1)
    best = tes.calibration.best(64)
    photons = read_photon_list(tes.photon_list.get())
    mine = (photons.point == 0) & np.isin(photons.photons.pixel, best)
    assert point["tes_counts"] == mine.sum() > 0
    assert total["tes_total_pixels"] == 64
    assert set(np.unique(photons.photons.pixel[np.isfinite(photons.photons.energy)])) <= set(best)
    assert len(np.unique(photons.photons.pixel)) > 64  # the list has all


def test_a_point_without_beam_is_closed_too(tes, server):
    server.beam(open=False)
    tes.stage().wait(WAIT)
    measure(tes)  # photons of before
    (point,) = measure(tes)
    assert point["tes_counts"] < 20


def test_live_photons_are_those_of_the_event(tes):
    seen, spoilt = [], []

    def spoil(batch):
        spoilt.append(batch)
        raise RuntimeError("display broke")

    tes.subscribe_batches(spoil)
    end = tes.subscribe_batches(seen.append)
    tes.stage().wait(WAIT)
    (point,) = measure(tes)
    end()
    measure(tes)
    assert sum(len(batch.pixel) for batch in seen) == point["tes_counts"]
    assert {batch.point for batch in seen} == {0}
    assert {batch.point_start_ns for batch in seen} == {point["tes_point_start"]}
    assert len(spoilt) == 1
    local = np.concatenate([batch.local_time for batch in seen])
    assert np.ptp(local) <= 1.0 / SPEED


def test_calibrating_keeps_the_photons_and_makes_a_calibration(tes, server, RE, docs):
    server.beam(energy=1000.0, sample="reference")
    tes.set_calibration(None)
    with pytest.raises(ValueError, match="not calibrated"):
        tes.stage()
    tes.calibrating.put(True)
    tes.stage().wait(WAIT)
    (point,) = measure(tes)
    assert point["tes_counts"] > 1000
    assert np.isnan(point["tes_spectrum"]).all()
    assert tes.describe()["tes_spectrum"]["dtype_numpy"] == "<f8"
    with pytest.raises(DeviceError, match="nothing was calibrated"):
        tes.calibrator.read()


# -- interrupted --------------------------------------------------------------------------


def interrupt(tes, what, point=1):
    """Call ``what()`` when a window is open; what ends the subscription.

    In the thread that takes the photons: the window cannot be closed meanwhile.
    """
    done = threading.Event()

    def within(batch):
        if batch.point == point and not done.is_set():
            done.set()
            what()

    return tes.subscribe_batches(within)


def check_no_photon_twice(tes, events):
    photons = read_photon_list(tes.photon_list.get())
    index = list(zip(photons.photons.pixel, photons.photons.time_ns, strict=True))
    assert max(Counter(index).values()) == 1
    for event in events:
        data = event["data"]
        mine = (photons.point == data["tes_point"]) & ~photons.late
        assert (mine & np.isfinite(photons.photons.energy)).sum() == data["tes_counts"]
        times = photons.photons.time_ns[mine]
        assert (times >= data["tes_point_start"]).all() and (times < data["tes_point_end"]).all()
    windows = sorted((e["data"]["tes_point_start"], e["data"]["tes_point_end"]) for e in events)
    assert all(a[1] <= b[0] for a, b in zip(windows, windows[1:], strict=False))


def points_of(docs):
    return [e for e in docs["event"] if "tes_point" in e["data"]]


def test_pause_within_a_point_measures_it_again(tes, RE, docs):
    tes.dwell.put(4.0)
    with pytest.raises(RunEngineInterrupted, match="paused"):
        end = interrupt(tes, lambda: RE.request_pause(False))
        RE(plan(tes, 3))
    end()
    assert RE.state == "paused"
    RE.resume()
    events = points_of(docs)
    assert [e["seq_num"] for e in events] == [1, 2, 3]
    assert [e["data"]["tes_point"] for e in events] == [0, 2, 3]  # 1 was abandoned
    check_no_photon_twice(tes, events)


def test_suspension_within_a_point_measures_it_again(tes, RE, docs):
    import asyncio

    tes.dwell.put(4.0)

    def suspend():
        over = asyncio.Event()
        RE.request_suspend(over.wait)
        threading.Timer(0.1, lambda: RE.loop.call_soon_threadsafe(over.set)).start()

    end = interrupt(tes, suspend)
    RE(plan(tes, 3))
    end()
    events = points_of(docs)
    assert [e["data"]["tes_point"] for e in events] == [0, 2, 3]
    check_no_photon_twice(tes, events)


def test_abort_within_a_point_leaves_nothing_behind(tes, RE, docs):
    tes.dwell.put(100.0)
    with pytest.raises(RunEngineInterrupted, match="paused"):
        end = interrupt(tes, lambda: RE.request_pause(False), point=0)
        RE(plan(tes, 1))
    end()
    RE.abort()
    assert not tes.client.writing
    tes.dwell.put(1.0)
    RE(plan(tes, 2))
    events = points_of(docs)
    assert [e["data"]["tes_point"] for e in events] == [0, 1]
    check_no_photon_twice(tes, events)


def test_what_was_never_unstaged_is_staged_anew(tes):
    tes.stage().wait(WAIT)
    tes.dwell.put(100.0)
    status = tes.trigger()
    tes.dwell.put(1.0)
    points, _ = one_run(tes, 1)
    assert points[0]["tes_point"] == 0
    status.wait(WAIT)  # abandoned, no error


def test_stop_ends_whoever_waits_and_leaves_nothing_to_read(tes):
    tes.stage().wait(WAIT)
    tes.dwell.put(100.0)
    status = tes.trigger()
    tes.stop()
    status.wait(WAIT)
    with pytest.raises(DeviceError, match="abandoned"):
        tes.read()
    tes.dwell.put(1.0)
    assert measure(tes)[0]["tes_point"] == 1


def test_triggered_again_a_point_is_abandoned(tes):
    tes.stage().wait(WAIT)
    first = tes.trigger()
    second = tes.trigger()
    first.wait(WAIT)
    second.wait(WAIT)
    assert tes.read()["tes_point"]["value"] == 1
    late = tes.read()
    assert late == tes.read()  # reading twice changes nothing


def test_without_stage_nothing_is_counted(tes):
    with pytest.raises(DeviceError, match="not staged"):
        tes.trigger()
    with pytest.raises(DeviceError, match="not staged"):
        tes.read()
    with pytest.raises(DeviceError, match="not staged"):
        tes.totals.trigger()


def test_totals_do_not_change_once_they_are_complete(tes):
    tes.stage().wait(WAIT)
    measure(tes, 2)
    first, second = tes.totals.trigger(), tes.totals.trigger()  # as after a pause
    first.wait(WAIT)
    second.wait(WAIT)
    complete = tes.totals.read()
    feed = tes.client.status
    for _ in range(10):  # the server goes on counting
        feed.wait_for("TRIGGERRATE", lambda _: True, WAIT, what="it counts", after=feed.count)
    again = tes.totals.read()
    assert {k: v["value"] for k, v in again.items()} == {k: v["value"] for k, v in complete.items()}
    assert again["tes_total_lost"]["value"] == 0


def test_a_calibration_of_a_run_that_is_over_does_not_come_into_force(tes, monkeypatch):
    def too_late(*args, **kwargs):
        tes.unstage().wait(WAIT)
        return truth(seed=2)

    monkeypatch.setattr("redoxscope.devices.tes._calibrator.calibrate", too_late)
    before = tes.calibration
    tes.calibrating.put(True)
    tes.stage().wait(WAIT)
    measure(tes)
    with pytest.raises(DeviceError, match="not staged"):
        tes.calibrator.trigger().wait(WAIT)
    assert tes.calibration is before


# -- photons that come late, or never -----------------------------------------------------


def test_losses_are_counted(tes, fault):
    fault("drop 0.1")
    one_run(tes, 1)  # counts of before a client was well connected cannot be compared
    tes.stage().wait(WAIT)
    measure(tes, 1)  # nor can the second of the server's clock within which the run began
    points = measure(tes, 5)
    total = totals(tes)
    losses = tes.run.acquisition._losses._settled  # borders of what was compared, ns
    tes.unstage().wait(WAIT)
    photons = read_photon_list(tes.photon_list.get())
    _, time = written(tes)
    first, last = points[0]["tes_point_start"], points[-1]["tes_point_end"]
    wrote = ((time >= first) & (time < last)).sum()
    got = photons.photons.time_ns
    missing = wrote - ((got >= first) & (got < last)).sum()
    assert missing > 50
    # whole seconds of the server's clock are compared, which reach beyond first and last point;
    # how far depends on how long the server was connected, and the machine busy
    compared = np.diff(losses.reshape(-1, 2)).sum() / (last - first)
    assert missing <= total["tes_total_lost"] <= 1.5 * compared * missing
    assert 0 < sum(p["tes_lost"] for p in points) <= total["tes_total_lost"]


def test_late_photons_are_counted_but_change_no_event(tes, fault, RE, docs):
    fault("late 0.2 3.0")
    tes.lateness.put(0.5)
    RE(plan(tes, 8))
    events = points_of(docs)
    photons = read_photon_list(tes.photon_list.get())
    late = sum(e["data"]["tes_late"] for e in events)
    total = docs["event"][-1]["data"]
    assert photons.late.sum() == total["tes_total_late"] >= late > 20
    check_no_photon_twice(tes, events)
    assert total["tes_total_lost"] <= (photons.point >= 0).sum() * 0.3  # what is still to come


def test_lateness_waits_for_them(tes, fault):
    fault("late 0.2 0.5")
    tes.lateness.put(15.0)  # 1.5 s of real time, for a server that falls behind
    points, total = one_run(tes, 3)
    assert total["tes_total_late"] == 0
    assert [p["tes_late"] for p in points] == [0, 0, 0]


# -- what fails ---------------------------------------------------------------------------


def test_nobody_there(tmp_path):
    device = TES(port=1, photon_directory=tmp_path)
    with pytest.raises(DastardError, match=r"127\.0\.0\.1:2 .*not reachable"):
        device.connect(timeout=0.3)
    assert not device.connected
    device.set_calibration(truth())
    device.time_limit.put(0.3)
    with pytest.raises(DastardError, match="not reachable"):
        device.connect(timeout=0.3)
    device.destroy()


def test_not_connected_says_so(tmp_path):
    device = TES(photon_directory=tmp_path)
    device.set_calibration(truth())
    with pytest.raises(DeviceError, match="connect"):
        device.stage()
    device.unstage().wait(WAIT)
    device.destroy()


def test_a_silent_server_fails_the_point(tes, server, fault):
    tes.time_limit.put(1.0)
    tes.stage().wait(WAIT)
    server.fault("quiet")
    with pytest.raises(DeviceError, match=rf"127\.0\.0\.1:{server.base + 1} has been silent"):
        for _ in range(20):
            measure(tes)
    tes.unstage().wait(WAIT)
    fault("clear")
    tes.time_limit.put(10.0)
    points, total = one_run(tes, 2)
    assert [p["tes_point"] for p in points] == [0, 1]
    assert total["tes_total_lost"] == 0


def test_a_slow_server_is_named(tes, server, fault):
    fault("rpc_slow 6")
    tes.time_limit.put(2.0)
    with pytest.raises(DastardError, match=rf"{server.base}: SourceControl.*not answered"):
        tes.stage().wait(WAIT)
    fault("clear")
    tes.unstage().wait(WAIT)
    tes.time_limit.put(10.0)
    one_run(tes, 1)


def test_the_status_of_writing_may_be_late(tes, fault):
    fault("late_writing 5")
    tes.stage().wait(WAIT)
    assert tes.client.writing
    assert tes.run_directory.get()
    measure(tes)


def test_a_full_disk_at_the_server(tes, server, fault):
    fault("disk_full")
    with pytest.raises(DastardError, match=rf"127\.0\.0\.1:{server.base} refused .*no space left"):
        tes.stage().wait(WAIT)
    tes.unstage().wait(WAIT)
    fault("clear")
    one_run(tes, 1)


def test_a_full_disk_here(tes, monkeypatch):
    tes.stage().wait(WAIT)
    measure(tes)

    def full(self, *args, **kwargs):
        raise OSError(28, "No space left on device", str(self.path))

    with monkeypatch.context() as patch:
        patch.setattr(PhotonListWriter, "append", full)
        with pytest.raises(DeviceError, match="cannot be kept: .*No space left.*h5"):
            for _ in range(50):
                measure(tes)
        with pytest.raises(DeviceError, match="No space left"):
            totals(tes)
        tes.unstage().wait(WAIT)
    one_run(tes, 1)


def test_no_folder_for_photons(tes, tmp_path):
    (tmp_path / "file").write_text("")
    tes.photon_directory.put(str(tmp_path / "file" / "below"))
    with pytest.raises(DeviceError, match="no photon list"):
        tes.stage().wait(WAIT)
    tes.unstage().wait(WAIT)
    assert not tes.client.writing
    tes.photon_directory.put("")
    with pytest.raises(ValueError, match="photon_directory"):
        tes.stage()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("dwell", 0.0, "tes_dwell = 0.0 s"),
        ("dwell", float("nan"), "tes_dwell"),
        ("pixel_limit", 1.5, "whole number"),
        ("lateness", -1, "tes_lateness = -1 s"),
        ("windows", "PFY[1:2]", "list"),
    ],
)
def test_settings_refuse_nonsense(tes, setting, value, message):
    with pytest.raises(ValueError, match=message):
        getattr(tes, setting).set(value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"dwell": -1.0}, "tes_dwell"),
        ({"windows": ["PFY[100:300]"]}, "beyond"),
        ({"windows": ["nonsense"]}, "nonsense"),
        ({"windows": ["PFY[500:520]", "PFY[500:530]"]}, "already"),
        ({"pixels": 500}, "500 pixels"),
    ],
)
def test_a_scan_is_refused_before_it_begins(tes, asked, message):
    with pytest.raises(ValueError, match=message):
        tes.check_scan(**asked)
    tes.check_scan(dwell=1.0, windows=["PFY[500:530]"], pixels=64, calibrating=False)
