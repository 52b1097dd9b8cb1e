"""The simulated camera without a process: gates become frames, frames become rows."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from redoxscope.sim.camera import CAMERA_FAULTS, CameraFaults
from redoxscope.sim.camera._worker import Worker

SHAPE = (8, 8)
IDS = "/entry/instrument/NDAttributes/NDArrayUniqueId"


class Marks:
    """Frames that hold where they were taken, how long, and in which beam."""

    def __init__(self):
        self.prepared = []

    def prepare(self, energy, defocus, /):
        if energy > 2000:
            raise ValueError(f"energy = {energy:g} eV is not known")
        self.prepared.append((energy, defocus))

    def frame(self, energy, x, y, time_s, flux, rng, defocus, /):
        if energy > 1000:
            raise ValueError(f"energy = {energy:g} eV is not known")
        found = np.full(SHAPE, 7, np.uint16)
        found[0, :6] = energy, x, y, 1000 * time_s, flux, defocus
        return found


class Bench:
    """A worker in a time that passes when it is told to."""

    def __init__(self, tmp_path, **options):
        self.now, self.said, self.source = 100.0, [], Marks()
        self.worker = Worker(
            self.source, lambda **said: self.said.append(said), now=lambda: self.now, **options
        )
        self.path = str(tmp_path / "frames.h5")
        self.do("beam", since=99.0, energy=640.0, flux=5.0, defocus=4.0)

    def do(self, order, **arguments):
        self.worker.handle({"do": order, **arguments})

    def open(self, frames=None, path=None, shape=SHAPE):
        self.do("open", path=path or self.path, shape=shape, frames=frames, swmr=True, flush=1)

    def arm(
        self, images=None, external=True, roi=(0, 0, 8, 8), time_s=0.01, period=0.1, handed_on=True
    ):
        self.do(
            "arm", images=images, external=external, roi=roi, time_s=time_s, period=period,
            begin=self.now, at=(3.0, 4.0), handed_on=handed_on,
        )  # fmt: skip

    def gates(self, count, series=1, every=0.1):
        numbers = range(count)
        self.do(
            "train", series=series, begin=self.now, x=[10.0 + i for i in numbers],
            y=[20.0] * count, gate=[0.03] * count, end=[every * (i + 1) for i in numbers],
        )  # fmt: skip

    def wait(self, seconds):
        end = self.now + seconds
        while (due := self.worker.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.worker.step()
        self.now = end

    def frames(self):
        with h5py.File(self.path, "r", swmr=True) as file:
            return file["/entry/data/data"][:], file[IDS][:]

    @property
    def counts(self):
        return self.said[-1]["counts"]

    def heard(self, event):
        return [said for said in self.said if said["event"] == event]


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    yield made
    made.worker.end()


def test_a_gate_is_a_frame_of_its_place_time_and_beam(bench):
    bench.open()
    bench.arm(images=3)
    bench.gates(3)
    bench.wait(0.25)
    bench.do("beam", since=bench.now, energy=641.0, flux=0.0, defocus=4.0)  # the blade falls
    bench.wait(0.25)
    data, ids = bench.frames()
    assert ids.tolist() == [1, 2, 3]
    assert data[:, 0, :6].tolist() == [
        [640, 10, 20, 30, 5, 4],
        [640, 11, 20, 30, 5, 4],
        [641, 12, 20, 30, 0, 4],
    ]
    assert [len(bench.heard(event)) for event in ("armed", "done", "train_over")] == [1, 1, 1]
    assert bench.source.prepared[0] == (640.0, 4.0)  # before the first is due


def test_a_slow_computer_loses_nothing_and_knows_the_beam_that_was(bench):
    bench.open()
    bench.arm(images=5)
    bench.gates(5)
    bench.do("beam", since=bench.now + 0.25, energy=640.0, flux=0.0, defocus=4.0)
    bench.now += 10.0  # nothing was computed meanwhile
    bench.wait(0.0)
    data, ids = bench.frames()
    assert ids.tolist() == [1, 2, 3, 4, 5]
    assert data[:, 0, 4].tolist() == [5, 5, 0, 0, 0]


def test_frames_are_not_made_before_they_are_due(bench):
    bench.open()
    bench.arm(images=5)
    bench.gates(5)
    bench.wait(0.25)
    assert bench.frames()[1].tolist() == [1, 2]


def test_gates_that_nobody_is_armed_for_are_no_frames(bench):
    bench.open()
    bench.gates(2)
    bench.wait(1.0)
    assert bench.frames()[1].size == 0
    assert bench.heard("train_over")


def test_it_takes_as_many_as_it_is_armed_for(bench):
    bench.open()
    bench.arm(images=2)
    bench.gates(4)
    bench.wait(1.0)
    assert bench.frames()[1].tolist() == [1, 2]
    assert bench.counts["images"] == 2


def test_by_itself_it_takes_frames_where_the_stage_stands(bench):
    bench.open()
    bench.arm(images=3, external=False)
    bench.wait(1.0)
    data, ids = bench.frames()
    assert ids.tolist() == [1, 2, 3]
    assert data[:, 0, 1:4].tolist() == [[3, 4, 10]] * 3
    assert len(bench.heard("done")) == 1
    assert bench.worker.next_due() is None


def test_what_is_cut_off_does_not_come(bench):
    bench.open()
    bench.arm()
    bench.gates(5)
    bench.wait(0.25)
    bench.do("cut", when=bench.now)
    bench.do("disarm")
    bench.wait(1.0)
    assert bench.frames()[1].tolist() == [1, 2]
    assert bench.heard("done")


def test_frames_that_the_plugin_is_not_given_are_counted_and_not_written(bench):
    bench.open()
    bench.arm(images=2, handed_on=False)
    bench.gates(2)
    bench.wait(1.0)
    assert bench.frames()[1].size == 0
    assert (bench.counts["acquired"], bench.counts["dropped"]) == (2, 0)


@pytest.mark.parametrize(("energy", "armed"), [(3000.0, 0), (1500.0, 1)])
def test_a_beam_that_the_model_does_not_know_ends_the_acquisition(bench, energy, armed):
    """No zeros, and the process lives on."""
    bench.open()
    bench.do("beam", since=99.5, energy=energy, flux=5.0, defocus=0.0)
    bench.arm(images=2)
    bench.gates(2)
    bench.wait(1.0)
    assert len(bench.heard("armed")) == armed
    assert f"{energy:g} eV" in bench.heard("failed")[-1]["text"]
    assert bench.frames()[1].size == 0
    bench.do("beam", since=bench.now, energy=640.0, flux=5.0, defocus=0.0)
    bench.arm(images=2)
    bench.gates(2, series=2)
    bench.wait(1.0)
    assert bench.frames()[1].tolist() == [1, 2]


def test_a_part_of_the_detector(bench):
    bench.open(shape=(4, 6))
    bench.arm(images=1, roi=(0, 0, 6, 4))
    bench.gates(1)
    bench.wait(1.0)
    assert bench.frames()[0].shape == (1, 4, 6)


def test_a_frame_of_another_size_than_the_file_is_an_error(bench):
    bench.open(shape=(4, 6))
    bench.arm(images=1)
    bench.gates(1)
    bench.wait(1.0)
    assert bench.frames()[0].shape == (0, 4, 6)
    (said,) = bench.heard("write_error")
    assert "(8, 8)" in said["text"] and "(4, 6)" in said["text"]


def test_a_file_of_so_many_frames_is_closed_after_them(bench):
    bench.open(frames=2)
    bench.arm(images=3)
    bench.gates(3)
    bench.wait(1.0)
    assert len(bench.heard("closed")) == 1
    with h5py.File(bench.path, "r") as file:  # as whole as can be
        assert file["/entry/data/data"].shape == (2, *SHAPE)
    assert bench.counts["acquired"] == 3


@pytest.mark.parametrize(
    ("fault", "ids", "acquired", "captured"),
    [
        ("drop", [2, 3], 3, 2),
        ("miss", [1, 2], 2, 2),
        ("extra", [1, 2, 3, 4], 4, 4),
        ("torn", [0, 2, 3], 3, 3),
        ("unwritten", [2, 3], 3, 3),
    ],
)
def test_what_can_happen_to_a_frame(bench, fault, ids, acquired, captured):
    bench.do("fault", command=fault)
    bench.open()
    bench.arm()
    bench.gates(3)
    bench.wait(1.0)
    data, found = bench.frames()
    assert found.tolist() == ids
    assert len(data) == len(ids)
    assert (bench.counts["acquired"], bench.counts["captured"]) == (acquired, captured)
    assert bench.counts["dropped"] == (fault == "drop")
    if fault == "torn":
        assert (data[0, 4:] == 0).all() and data[1:, 4:].all()


def test_a_stalled_camera_gives_nothing_and_goes_on_when_it_is_cleared(bench):
    bench.open()
    bench.arm(images=2)
    bench.do("fault", command="stall")
    bench.gates(2)
    bench.wait(1.0)
    assert bench.counts["acquired"] == 0 and not bench.heard("done")
    assert bench.heard("train_over")
    bench.do("fault", command="clear")
    bench.gates(2, series=2)
    bench.wait(1.0)
    assert bench.frames()[1].tolist() == [1, 2]
    assert bench.heard("done")


def test_late_frames_come_and_closing_waits_for_them(bench):
    bench.do("fault", command="late 5")
    bench.open()
    bench.arm(images=2)
    bench.gates(2)
    bench.wait(1.0)
    assert bench.frames()[1].size == 0 and bench.heard("done")
    bench.do("close")
    bench.wait(1.0)
    assert not bench.heard("closed")
    bench.wait(10.0)
    assert bench.frames()[1].tolist() == [1, 2]
    assert len(bench.heard("closed")) == 1


@pytest.mark.parametrize("when", ["at the start", "in the middle"])
def test_a_full_disk_is_told_and_the_file_stays_readable(bench, when):
    if when == "at the start":
        bench.do("fault", command="disk_full")
    bench.open()
    bench.arm(images=4)
    bench.gates(4)
    bench.wait(0.25)
    bench.do("fault", command="disk_full")
    bench.wait(1.0)
    assert "No space left" in bench.heard("write_error")[0]["text"]
    assert bench.heard("done")  # the camera itself goes on
    if when == "in the middle":
        with h5py.File(bench.path, "r") as file:
            assert file[IDS][:].tolist() == [1, 2]


def test_a_folder_that_is_not_there_is_told(bench, tmp_path):
    bench.open(path=str(tmp_path / "nowhere" / "a.h5"))
    assert bench.heard("write_error")[0]["text"]


def test_a_rehearsal_counts_and_writes_rows_and_computes_nothing(tmp_path):
    bench = Bench(tmp_path, instant=True)
    bench.open()
    bench.arm(images=3)
    bench.gates(3, every=0.0)
    bench.wait(0.0)
    data, ids = bench.frames()
    assert ids.tolist() == [1, 2, 3] and not data.any()
    assert bench.source.prepared == []
    bench.worker.end()


def test_faults_are_read_and_wrong_ones_are_named():
    faults = CameraFaults()
    faults.request("drop 2")
    assert [faults.take("drop") for _ in range(3)] == [True, True, False]
    faults.request("late 0.5")
    assert faults.late_s == 0.5
    faults.request("clear")
    assert faults.late_s == 0.0
    for wrong in (
        "nothing",
        "drop x",
        "drop 0",
        "drop 1.5",
        "late",
        "late nan",
        "stall 3",
        "late -1",
    ):
        with pytest.raises(ValueError, match="camera"):
            faults.request(wrong)
    assert set(CAMERA_FAULTS) >= {"drop", "extra", "miss", "torn", "unwritten", "stall", "silent"}
