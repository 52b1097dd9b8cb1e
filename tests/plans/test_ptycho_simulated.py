"""Ptychography on the simulated beamline: real processes, a real file, and what goes wrong."""

from __future__ import annotations

import itertools
import logging
import os
import signal
from pathlib import Path

import h5py
import numpy as np
import pytest
from bluesky import Msg
from bluesky.preprocessors import plan_mutator
from bluesky.utils import single_gen
from ophyd import EpicsSignal
from ophyd.status import SubscriptionStatus

from redoxscope.beamline import make_beamline, simulated_beamline
from redoxscope.devices import DeviceError
from redoxscope.devices.ptycho import _blocks
from redoxscope.documents import FrameStatus
from redoxscope.formats import path_of_uri
from redoxscope.plans import ptychography
from redoxscope.scan import ptychography_scan
from redoxscope.session.support import at_binning
from redoxscope.sim import Simulation
from redoxscope.testing import make_engine, run_resuming

from .ptycho_client import ENGINE, SESSION, Client

LONG = 60.0
"""A busy machine has so long (s) for anything."""
SCAN = ptychography_scan(
    {"center": (0.0, 0.0), "size": (0.12, 0.08)},
    step=0.04, exposures=(0.02, 0.1), energies=[640.0], dark_frames=2,
)  # fmt: skip
PLACES = len(SCAN.exposures[-1].positions)
DARK = 2
IDS = "/entry/instrument/NDAttributes/NDArrayUniqueId"


@pytest.fixture(scope="module")
def made():
    with Simulation("diffusion", speed=20, options={"camera-size": 64}) as simulation:
        file = at_binning(simulated_beamline(simulation.prefix), simulation)
        for name in ("stxm", "xas", "tes"):
            file = file.without(name)
        # smaller than half of the window that 64 pixels have
        file = file.with_instrument("ptycho", defocus=3.0)
        beamline = make_beamline(file)
        beamline.connect(LONG)
        yield simulation, beamline.instruments["ptycho"]
        beamline.destroy()


class Run:
    """One run of the plan, and what it leaves."""

    def __init__(self, made):
        self.simulation, self.station = made
        self.engine, self.documents = make_engine()
        prefix = self.simulation.prefix
        self._fault = EpicsSignal(f"{prefix}Sim:Fault", name="fault", put_complete=True)
        self._fault.wait_for_connection(timeout=LONG)
        self.fault("clear")

    def fault(self, command):
        self._fault.set(command, timeout=LONG).wait()

    def after_events(self, count, act):
        """Do something once, when so many events have been emitted."""
        seen = []

        def look(name, doc):
            if name == "event":
                seen.append(doc)
                if len(seen) == count:
                    act()

        self.engine.subscribe(look)

    def plan(self):
        return ptychography(self.station, scan=SCAN)

    def __call__(self):
        self.engine(self.plan())

    def rows(self):
        return list(self.documents.rows().values())

    def file(self):
        (resource,) = self.documents.named("stream_resource")
        with h5py.File(path_of_uri(resource["uri"]), "r") as file:
            return file["/entry/data/data"][:], file[IDS][:]

    def check_whole(self):
        """Each place and time once, with a frame of its own that the file has."""
        self.documents.validate()
        assert self.documents.stop["exit_status"] == "success"
        data, ids = self.file()
        rows = []
        for event in self.rows():
            n = event["places"] * len(SCAN.exposures[event["exposure"]].times)
            status, row = np.asarray(event["frame_status"]), np.asarray(event["row"])
            assert (status[:n] == FrameStatus.OK).all() and (row[n:] == -1).all()
            part = SCAN.exposures[event["exposure"]]
            first = event["first"]
            asked = np.repeat(part.positions[first : first + event["places"]], len(part.times), 0)
            found = np.column_stack([event["x"][:n], event["y"][:n]])
            np.testing.assert_allclose(found, asked, atol=0.02)  # the stage's errors
            np.testing.assert_allclose(
                event["gate"][:n], np.tile(part.times, event["places"]), rtol=0.02
            )
            rows += row[:n].tolist()
        assert len(rows) == len(set(rows)) == 2 * DARK + 2 * PLACES
        assert (ids[rows] > 0).all() and (np.diff(ids[rows]) > 0).all()
        counts = data[rows].astype(float).mean(axis=(1, 2))
        lit = counts[2 * DARK :].reshape(PLACES, 2)
        assert (lit.min(axis=0) > counts[: 2 * DARK].max() + 10).all()
        assert (lit[:, 1] > 2 * lit[:, 0]).all() or lit[:, 1].max() > 10_000
        self.check_safe()

    def check_safe(self, file_open=False):
        """Whatever ended it; a pause keeps the file."""
        station = self.station
        for what, wanted in (
            (station.shutter.status, [0]),
            (station.path.state, [0, 2]),
            (station.camera.cam.acquire, [0]),
            (station.camera.hdf1.capture, [int(file_open)]),
        ):
            until(what, wanted)  # a pause gives the orders, and waits for nobody

    def in_a_block(self):
        """Wait until a path is half-way, with beam, and hangs there; the file of its frames."""
        station = self.station
        until(station.path.state, [1])
        until(station.path.index, range(1, 100))
        until(station.shutter.status, [1])
        until(station.camera.cam.acquire, [1])
        until(station.camera.hdf1.num_captured, range(1, 100))  # another process writes them
        return Path(station.camera.hdf1.full_file_name.get(use_monitor=False))


def until(what, wanted):
    """Wait until a signal has one of these values."""
    SubscriptionStatus(what, lambda *, value, **_: int(value) in wanted).wait(LONG)


def check_readable(path):
    """What was written is whole, though the run was broken off."""
    with h5py.File(path, "r") as file:
        assert len(file["/entry/data/data"]) == len(file[IDS]) > 0
        assert (file[IDS][:] > 0).all()


@pytest.fixture
def run(made):
    run = Run(made)
    yield run
    run.fault("clear")
    run.station.shutter.dead_man.set(30.0).wait(LONG)
    if run.engine.state not in ("idle", "panicked"):
        run.engine.abort()
    run._fault.destroy()


def test_every_frame_has_its_place_and_time(run):
    run()
    run.check_whole()
    assert {event["block_tries"] for event in run.rows()} == {1}
    info = run.documents.start["ptychography"]
    assert tuple(info["shape"]) == (64, 64) and info["pixel_um"] == 480.0


@pytest.mark.parametrize("fault", ["drop 2", "miss", "extra", "torn"])
def test_a_block_with_a_bad_frame_is_taken_again(run, fault, caplog):
    run.after_events(DARK, lambda: run.fault(f"camera {fault}"))  # before the first of the sample
    with caplog.at_level(logging.WARNING, "redoxscope"):
        run()
    run.check_whole()
    tries = [event["block_tries"] for event in run.rows()]
    assert tries == [1] * DARK + [2] + [1] * (len(tries) - DARK - 1)
    assert "is taken again" in caplog.text and "ptycho" in caplog.text


def test_a_full_disk_ends_the_run_and_leaves_what_it_has(run):
    run.after_events(DARK, lambda: run.fault("camera disk_full"))
    with pytest.raises(DeviceError, match=r"camera .*HDF1:WriteStatus.* No space left on device"):
        run()
    run.check_safe()
    assert run.documents.stop["exit_status"] == "fail"
    assert len(run.rows()) == DARK
    data, ids = run.file()
    assert len(data) == 2 * DARK and (ids > 0).all()
    run.fault("clear")
    again = Run((run.simulation, run.station))
    again()
    again.check_whole()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        pytest.param(os.unlink, "is not there any more", id="missing"),
        pytest.param(lambda path: os.truncate(path, 1000), "was cut off", id="truncated"),
    ],
)
def test_a_file_that_is_lost_meanwhile_ends_the_run_and_is_named(run, spoil, words):
    """Nobody measures on for a night into a file that cannot be read."""
    file = run.station.camera.hdf1.full_file_name
    run.after_events(DARK, lambda: spoil(file.get(use_monitor=False)))
    with pytest.raises(DeviceError, match=rf"camera.*\.h5 {words}"):
        run()
    run.check_safe()
    assert run.documents.stop["exit_status"] == "fail"
    again = Run((run.simulation, run.station))
    again()
    again.check_whole()


def test_a_camera_whose_process_dies_is_named_and_can_be_used_again(run):
    run.after_events(DARK, lambda: run.fault("camera exit"))
    with pytest.raises(DeviceError, match=r"camera .*disconnected"):
        run()
    run.check_safe()
    again = Run((run.simulation, run.station))
    again()
    again.check_whole()


def test_a_camera_that_stops_answering_is_named_and_nothing_is_made_up(run, monkeypatch, caplog):
    """Frames that do not come are flagged, not zero; after so many blocks the run ends."""
    monkeypatch.setattr(_blocks, "NOTICE", 1.0)
    run.fault("camera stall")
    with caplog.at_level(logging.WARNING, "redoxscope"):
        with pytest.raises((DeviceError, RuntimeError), match="ptycho|frame"):
            run()
    run.check_safe()
    for event in run.rows():
        n = event["places"] * len(SCAN.exposures[event["exposure"]].times)
        assert (np.asarray(event["row"]) == -1).all()
        assert (np.asarray(event["frame_status"][:n]) != FrameStatus.OK).all()


def test_a_pause_in_a_block_disarms_and_nothing_is_taken_twice(run):
    states, triggers = [], itertools.count()

    def paused_there(msg):
        if msg.command == "trigger" and next(triggers) == DARK:
            return None, single_gen(Msg("pause"))
        return None, None

    def paused():
        states.append(run.engine.state)
        run.check_safe(file_open=True)

    run_resuming(run.engine, plan_mutator(run.plan(), paused_there), paused)
    assert states == ["paused"]
    run.check_whole()


def test_sigterm_in_a_block_leaves_all_safe(run, tmp_path):
    run.fault("path_hang")
    run.station.shutter.dead_man.set(LONG).wait(LONG)  # it is not what ends this one
    with Client(run.simulation, tmp_path, SESSION) as client:
        client.said("BEGIN")
        file = run.in_a_block()
        client.process.send_signal(signal.SIGTERM)
        assert client.said("STOP abort the process received SIGTERM")
        run.check_safe()
        check_readable(file)


def test_after_ctrl_c_and_after_sigkill_in_a_block_all_is_safe(run, tmp_path):
    """What is killed closes nothing: the dead man does, and the next client ends what is left."""
    station = run.station
    run.fault("path_hang")
    station.shutter.dead_man.set(LONG).wait(LONG)
    with Client(run.simulation, tmp_path, ENGINE) as client:
        client.said("BEGIN")
        file = run.in_a_block()
        client.pause()
        run.check_safe(file_open=True)
        client.go_on()
        client.said("ABORTED")
        run.check_safe()
        check_readable(file)
        station.shutter.dead_man.set(10.0).wait(LONG)
        run.fault("path_hang")
        begun = SubscriptionStatus(station.path.state, lambda *, value, **_: int(value) == 1)
        client.go_on()
        begun.wait(LONG)
        until(station.camera.hdf1.num_captured, range(1, 100))
        file = station.camera.hdf1.full_file_name.get(use_monitor=False)
    assert client.process.returncode == -signal.SIGKILL
    until(station.path.state, [2])
    until(station.shutter.status, [0])
    station.shutter.dead_man.set(30.0).wait(LONG)
    run()
    run.check_whole()
    check_readable(file)
