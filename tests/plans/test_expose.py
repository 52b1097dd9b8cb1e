"""Exposures of a frames detector: one event each, frames named by row, whatever a pause does."""

from __future__ import annotations

import re
import threading
from contextlib import nullcontext

import h5py
import numpy as np
import pytest

from redoxscope.formats import path_of_uri
from redoxscope.plans import FramesDetector, PointDetector, expose
from redoxscope.scan import Exposures, Outer, Scan
from redoxscope.testing import (
    FakeAxis,
    FakeFrames,
    FakeMono,
    FakePoint,
    FakeShutter,
    PromptHeater,
    make_engine,
    paused_after,
    run_resuming,
)

PLACES = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
SCAN = Scan(exposures=(Exposures(640.0, 0.1, PLACES), Exposures(650.0, 0.2, PLACES[:2])))


class Bench:
    """A frames detector, its stages, energy, shutter and a counter; an engine."""

    def __init__(self, folder, **options):
        self.x, self.y = FakeAxis("x", limits=(-5, 5)), FakeAxis("y", limits=(-5, 5))
        self.energy = FakeAxis("energy", 600.0, unit="eV", limits=(400, 1100))
        self.shutter = FakeShutter()
        self.counter = FakePoint()
        self.camera = FakeFrames(folder, picture=self.picture, **options)
        self.engine, self.documents = make_engine()
        self.lit = []

    def picture(self, n):
        """Where it was taken is in the frame: 16 bit, so in hundredths."""
        self.lit.append(self.shutter.beam)
        frame = np.zeros((4, 5))
        frame[0, :3] = 100 * self.x.position, 100 * self.y.position, self.energy.position
        return frame

    def plan(self, scan=SCAN, **options):
        options = {"shutter": self.shutter, "also": [self.counter]} | options
        return expose(self.camera, scan, self.x, self.y, self.energy, **options)

    def pictures(self):
        (resource,) = self.documents.named("stream_resource")
        with h5py.File(path_of_uri(resource["uri"])) as f:
            return f[resource["parameters"]["dataset"]][()]

    def check(self, scan=SCAN):
        """Each exposure once and in order, named, with the frame that was taken there."""
        self.documents.validate()
        rows = self.documents.rows()
        wanted = [
            (i, k, place, part.energy)
            for i, part in enumerate(scan.exposures)
            for k, place in enumerate(part.positions)
        ]
        assert list(rows) == list(range(1, len(wanted) + 1))
        pictures = self.pictures()
        for row, (i, k, (x, y), energy) in zip(rows.values(), wanted, strict=True):
            assert (row["exposure"], row["point"]) == (i, k)
            assert (row["x"], row["y"], row["energy"]) == (x, y, energy)
            picture = pictures[row["camera_frame"]]
            np.testing.assert_allclose(picture[0, :3], [100 * x, 100 * y, energy])
        assert all(self.lit)
        announced = [doc["indices"] for doc in self.documents.named("stream_datum")]
        assert announced[0]["start"] == 0 and announced[-1]["stop"] == len(pictures)
        for one, other in zip(announced, announced[1:], strict=False):
            assert one["stop"] == other["start"]
        assert "closed" in self.shutter.told and not self.shutter.beam
        assert self.documents.stop["exit_status"] == "success"


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_fakes_are_what_they_stand_for(bench):
    assert isinstance(bench.camera, FramesDetector)
    assert isinstance(bench.counter, PointDetector)


def test_an_event_per_exposure_names_its_frame(bench):
    bench.engine(bench.plan(md={"sample": "star"}))
    bench.check()
    start = bench.documents.start
    assert Scan.from_start(start) == SCAN and start["sample"] == "star"
    assert start["num_points"] == 5 and start["detectors"] == ["camera"]
    assert bench.camera.frames == 5 and bench.counter.points == 5
    assert bench.energy.targets == [640.0, 650.0]  # asked for where it changes only
    assert bench.camera.dwell.get() == 0.2


def test_many_exposures_are_announced_on_the_way(bench):
    scan = Scan(exposures=(Exposures(640.0, 0.1, [(0.1 * i, 0.0) for i in range(45)]),))
    bench.engine(bench.plan(scan))
    bench.check(scan)
    assert len(bench.documents.named("stream_datum")) == 3


def test_outer_loops_set_their_axis(bench):
    heater = FakeAxis("heater", 20.0, unit="degC", limits=(20, 400))
    parts = [Exposures(640.0, 0.1, PLACES[:1], outer=(t,)) for t in (100.0, 200.0)]
    scan = Scan(exposures=parts, outer=(Outer("temperature", "degC"),))
    bench.engine(bench.plan(scan, axes={"temperature": heater}))
    bench.check(scan)
    assert heater.targets == [100.0, 200.0]
    assert [row["heater"] for row in bench.documents.rows().values()] == [100.0, 200.0]


@pytest.mark.parametrize("fails", [False, True], ids=["done", "error"])
def test_a_heater_of_a_loop_is_made_safe(bench, fails):
    heater = PromptHeater()
    parts = [Exposures(640.0, 0.1, PLACES[:1], outer=(t,)) for t in (100.0, 200.0)]
    scan = Scan(exposures=parts, outer=(Outer("temperature", "degC"),))
    move = heater.set
    heater.set = lambda value: 1 / 0 if fails and value > 100 else move(value)
    with pytest.raises(ZeroDivisionError) if fails else nullcontext():
        bench.engine(bench.plan(scan, axes={"temperature": heater}))
    assert ("set", 100.0) in heater.told and heater.told[-1] == ("safe",)


@pytest.mark.parametrize("inside", [False, True], ids=["mono", "energy-of-a-mono"])
def test_the_edge_of_the_scan_holds_while_it_is_measured(bench, inside):
    """Its offset belongs to the energies, also where these are moved by another device."""
    mono, seen = FakeMono("mono"), []
    energy = mono
    if inside:
        energy = FakeAxis("energy", 600.0, unit="eV")
        energy.monochromator = mono
    bench.camera._picture = lambda n: seen.append(mono.edge.get()) or np.zeros((4, 5))
    scan = Scan(exposures=(Exposures(640.0, 0.1, PLACES),), edge="Mn L3")
    bench.engine(expose(bench.camera, scan, bench.x, bench.y, energy))
    assert seen == ["Mn L3"] * 3 and mono.edge.get() == ""
    far = Scan(exposures=(Exposures(6400.0, 0.1, PLACES),), edge="Mn L3")
    with pytest.raises(ValueError, match="mono = 6400 is outside 400 to 1100 eV"):
        bench.engine(expose(bench.camera, far, bench.x, bench.y, energy))


def test_dark_exposures_are_dark(bench):
    parts = [Exposures(640.0, 0.1, PLACES[:2], role=role) for role in ("dark", "sample", "i0")]
    bench.engine(bench.plan(Scan(exposures=parts)))
    assert bench.lit == [False, False, True, True, True, True]
    with pytest.raises(ValueError, match="exposures.0. has the role 'dark': give the shutter"):
        bench.plan(Scan(exposures=parts), shutter=None)


def test_a_frame_that_failed_is_taken_again(bench):
    bench.camera.fail_next(RuntimeError("no memory"))
    bench.engine(bench.plan())
    bench.check()
    assert bench.camera.triggered == 6


def test_one_that_fails_again_ends_the_run_safely(bench):
    bench.camera.fail_next(RuntimeError("no memory"))
    with pytest.raises(Exception, match="no memory"):
        bench.engine(bench.plan(Scan(exposures=SCAN.exposures, retries=0)))
    assert bench.documents.stop["exit_status"] == "fail" and not bench.shutter.beam


def test_a_detector_that_gives_no_frame_is_no_success(bench, monkeypatch):
    monkeypatch.setattr(bench.camera, "finish", bench.camera.stop)
    with pytest.raises(RuntimeError, match="camera gave no frame although it was triggered"):
        bench.engine(bench.plan())


@pytest.mark.parametrize(
    ("scan", "options", "words"),
    [
        (Scan(exposures=(Exposures(640.0, 0.1, ((6.0, 0.0),)),)), {}, "x = 6 is outside -5 to 5"),
        (Scan(exposures=(Exposures(64.0, 0.1, PLACES),)), {}, "energy = 64 is outside"),
        (Scan(exposures=(Exposures(640.0, 11.0, PLACES),)), {}, "camera_dwell = 11 s is above its"),
        (Scan(exposures=(Exposures(640.0, 9.0, PLACES),)), {"dead_man": 5.0}, "takes 9 s, longer"),
        (Scan(exposures=(Exposures(640.0, 0.1, PLACES),), edge="Mn L3"), {}, "does not know"),
        (
            SCAN,
            {"axes": {"temperature": FakeAxis("t")}},
            "'temperature', over which the scan does not loop",
        ),
        (SCAN, {"md": {"scan": 1}}, "md has the key 'scan'"),
    ],
)
def test_bad_input_is_refused_before_anything_moves(bench, monkeypatch, scan, options, words):
    options = dict(options)
    if "dead_man" in options:
        monkeypatch.setattr(bench.shutter.dead_man, "value", options.pop("dead_man"))
    with pytest.raises(ValueError, match=words):
        bench.engine(bench.plan(scan, **options))
    assert bench.x.targets == bench.y.targets == bench.energy.targets == bench.shutter.told == []
    assert len(bench.documents) == 0


def test_an_outer_loop_needs_its_axis(bench):
    part = Exposures(640.0, 0.1, PLACES, outer=(100.0,))
    scan = Scan(exposures=(part,), outer=(Outer("temperature", "degC"),))
    with pytest.raises(ValueError, match=r"loops over 'temperature' \(degC\) and no axis"):
        bench.plan(scan)


@pytest.mark.parametrize("name", ["x", "y", "energy", "shutter", "axes['temperature']"])
@pytest.mark.parametrize("given", ["stage", FakeAxis], ids=["a name", "a class"])
def test_what_cannot_be_set_is_refused(bench, name, given):
    part = Exposures(640.0, 0.1, PLACES, outer=(100.0,))
    scan = Scan(exposures=(part,), outer=(Outer("temperature", "degC"),))
    parts = {"x": bench.x, "y": bench.y, "energy": bench.energy, "shutter": bench.shutter}
    parts["axes['temperature']"] = FakeAxis("heater")
    parts[name] = given
    axes = {"temperature": parts.pop("axes['temperature']")}
    said = " is (text: give the device, without quotes|no device that can be set)"
    with pytest.raises(ValueError, match=re.escape(f"{name} = ") + ".*" + said):
        expose(bench.camera, scan, **parts, axes=axes)


def test_something_else_than_a_detector_is_refused(bench):
    with pytest.raises(ValueError, match="detector = 'counter'.*has no dwell, frames"):
        expose(bench.counter, SCAN, bench.x, bench.y, bench.energy)


def test_no_plan_runs_its_detector_where_the_scan_is_foretold(bench):
    plan = bench.plan()
    sent, answer = [], None
    while True:
        try:
            message = plan.send(answer)
        except StopIteration:
            break
        sent.append(message)
        answer = True if message.command == "null" and "scan" in message.kwargs else None
    assert "trigger" not in [message.command for message in sent]
    (asked,) = [m for m in sent if m.command == "null" and "scan" in m.kwargs]
    foreseen = asked.kwargs["scan"]
    assert asked.obj is bench.camera and foreseen.live == pytest.approx(SCAN.live_time)
    assert dict(foreseen.leaves) == {bench.energy: 650.0, bench.x: 1.0, bench.y: 0.0}


def moments():
    """Numbers of the plan's messages from its first checkpoint to the end of the run."""
    bench = Bench("unused")
    messages = [message.command for message in bench.plan()]
    first, last = messages.index("checkpoint"), messages.index("close_run")
    return [pytest.param(n, id=f"{n}-{messages[n]}") for n in range(first, last)]


@pytest.mark.parametrize("number", moments())
def test_paused_after_any_message_each_exposure_is_there_once(bench, number):
    def paused():
        assert not bench.shutter.beam

    assert run_resuming(bench.engine, paused_after(bench.plan(), number), paused) == 1
    bench.check()


@pytest.mark.parametrize("number", range(5))
def test_paused_in_the_middle_of_an_exposure_it_is_taken_again(bench, number):
    """The status of the exposure that was broken off ends well, and there is no frame of it."""
    trigger, count = bench.camera.trigger, 0

    def trigger_and_pause():
        nonlocal count
        bench.camera.prompt = count != number
        if not bench.camera.prompt:
            threading.Thread(target=bench.engine.request_pause).start()
        count += 1
        return trigger()

    bench.camera.trigger = trigger_and_pause
    assert run_resuming(bench.engine, bench.plan()) == 1
    bench.check()
    assert bench.camera.frames == 5 and bench.camera.triggered == 6


@pytest.mark.parametrize("number", range(3))
def test_paused_in_the_middle_of_a_move_nothing_is_taken_elsewhere(bench, number):
    move, count = bench.x.set, 0

    def move_and_pause(value):
        nonlocal count
        bench.x.prompt = count != number
        if not bench.x.prompt:
            threading.Thread(target=bench.engine.request_pause).start()
        count += 1
        return move(value)

    bench.x.set = move_and_pause
    assert run_resuming(bench.engine, bench.plan()) == 1
    bench.check()
