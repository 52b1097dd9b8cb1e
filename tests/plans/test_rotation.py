"""A rotation series: which frames at which angle, flats and darks, and a sample that is hot."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from redoxscope.documents import TOMOGRAPHY
from redoxscope.formats import path_of_uri
from redoxscope.plans import estimate, rotation_series
from redoxscope.plans._exposed_time import PER_EXPOSURE
from redoxscope.scan import Role, Scan, rotation_angles, rotation_scan
from redoxscope.testing import (
    FakeAxis,
    FakeFrames,
    FakeHeater,
    FakePoint,
    FakeShutter,
    PromptHeater,
    make_engine,
    paused_after,
    run_resuming,
)

BLANK = (50.0, 0.0)


class Bench:
    """A camera that writes into its frames where everything stood, and the devices around it."""

    def __init__(self, folder, **options):
        self.rotation = FakeAxis("rotation", 3.0, unit="deg", limits=(-95, 95))
        self.x, self.y = FakeAxis("x", limits=(-100, 100)), FakeAxis("y", limits=(-100, 100))
        self.energy = FakeAxis("energy", 600.0, unit="eV", limits=(400, 12000))
        self.shutter, self.counter = FakeShutter(), FakePoint()
        self.camera = FakeFrames(folder, picture=self.picture, **options)
        self.engine, self.documents = make_engine()
        self.heats = []

    def picture(self, n):
        frame = np.zeros((4, 5))
        frame[0, :3] = 10 * (self.rotation.position + 180), self.x.position, self.shutter.beam
        return frame

    def plan(self, **options):
        options = {
            "photon_energy": 9000.0, "dwell": 0.1, "start": -90, "stop": 90, "step": 45,
            "blank": BLANK, "flats": 2, "darks": 3, "shutter": self.shutter,
        } | options  # fmt: skip
        return rotation_series(self.camera, self.rotation, self.x, self.y, self.energy, **options)

    def frames(self):
        """Of each event: angle (deg), x (µm), and whether there was beam, as the frame has it."""
        (resource,) = self.documents.named("stream_resource")
        with h5py.File(path_of_uri(resource["uri"])) as f:
            pictures = f[resource["parameters"]["dataset"]][()].astype(float)
        rows = self.documents.rows()
        return [tuple(pictures[row["camera_frame"]][0, :3]) for row in rows.values()]


WANTED = [
    *[(-90, 0, False)] * 3,
    *[(-90, 50, True)] * 2,
    *[(angle, 0, True) for angle in (-90, -45, 0, 45, 90)],
    *[(90, 50, True)] * 2,
]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def check(bench, wanted=WANTED):
    bench.documents.validate()
    found = [(a / 10 - 180, x, bool(lit)) for a, x, lit in bench.frames()]
    assert found == [(angle, x, lit) for angle, x, lit in wanted]
    rows = bench.documents.rows()
    assert [row["rotation"] for row in rows.values()] == [angle for angle, _, _ in wanted]
    assert bench.documents.stop["exit_status"] == "success"
    assert not bench.shutter.beam and "closed" in bench.shutter.told


def test_darks_flats_projections_flats(bench):
    bench.engine(bench.plan(also=[bench.counter], md={"sample": "particle"}, pixel_size=0.03))
    check(bench)
    start = bench.documents.start
    assert start["plan_name"] == "rotation_series" and start["sample"] == "particle"
    assert start[TOMOGRAPHY] == {
        "rotation": "rotation", "energy": "energy", "frame": "camera_frame",
        "images": "camera_images", "heater": None, "temperature_c": None, "pixel_size_um": 0.03,
    }  # fmt: skip
    assert Scan.from_start(start).events == start["num_points"] == len(WANTED)
    assert bench.rotation.targets == [-90, -45, 0, 45, 90]  # asked for where it changes


@pytest.mark.parametrize("at", range(20, 110, 9))
def test_a_pause_shifts_nothing(bench, at):
    run_resuming(bench.engine, paused_after(bench.plan(), at))
    check(bench)


def test_the_series_of_the_paper():
    scan = rotation_scan(energy=9000, dwell=1, blank=(100, 0), flats_every=100)
    roles = [part.role for part in scan.exposures]
    assert roles.count(Role.SAMPLE) == 361 and scan.exposures[2].outer == (-90.0,)
    assert [part.outer[0] for part in scan.exposures if part.role is Role.SAMPLE] == pytest.approx(
        np.arange(-90, 90.25, 0.5)
    )
    assert roles.count(Role.I0) == 5 and scan.events == 10 + 361 + 50
    assert Scan.from_dict(scan.as_dict()) == scan


def test_it_turns_either_way():
    assert rotation_angles(90, -90, 60) == [90, 30, -30, -90]


def test_a_hot_series_heats_first_records_t_and_cools(bench):
    heater = PromptHeater()
    seen = []
    bench.camera._picture = lambda n: seen.append(heater.position) or np.zeros((4, 5))
    bench.engine(bench.plan(heater=heater, temperature=100.0, rate=10.0))
    assert len(seen) == len(WANTED) and min(seen) > 98 and max(seen) < 102
    rows = bench.documents.rows()
    assert all(row[f"{heater.name}_in_band"] is True for row in rows.values())
    assert all(98 < row[heater.name] < 102 for row in rows.values())
    streams = {doc["name"] for doc in bench.documents.named("descriptor")}
    assert streams == {"primary", "frames", f"{heater.name}_monitor"}
    assert bench.documents.start[TOMOGRAPHY]["temperature_c"] == 100.0
    assert heater.told == [("set", 100.0), ("safe",)] and heater.rate.value == 10.0


def test_an_error_leaves_the_heater_safe_and_the_shutter_closed(bench):
    heater = PromptHeater()

    def breaks(n):
        if n == 6:
            raise OSError("disk full")
        return np.zeros((4, 5))

    bench.camera._picture = breaks
    with pytest.raises(OSError, match="disk full"):
        bench.engine(bench.plan(heater=heater, temperature=100.0, rate=10.0, then="hold"))
    assert heater.told[-1] == ("safe",) and not bench.shutter.beam
    assert bench.documents.stop["exit_status"] == "fail"
    assert "disk full" in bench.documents.stop["reason"]


def broken_at(plan, number, error, thrown):
    """A plan into which an error is thrown in place of the answer to a message."""
    answer, count = None, 0
    try:
        msg = next(plan)
        while True:
            if count == number:
                thrown.append(msg.command)
                msg = plan.throw(error)
            else:
                answer = yield msg
                msg = plan.send(answer)
            count += 1
    except StopIteration as end:
        return end.value


SHORT = {"step": 180, "flats": 1, "darks": 1, "temperature": 100.0, "rate": 10.0}


@pytest.mark.parametrize("then", ["cool", "hold"])
def test_an_error_at_any_message_leaves_all_safe(tmp_path, caplog, then):
    """Whatever was heated ramps down, and what was open is closed; the run says why it ended."""
    ended, heated, again, thrown = 0, 0, 0, [""]
    number = -2 if then == "cool" else -1  # every second message, those between with the other
    while thrown:  # until it was past the last message
        number, thrown = number + 2, []
        caplog.clear()
        bench, heater = Bench(tmp_path), PromptHeater()
        made = bench.plan(heater=heater, then=then, **SHORT)
        error = OSError("the network is gone")
        try:
            bench.engine(broken_at(iter(made), number, error, thrown))
        except OSError as exc:
            assert exc is error
        else:
            again += len(thrown)  # of a frame: it is taken again
            assert len(bench.documents.rows()) == 5
        assert not bench.shutter.beam
        if ("set", 100.0) in heater.told:
            heated += 1
            cooled = heater.told[-1] == ("safe",)
            # Held where all was done before; or the order itself came to nobody, which is told.
            held = then == "hold" and len(bench.documents.rows()) == 5
            assert cooled or held or (thrown == ["wait_for"] and "CHECK IT BY HAND" in caplog.text)
        if bench.documents.named("stop"):
            ended += bench.documents.stop["exit_status"] == "fail"
    assert heated > 25 and ended > 5 and again > 10


def test_a_real_stage_is_heated_and_made_safe(bench):
    heater = FakeHeater()
    heater.controller.step = 5.0
    bench.engine(bench.plan(heater=heater, step=90, temperature=60.0, rate=10.0))
    rows = bench.documents.rows().values()
    assert all(abs(row[heater.name] - 60) < 1 and row[f"{heater.name}_in_band"] for row in rows)
    with pytest.raises(ValueError, match="degC"):
        bench.plan(heater=heater, temperature=heater.limits[1] + 50)
    assert bench.documents.stop["exit_status"] == "success" and not bench.shutter.beam


def test_no_beam_falls_on_the_sample_while_it_is_heated_or_made_safe(bench):
    heater, lit = PromptHeater(), []
    told = heater.order

    def order(what, *values):
        lit.append((what, bench.shutter.beam))
        return told(what, *values)

    heater.order = order
    bench.shutter.set("open")
    bench.camera._picture = lambda n: 1 / 0 if n == 8 else np.zeros((4, 5))
    with pytest.raises(ZeroDivisionError):
        bench.engine(bench.plan(heater=heater, temperature=100.0))
    assert lit == [("set", False), ("safe", False)]


def test_hold_leaves_it_hot(bench):
    heater = PromptHeater()
    bench.engine(bench.plan(heater=heater, temperature=100.0, rate=10.0, then="hold"))
    assert heater.told == [("set", 100.0)] and heater.position == 100


def test_without_a_temperature_the_heater_is_left_as_it_is(bench):
    heater = PromptHeater()
    bench.engine(bench.plan(heater=heater))
    assert heater.told == []
    assert bench.documents.stop["exit_status"] == "success"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"step": 50}, "step = 50 deg does not divide the way from -90 to 90 deg"),
        ({"step": 0}, "step = 0 deg must be greater than 0 deg"),
        ({"step": -0.5}, "must be greater than 0 deg"),
        ({"start": 90}, "start and stop are both 90 deg"),
        ({"stop": float("nan")}, "stop = nan deg"),
        ({"step": 1e-9}, "more than 1000000 projections"),
        ({"blank": None}, r"blank=\(x, y\) in µm is needed for flats"),
        ({"blank": (0, 0)}, "is where the sample is: flats need an empty beam"),
        ({"flats": 0, "flats_every": 10}, "flats_every = 10 asks for flats, and flats = 0"),
        ({"flats": 1.5}, "flats = 1.5 must be a whole number"),
        ({"shutter": None}, "has the role 'dark': give the shutter to close"),
        ({"photon_energy": 0}, "photon_energy = 0 eV must be greater than 0 eV"),
        ({"dwell": True}, "dwell = True must be one number in s"),
        ({"temperature": 100}, "temperature = 100 degC needs heater="),
        ({"rate": 2}, "rate = 2 degC/min needs heater="),
        (
            {"heater": FakeAxis("hot")},
            "heater = 'hot' is not a device such as redoxscope.devices.H",
        ),
        ({"then": "cold"}, "then = 'cold' must be one of 'cool', 'hold'"),
        ({"sample": 3}, r"sample = 3 must be a pair \(x, y\) in µm"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(bench, options, says):
    with pytest.raises(ValueError, match=says):
        bench.plan(**options)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"start": -180, "stop": 180}, "rotation"),
        ({"blank": (500, 0)}, "x"),
        ({"dwell": 100}, "camera_dwell = 100 s is above its longest"),
        ({"photon_energy": 90000}, "energy"),
    ],
)
def test_what_a_device_refuses_moves_nothing(bench, options, says):
    with pytest.raises(ValueError, match=says):
        bench.engine(bench.plan(**options))
    assert bench.rotation.targets == bench.x.targets == [] and bench.camera.triggered == 0
    assert bench.documents.named("start") == []


def test_a_temperature_beyond_the_stage_is_refused_before_anything_moves(bench):
    heater = PromptHeater()
    for value in (heater.limits[1] + 100, -300):
        with pytest.raises(ValueError, match="degC"):
            bench.plan(heater=heater, temperature=value)
    with pytest.raises(ValueError, match="rate"):
        bench.plan(heater=heater, temperature=100, rate=-2)
    assert heater.told == [] and bench.rotation.targets == []


class Timed(FakeAxis):
    """Axis that says how long its moves take: a unit a second."""

    def time_to(self, target, start=None):
        return abs(target - (self.position if start is None else start))


class Silent(FakeAxis):
    """Axis that does not say."""

    time_to = None


def test_what_it_takes_is_estimated_without_a_move(bench):
    """Turning 93 + 4 x 45 deg, moving out twice and in once, at a unit a second each."""
    bench.rotation = Timed("rotation", 3.0, limits=(-95, 95))
    bench.x, bench.y = Timed("x", limits=(-100, 100)), Timed("y")
    bench.energy = Timed("energy", 9000.0)
    heater = PromptHeater()
    found = estimate(bench.plan(heater=heater, temperature=100.0, rate=2.0))
    heat = 60 * (100 - 22) / 2 + 60
    moves = 93 + 4 * 45 + 3 * 50
    assert found.live == pytest.approx(1.2)
    assert found.total == pytest.approx(heat + moves + 12 * (0.1 + PER_EXPOSURE))
    assert found.unknown == () and found.ok and found.runs == 1
    assert bench.rotation.targets == bench.x.targets == heater.told == []
    bench.rotation = Silent("rotation")
    (text,) = estimate(bench.plan()).unknown
    assert text == "rotation does not say how long its moves take: they are counted as 0 s"
