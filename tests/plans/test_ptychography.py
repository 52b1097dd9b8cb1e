"""Ptychography: blocks of frames, one event each, whatever a pause or a bad block does."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal

from redoxscope.devices import AreaDetectorCamera, DeviceError
from redoxscope.documents import BlockFrames, FrameStatus, PtychoInfo
from redoxscope.dry_run._engine import DryEngine, Rehearsal
from redoxscope.formats import path_of_uri
from redoxscope.plans import (
    FramesDetector,
    PtychographyStation,
    RunProgress,
    _blocks,
    estimate,
    ptychography,
)
from redoxscope.plans._schedule import schedule
from redoxscope.plans.support import lacking
from redoxscope.scan import (
    TRAJECTORIES,
    Exposures,
    Outer,
    Role,
    Scan,
    exposures_scan,
    ptychography_scan,
)
from redoxscope.testing import (
    FakePoint,
    FakePtycho,
    FakeShutter,
    make_engine,
    paused_after,
    run_resuming,
)

REGION = {"center": (0.1, 0.2), "size": (0.5, 0.2)}
ASKED = {"energies": [640, 650], "step": 0.1, "exposures": (0.1, 0.4), "dark_frames": 2}
SCAN = ptychography_scan(REGION, **ASKED)  # 10 places


class Bench:
    """A station and an engine. A frame holds where it was taken, how long, at which energy and
    with which light.
    """

    def __init__(self, folder, **options):
        self.station = FakePtycho(folder, shape=(2, 3), picture=self.picture, **options)
        self.engine, self.documents = make_engine()

    @staticmethod
    def picture(energy, x, y, time, beam):
        return np.array([[100 * (1 + x), 100 * (1 + y), 1000 * time], [energy, beam, 0]])

    def plan(self, region=REGION, **options):
        given = {} if "scan" in options else ASKED
        return ptychography(self.station, region, **(given | options))

    def run(self, **options):
        self.engine(self.plan(**options))

    def frames(self):
        """Every frame in the file, a row each: x, y, time, energy, light."""
        (resource,) = self.documents.named("stream_resource")
        with h5py.File(path_of_uri(resource["uri"])) as f:
            found = f[resource["parameters"]["dataset"]][()].astype(float).reshape(-1, 6)[:, :5]
        return np.column_stack([found[:, :2] / 100 - 1, found[:, 2] / 1000, found[:, 3:]])

    def blocks(self, scan=SCAN):
        """The events: the last of each block, in the order of the scan."""
        found = {}
        for row in self.documents.rows().values():
            found[row["exposure"], row["first"]] = row
        return found

    def check(self, scan=SCAN, *, files=None):
        """Each frame once, in order, with its place, time, energy and light in the file."""
        self.documents.validate()
        frames = self.frames()
        seen = []
        for (number, first), row in self.blocks().items():
            part = scan.exposures[number]
            block = BlockFrames.from_data(row, len(part.times))
            assert len(block.place) == row["places"] * len(part.times)
            assert block.place[0] == first and not block.status.any()
            for place, time, where, x, y, gate in zip(
                block.place, block.time, block.row, block.x, block.y, block.gate, strict=True
            ):
                wanted = (*part.positions[place], part.times[time], part.energy)
                assert (x, y, gate) == wanted[:3]
                light = part.role is not Role.DARK
                np.testing.assert_allclose(frames[where], [*wanted, light], atol=0.011)
                seen.append((number, place, time))
        assert seen == [
            (number, place, time)
            for number, part in enumerate(scan.exposures)
            for place in range(len(part.positions))
            for time in range(len(part.times))
        ]
        announced = [doc["indices"] for doc in self.documents.named("stream_datum")]
        assert announced[0]["start"] == 0 and announced[-1]["stop"] == len(frames)
        for one, other in zip(announced, announced[1:], strict=False):
            assert one["stop"] == other["start"]
        assert self.documents.stop["exit_status"] == "success"
        self.safe()

    def safe(self):
        station = self.station
        assert not station.camera.armed and not station.path.flying.is_set()
        assert station.camera._file is None and self.frames() is not None  # closed, and readable
        assert "closed" in station.shutter.told and not station.shutter.beam

    @property
    def asked(self):
        """Blocks that were flown to their end."""
        return [block for block, _ in self.station.taken_blocks]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_the_fake_is_what_it_stands_for(bench):
    assert lacking(bench.station, PtychographyStation) == []


def test_a_camera_that_is_not_staged_can_all_that_plans_ask_of_one():
    """A queue server asks what it can do before any run; no property is read for it."""
    camera = AreaDetectorCamera("nobody:", name="camera")
    assert lacking(camera, FramesDetector) == []
    assert camera.frames == 0
    camera.destroy()

    class Failing:
        name, dwell, images = "failing", None, None
        read = describe = check_exposures = stop = pause = resume = None

        @property
        def frames(self):
            raise RuntimeError("not now")

    assert lacking(Failing(), FramesDetector) == []


def test_a_run_is_blocks_that_name_their_frames(bench):
    bench.run(md={"sample": "particle"}, edge="Mn L3")
    scan = ptychography_scan(REGION, **ASKED, edge="Mn L3")
    bench.check(scan)
    start = bench.documents.start
    assert Scan.from_start(start) == scan and start["sample"] == "particle"
    assert PtychoInfo.from_start(start).defocus_um == 4.0
    assert start["plan_name"] == "ptychography" and start["num_points"] == 8
    # two dark blocks, then ten places in blocks of four, at each energy
    assert [(b.exposure, b.first, len(b.positions), b.dark) for b in bench.asked] == [
        (0, 0, 2, True), (1, 0, 2, True), (2, 0, 4, False), (2, 4, 4, False), (2, 8, 2, False),
        (3, 0, 4, False), (3, 4, 4, False), (3, 8, 2, False),
    ]  # fmt: skip
    assert {row["block_tries"] for row in bench.blocks().values()} == {1}
    assert bench.station.energy.targets == [640.0, 640.0, 640.0, 650.0]
    assert bench.station.monochromator.edge.get() == ""


def test_frames_are_announced_before_the_event_that_names_them(bench):
    bench.run()
    rows = 0
    for name, doc in bench.documents.all:
        if name == "stream_datum":
            rows = doc["indices"]["stop"]
        elif name == "event" and "row" in doc["data"]:
            assert max(doc["data"]["row"]) < rows


def test_the_same_scan_as_data(bench, tmp_path):
    path = tmp_path / "scan.json"
    path.write_text(SCAN.to_json(), encoding="utf-8")
    bench.run(region=None, scan=str(path))
    bench.check()


def test_regions_far_apart_move_the_coarse_stage(bench):
    far = {"center": (200.0, 0.2), "size": (0.2, 0.1), "name": "far"}
    regions = [{**REGION, "name": "near"}, far]
    given = {**ASKED, "dark_frames": 0}
    bench.station._drawn = lambda *where: np.zeros((2, 3))
    bench.run(region=regions, **given)
    assert [part.region for part in Scan.from_start(bench.documents.start).exposures] == [0, 1] * 2
    assert bench.station.sample_stage.x.targets == pytest.approx([200, 0.1, 200, 0.1][:3], abs=60)
    assert bench.station.sample_stage.y.targets == []


def test_dark_frames_of_a_region_out_of_the_fine_stages_reach_are_taken_there(bench):
    bench.run(region={"center": (200.0, 0.2), "size": (0.2, 0.1)})
    assert [block.dark for block in bench.asked] == [True, True, False, False]
    assert all(row["block_tries"] == 1 for row in bench.blocks().values())
    assert bench.station.sample_stage.x.targets == [200.0]
    assert bench.documents.stop["exit_status"] == "success"
    bench.safe()


# -- bad blocks -------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["miss", "drop", "extra", "torn", "unwritten"])
def test_a_block_that_is_not_whole_is_taken_again(bench, fault, caplog):
    bench.station.camera.faults = [None, None, fault]
    bench.run()
    bench.check()
    assert bench.blocks()[2, 0]["block_tries"] == 2
    assert bench.asked[2] == bench.asked[3] and len(bench.asked) == 9
    came = {"miss": 7, "drop": 7, "extra": 9, "torn": 8, "unwritten": 7}[fault]
    assert len(bench.frames()) == 4 + 40 + came  # those of the bad try stay, and nobody names them
    assert "the block of exposures[2] from place 0 is taken again: " in caplog.text


def test_one_that_stays_bad_is_kept_flagged_and_the_run_goes_on(bench, caplog):
    bench.station.camera.faults = [None, None, "miss", "miss"]
    bench.run()
    rows = bench.blocks()
    block = BlockFrames.from_data(rows[2, 0], 2)
    assert (block.status & FrameStatus.MISSED).all() and set(block.row.tolist()) == {-1}
    assert len(rows) == 8 and rows[2, 0]["block_tries"] == 2
    assert "1 of 8 blocks have frames that are flagged" in caplog.text
    assert bench.documents.stop["exit_status"] == "success"


def test_what_did_not_hold_is_flagged_too(bench):
    doubts = {FrameStatus.SHUTTER: ["the shutter was closed"]}
    bench.station.conditions.doubts = [{}, {}, doubts, doubts]
    bench.run()
    assert (
        BlockFrames.from_data(bench.blocks()[2, 0], 2).status.tolist()
        == [int(FrameStatus.SHUTTER)] * 8
    )


def test_a_shutter_that_was_taken_between_two_energies_is_not_opened_again(bench):
    class Taken(FakeShutter):
        @property
        def follows(self):
            if bench.station.energy.position == 650:
                raise DeviceError("shutter was taken out of following")
            return True

    bench.station.shutter = Taken()
    with pytest.raises(DeviceError, match="taken out of following"):
        bench.run()
    assert bench.station.shutter.told.count("follow") == 1
    assert len(bench.asked) == 5 and bench.documents.stop["exit_status"] == "fail"
    bench.safe()


@pytest.mark.parametrize("flag", [FrameStatus.MOVED, FrameStatus.BEAM])
def test_an_energy_that_somebody_else_moved_is_asked_for_again(bench, flag):
    bench.station.conditions.doubts = [{}, {}, {flag: ["it is 641 eV"]}]
    bench.run()
    bench.check()
    again = [640.0] if flag is FrameStatus.MOVED else []
    assert bench.station.energy.targets == [640.0, 640.0, 640.0, *again, 650.0]
    assert bench.station.sample_stage.x.targets == []
    assert bench.station.shutter.told.count("follow") == 2


def test_three_useless_blocks_in_a_row_end_the_run(bench):
    bench.station.camera.faults = [None, None] + ["miss"] * 6
    with pytest.raises(RuntimeError, match="no frame of 3 blocks in a row can be used, up to "):
        bench.run()
    assert bench.documents.stop["exit_status"] == "fail"
    assert "each tried 2 times" in bench.documents.stop["reason"]
    assert len(bench.blocks()) == 5
    bench.safe()


def test_an_error_of_the_station_ends_the_run_safely_and_keeps_what_came(bench):
    station = bench.station

    def judged():
        found = judge()
        if len(station.taken_blocks) == 3:
            station.path.error = DeviceError("camera: the disk is full")
        return found

    judge, station.conditions.judged = station.conditions.judged, judged
    with pytest.raises(DeviceError, match="the disk is full"):
        bench.run()
    assert bench.documents.stop["exit_status"] == "fail"
    assert bench.documents.named("stream_datum")[-1]["indices"]["stop"] == 12 == len(bench.frames())
    bench.safe()


def test_what_ended_the_run_is_told_though_its_frames_cannot_be_announced(bench):
    station, fly = bench.station, bench.station.path.fly

    def unreadable(*args, **options):
        raise DeviceError("the file cannot be read")

    def fails(frames, seconds):
        if len(station.taken_blocks) == 3:
            station.path.error = DeviceError("the path gave up")
            station.images.collect_asset_docs = unreadable
        return fly(frames, seconds)

    station.path.fly = fails
    with pytest.raises(DeviceError, match="the path gave up") as failed:
        bench.run()
    assert any("the file cannot be read" in note for note in failed.value.__notes__)
    assert bench.documents.stop["exit_status"] == "fail"
    bench.safe()


def test_a_station_that_says_nothing_of_a_block_is_no_success(bench):
    bench.station.path.finish = lambda: bench.station.path.stop()
    with pytest.raises(RuntimeError, match="ptycho says nothing of the frames of exposures.0. fr"):
        bench.run()
    assert not bench.station.camera.armed and not bench.station.shutter.beam


def test_the_beam_monitor_gets_back_its_dwell(bench):
    monitor = FakePoint("i0")
    monitor.dwell = Signal(name="i0_dwell", value=0.3)
    monitor.back_after = lambda error: None
    bench.station.i0 = monitor
    bench.run()
    assert monitor.dwell.get() == 0.3 and monitor.points == 8


# -- pauses and aborts ------------------------------------------------------------------------


SHORT = {"retries": 0, "energies": [640], "dark_frames": 1}


def messages_of(bench):
    count = 0

    def counted(plan):
        nonlocal count
        answer = None
        while True:
            try:
                msg = plan.send(answer)
            except StopIteration:
                return
            count += 1
            answer = yield msg

    bench.engine(counted(iter(bench.plan(**SHORT))))
    return count


def test_a_pause_after_any_message_repeats_no_frame_and_loses_none(tmp_path):
    scan = ptychography_scan(REGION, **{**ASKED, **SHORT})
    total, paused = messages_of(Bench(tmp_path)), 0
    for number in range(6, total - 6, 5):
        bench = Bench(tmp_path)

        def rests(station=bench.station):
            assert not station.camera.armed and not station.shutter.beam

        plan = paused_after(bench.plan(**SHORT), number)
        paused += run_resuming(bench.engine, plan, rests)
        bench.check(scan)
    assert paused > 10


class Interrupter(threading.Thread):
    """Ends every path, but one: while that is under way it pauses the engine."""

    def __init__(self, bench, number):
        super().__init__(daemon=True)
        self._bench, self._number, self._over = bench, number, threading.Event()
        self.paths, self.rested = 0, threading.Event()

    def run(self):
        path = self._bench.station.path
        while not self._over.is_set():
            if not path.flying.wait(0.02):
                continue
            self.paths += 1
            if self.paths == self._number:
                self._bench.engine.request_pause()
                assert self.rested.wait(60)
            else:
                path.finish()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self._over.set()
        self.join(30)


def test_a_pause_in_a_block_takes_it_again_from_its_first_place(tmp_path):
    bench = Bench(tmp_path, prompt=False)
    with Interrupter(bench, 4) as helper:
        assert run_resuming(bench.engine, bench.plan(), helper.rested.set) == 1
    bench.check()
    assert helper.paths == 9 and len(bench.asked) == 8
    assert len(bench.frames()) == 4 + 40
    assert bench.blocks()[2, 4]["block_tries"] == 1


@pytest.mark.parametrize("how", ["abort", "stop", "halt"])
def test_whatever_ends_it_in_a_block_leaves_it_safe(tmp_path, how):
    bench = Bench(tmp_path, prompt=False)
    with Interrupter(bench, 4) as helper:
        with pytest.raises(RunEngineInterrupted):
            bench.engine(bench.plan())
        helper.rested.set()
        getattr(bench.engine, how)()
    bench.safe() if how != "halt" else None
    assert not bench.station.camera.armed and not bench.station.shutter.beam
    assert len(bench.blocks()) == 3
    status = {"abort": "abort", "stop": "success", "halt": "abort"}[how]
    assert bench.documents.stop["exit_status"] == status


# -- what it will take ------------------------------------------------------------------------


def test_an_estimate_tells_time_and_dose(bench):
    scan = ptychography_scan(REGION, **ASKED, edge="Mn L3")
    found = estimate(scan, bench.station, flux=1e7)
    # 2 + 2 darks and twice ten places, 5 ms at rest at each; eight blocks are armed and told
    assert found.live == pytest.approx(2 * 0.5 + 20 * 0.5)
    assert found.motion == pytest.approx(24 * 0.005 + 8 * 0.1)
    assert found.ok and found.total > found.live + found.motion
    (region,) = found.regions
    assert region.pixels == (5, 2) and region.images == 2
    # the light of the frames, and of the ways between them, on each of ten places of 0.01 µm²
    each = 1e7 * (2 * (10 * 0.505 + 3 * 0.1) / 10)
    assert region.photons == pytest.approx(each) == found.photons
    assert 1e8 < region.dose_gy == found.dose_gy < 1e12
    text = repr(found)
    assert "44 frames at 2 energies, 640 to 650 eV" in text
    assert "5 x 2 places, 2 times" in text and "a place   " in text
    finer = ptychography_scan(REGION, **{**ASKED, "step": 0.05}, edge="Mn L3")
    more = estimate(finer, bench.station, flux=1e7)
    assert more.dose_gy / found.dose_gy == pytest.approx(4, rel=0.1)


def test_blocks_are_counted_without_being_made(bench, monkeypatch):
    """A long scan has thousands, of which each place is looked at; the engine would wait for it."""
    made = len(list(_blocks.blocks_of_scan(bench.station, SCAN)))
    monkeypatch.setattr(_blocks, "Block", None)
    assert _blocks.count_blocks(bench.station, SCAN) == made == 8
    assert schedule(SCAN, bench.station).live.sum() > 0


def test_an_estimate_tells_what_the_plan_would_refuse(bench):
    scan = ptychography_scan(REGION, **{**ASKED, "energies": [640, 6400]}, edge="Mn L3")
    found = estimate(scan, bench.station)
    assert not found.ok and "energy = 6400 is outside" in found.refused[0]
    assert "photons and dose: the flux is not known" in found.unknown[0]
    wide = ptychography_scan({"center": (0, 0), "size": 1}, **{**ASKED, "step": 0.5})
    assert "above 0.279 µm" in estimate(wide, bench.station).refused[0]


def test_exposures_without_regions_have_no_dose(bench):
    scan = exposures_scan(energies=[640], positions=[(0, 0), (0.1, 0)], dwell=0.5)
    found = estimate(scan, bench.station, flux=1e7)
    assert found.photons is None and "in which regions" in found.unknown[-1]
    assert found.live == 1.0


def test_an_estimate_needs_a_station(bench):
    with pytest.raises(ValueError, match="ptycho = 'ptycho_camera' is not a device such as"):
        estimate(SCAN, bench.station.camera)


def test_a_listed_plan_moves_nothing(bench):
    messages = list(bench.plan())
    assert {msg.command for msg in messages} >= {"open_run", "prepare", "trigger", "close_run"}
    assert bench.asked == [] and bench.station.energy.targets == []


def test_a_dry_run_knows_what_it_takes_and_where_it_ends(bench):
    far = {"center": (200.0, 0.2), "size": (0.2, 0.1)}
    engine = DryEngine({}, context_managers=[], rehearsal=Rehearsal())
    engine(bench.plan(region=far, edge="Mn L3"))
    (run,) = engine._rehearsal.account.runs
    assert run.plan == "ptychography" and run.ok and bench.asked == []
    scan = ptychography_scan(far, **ASKED, edge="Mn L3")
    told = estimate(scan, bench.station)
    assert run.live_s == pytest.approx(told.live)
    assert run.duration_s == pytest.approx(told.total, rel=0.1)
    assert bench.station.energy.position == 650.0
    assert bench.station.sample_stage.x.position == pytest.approx(200, abs=55)


def test_progress_follows_the_blocks(bench):
    reports = []

    def look(name, doc):
        if name == "event":
            reports.append(progress.report()["fraction"])

    progress = RunProgress(schedule(SCAN, bench.station))
    bench.engine(bench.plan(), [progress, look])
    assert len(reports) == 8 and reports == sorted(reports) and reports[-1] > 0.5


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"exposures": (0.1, 0.01)}, "must rise, the short exposure first"),
        ({"exposures": None}, "ptychography needs exposures="),
        ({"region": None}, "ptychography needs region="),
        ({"energies": None}, "ptychography needs energies="),
        ({"step": float("nan")}, "step = nan"),
        ({"step": True}, "step = True"),
        ({"trajectory": "spiral"}, "trajectory = 'spiral'"),
        ({"jitter": 0.6}, "jitter = 0.6 must be at least 0 and at most 0.5"),
        ({"energies": [640, "x"]}, r"energies\[1\] = 'x'"),
        ({"scan": SCAN.as_dict()}, "region and scan are both given"),
        ({"md": {"ptychography": 1}}, "md has the key 'ptychography', which the plan writes"),
        ({"edge": "Mm L3"}, "Mm L3"),
    ],
)
def test_refused_at_the_call(bench, changes, words):
    with pytest.raises(ValueError, match=words):
        bench.plan(**changes)


@pytest.mark.parametrize(
    ("scan", "words"),
    [
        ({"kind": "points", "version": 1, "points": {"energy": 1, "dwell": 1}}, "is one of points"),
        (
            Scan(
                exposures=(Exposures(640, 1, [(0, 0)], outer=(1.0,)),), outer=(Outer("t", "degC"),)
            ),
            "the scan loops over 't'",
        ),
    ],
)
def test_other_scans_are_refused(bench, scan, words):
    with pytest.raises(ValueError, match=words):
        bench.plan(None, scan=scan)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step": 0.5}, "step = 0.5 µm between places of exposures.2. is above 0.279 µm, the diam"),
        ({"energies": [6400]}, "energy = 6400 is outside 400 to 1100 eV"),
        ({"exposures": (1e-4, 1)}, "an exposure of 0.0001 s is shorter than 0.001 s"),
        ({"region": {"center": (6000, 0), "size": 1}}, "sample_x"),
    ],
)
def test_refused_before_anything_moves(bench, changes, words):
    given = {"trajectory": "grid", "region": {"center": (0, 0), "size": 1}} | changes
    with pytest.raises(ValueError, match=words):
        bench.run(**given)
    assert bench.asked == [] and bench.documents.all == []
    assert bench.station.energy.targets == [] and bench.station.shutter.told == []


@pytest.mark.parametrize("trajectory", TRAJECTORIES)
def test_a_step_above_the_probe_is_refused_however_places_are_spread(bench, trajectory):
    """Off the grid most places have a neighbour that is nearer than the step."""
    region = {"center": (0, 0), "size": 2}
    with pytest.raises(ValueError, match=r"step = 0\.3.* µm between places .* is above 0.279 µm"):
        bench.run(region=region, step=1 / 3, trajectory=trajectory)
    assert bench.documents.all == []


def test_a_small_overlap_is_doubted(bench, caplog):
    bench.run(step=0.15, trajectory="grid", region={"center": (0, 0), "size": 0.3})
    assert "overlap by" in caplog.text


def test_darks_need_a_shutter(bench):
    bench.station.shutter = SimpleNamespace(name="no_shutter")
    with pytest.raises(ValueError, match="ptycho no shutter to close: dark_frames=0"):
        bench.run()
    assert bench.documents.all == []


def test_a_camera_is_no_station(bench):
    with pytest.raises(ValueError, match="station = 'ptycho_camera' is not a device such as"):
        ptychography(bench.station.camera, REGION, **ASKED)


def test_a_start_document_that_says_something_else_ends_the_run_before_it_moves(bench):
    with pytest.raises(ValueError, match="ptychography"):
        bench.engine(bench.plan(), ptychography={"pixel_um": 1})
    assert bench.asked == []


def test_exposures_of_a_list_of_places_are_measured_too(bench):
    scan = exposures_scan(energies=[640], positions=[(0, 0), (0.1, 0), (0.1, 0.1)], dwell=0.05)
    bench.run(region=None, scan=scan)
    bench.check(scan)


def test_the_start_document_is_json(bench):
    bench.run()
    json.dumps(bench.documents.start, allow_nan=False)
