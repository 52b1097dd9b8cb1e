"""Images of aperture, detector and coarse stage, with fakes: each point, and each way to end."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal
from ophyd.status import Status

from redoxscope.callbacks import dose_of_run
from redoxscope.data import phase_absorption
from redoxscope.devices import DeviceError, NoShutter
from redoxscope.plans import (
    RunProgress,
    coarse_image,
    detector_image,
    estimate,
    osa_focus,
    osa_image,
)
from redoxscope.plans._schedule import LIT_PER_STEP, PER_STEP, STEPS_BEGIN, STEPS_END
from redoxscope.scan import Scan, points_scan
from redoxscope.testing import (
    FakeAxis,
    FakeMicroscope,
    FakeSetting,
    make_engine,
    paused_after,
    run_resuming,
    validate_run,
)

PLANS = {
    "osa_image": (osa_image, "osa_y", "osa_x"),
    "detector_image": (detector_image, "detector_y", "detector_x"),
    "coarse_image": (coarse_image, "coarse_y", "coarse_x"),
}


@pytest.fixture
def stxm():
    return FakeMicroscope()


@pytest.fixture
def run():
    def start(plan):
        engine, documents = make_engine()
        engine(plan)
        documents.validate()
        validate_run(documents)
        return documents

    return start


def motors(stxm):
    return {
        "osa_y": stxm.osa.y, "osa_x": stxm.osa.x,
        "detector_y": stxm.detector_stage.y, "detector_x": stxm.detector_stage.x,
        "coarse_y": stxm.sample_stage.y, "coarse_x": stxm.sample_stage.x,
    }  # fmt: skip


def rows_of(documents):
    return list(documents.rows("primary").values())


@pytest.mark.parametrize("name", PLANS)
def test_a_grid_is_stepped_and_the_motors_go_back(stxm, run, name):
    make, slow, fast = PLANS[name]
    x = motors(stxm)[fast]
    x.position = 3.0
    documents = run(
        make(stxm, energy=640, size=(8, 4), pixels=(4, 2), center=(1, 0), dwell=np.float32(0.5))
    )
    rows = rows_of(documents)
    assert [(row[slow], row[fast]) for row in rows] == [
        (y, x) for y in (-1, 1) for x in (-2, 0, 2, 4)
    ]
    assert [row["point"] for row in rows] == list(range(8))
    assert {row["point_status"] for row in rows} == {0}
    assert {row["transmission"] for row in rows} == {1000}
    assert {row["energy"] for row in rows} == {640}
    start = documents.start
    assert start["plan_name"] == name and start["shape"] == [2, 4]
    assert start["extents"] == [[-1, 1], [-2, 4]] and start["motors"] == [slow, fast]
    assert x.position == 3.0
    assert {"hold", "closed"} <= set(stxm.shutter.told) and not stxm.shutter.beam
    assert stxm.line_detectors[0].dwell.get() == 0.1  # as it was found
    assert x.targets[:4] == [-2, 0, 2, 4]


def test_what_is_wrong_with_a_grid_is_named(stxm, run):
    documents = run(osa_image(stxm, energy=640, size=2, pixels=2))

    def changed(name, **values):
        for kind, doc in documents:
            data = {**doc["data"], **values} if kind == "event" and name == "event" else None
            yield kind, {**doc, **({"data": data} if data else values if kind == name else {})}

    for found, message in [
        (changed("start", num_points=5), "num_points 5 where 4 are due"),
        (changed("start", shape=[4, 1]), r"shape \[4, 1\] where the grid has \[2, 2\]"),
        (changed("event", point=2), "event 1: point 2 where 0 of 4 is due"),
        (changed("event", point_status=2), "transmission of a missed point is not NaN"),
        (changed("event", i0=math.nan, transmission=math.nan), "transmission is NaN in a point"),
        (changed("event", osa_x=math.nan), "osa_x = nan is not a finite float"),
        (list(documents)[:-1], "0 stop documents"),
    ]:
        with pytest.raises(ValueError, match=message):
            validate_run(found)


def test_by_default_a_grid_lies_around_where_the_motors_stand(stxm, run):
    stxm.osa.x.position = 10.0
    rows = rows_of(run(osa_image(stxm, energy=640, size=2, pixels=2)))
    assert [row["osa_x"] for row in rows] == [9.5, 10.5] * 2


def test_the_focus_on_the_aperture_is_a_focal_length_upstream(stxm, run):
    documents = run(osa_focus(stxm, energy=640, travel=20, steps=3, length=4, pixels=2))
    rows = rows_of(documents)
    zs = [-9 * 640 + z for z in (-10, 0, 10)]
    assert [(row["zone_plate_z"], row["osa_x"]) for row in rows] == [
        (z, x) for z in zs for x in (-1, 1)
    ]
    assert stxm.focus.position == stxm.focus.nominal() and stxm.osa.x.position == 0


def test_a_grid_in_a_loop_of_temperatures(stxm, run):
    heater = FakeAxis("heater", 20.0)
    documents = run(
        osa_image(
            stxm, energy=640, pixels=2, outer={"temperature": [25, 50]},
            axes={"temperature": heater},
        )
    )  # fmt: skip
    assert [row["temperature"] for row in rows_of(documents)] == [25] * 4 + [50] * 4
    assert heater.targets == [25, 50]


def test_a_point_that_fails_is_measured_again_then_missed_and_never_zero(stxm, run):
    counter, fails = stxm.line_detectors[0], iter([False, True, False, True, True])
    trigger = counter.trigger

    def triggered():
        if next(fails, False):
            status = Status()
            status.set_exception(RuntimeError("no counts came"))
            return status
        return trigger()

    counter.trigger = triggered
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=2)))
    assert [row["point_status"] for row in rows] == [0, 1, 2, 0]
    assert math.isnan(rows[2]["transmission"]) and math.isnan(rows[2]["i0"])
    assert rows[1]["transmission"] == 1000


def test_an_axis_that_somebody_else_moves_is_told(stxm, run):
    count, moved = stxm.line_detectors[0]._count, iter([0, 1, 1])

    def jogged():
        if next(moved, 0):
            stxm.osa.x.position += 1.0
        return count()

    stxm.line_detectors[0]._count = jogged
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=2)))
    assert [row["point_status"] for row in rows] == [0, 3, 0, 0]
    assert rows[1]["transmission"] == 1000  # kept, and said to be disturbed


def test_three_points_in_a_row_that_fail_end_the_run_and_all_goes_back(stxm):
    def broken():
        status = Status()
        status.set_exception(RuntimeError("the counter is off"))
        return status

    stxm.line_detectors[0].trigger = broken
    engine, documents = make_engine()
    with pytest.raises(RuntimeError, match="3 points in a row.*the counter is off"):
        engine(osa_image(stxm, energy=640, pixels=4))
    (stop,) = documents.named("stop")
    assert stop["exit_status"] == "fail"
    assert stxm.osa.x.position == 0 and not stxm.shutter.beam


@pytest.mark.parametrize("how", ["abort", "stop"])
def test_whoever_ends_it_the_motors_are_back_and_the_shutter_closed(stxm, how):
    engine, documents = make_engine()
    with pytest.raises(RunEngineInterrupted):
        engine(paused_after(osa_focus(stxm, energy=640, steps=3, pixels=3), 40))
    getattr(engine, how)()
    assert stxm.focus.position == stxm.focus.nominal() and stxm.osa.x.position == 0
    assert not stxm.shutter.beam
    assert [doc["exit_status"] for doc in documents.named("stop")] == [
        {"abort": "abort", "stop": "success"}[how]
    ]


def test_pauses_cost_no_point_and_no_light(stxm):
    engine, documents = make_engine()
    plan = osa_image(stxm, energy=640, pixels=3)
    assert run_resuming(
        engine, paused_after(plan, range(8, 90, 5)), lambda: stxm.shutter.beam and 1 / 0
    )
    documents.validate()
    rows = rows_of(documents)
    assert [row["point"] for row in rows] == list(range(9))
    assert {row["point_status"] for row in rows} == {0}


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (lambda s: osa_image(s, energy=640, size=0), r"size = 0.* µm"),
        (lambda s: osa_image(s, energy=True), "energy"),
        (lambda s: osa_image(s, energy=640, pixels=0), "pixels"),
        (lambda s: osa_image(s, energy=640, center=(math.nan, 0)), "center"),
        (lambda s: osa_focus(s, energy=640, travel=-1), "travel"),
        (lambda s: coarse_image(s, energy=640, dwell=0), "dwell"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(stxm, plan, message):
    with pytest.raises(ValueError, match=message):
        plan(stxm)


def test_without_a_stage_there_is_no_image_of_the_detector(stxm):
    del stxm.detector_stage
    with pytest.raises(ValueError, match="stxm has no detector_stage"):
        detector_image(stxm, energy=640)


def test_a_place_beyond_a_limit_is_refused_before_anything_moves(stxm):
    stxm.osa.x.limits = (-10.0, 10.0)
    engine, documents = make_engine()
    with pytest.raises(ValueError, match=r"osa_x = -30 is outside -10 to 10 um"):
        engine(osa_image(stxm, energy=640, size=80, pixels=4))
    assert not documents.named("start") and not stxm.osa.x.targets


def test_what_it_takes_is_said_without_moving(stxm):
    told = estimate(osa_image(stxm, energy=640, pixels=5, dwell=0.2))
    assert told.ok and told.live == pytest.approx(5.0) and told.total > 5
    assert not stxm.osa.x.targets


def timed(stxm):
    """Each move of an axis takes 5 s, of the energy none."""
    for axis in motors(stxm).values():
        axis.time_to = lambda target, start=None: 5.0
    stxm.energy.time_to = lambda target, start=None: 0.0
    return stxm


def grid_of(run, plan):
    return Scan.from_start(run(plan).start)


def test_a_grid_is_estimated_as_a_scan_as_it_is_as_a_plan(stxm, run):
    options = {"energy": 640, "size": 4, "pixels": (3, 2), "dwell": 0.1, "edge": "Mn L3"}
    timed(stxm)
    for make in (osa_image, detector_image, coarse_image):
        found = estimate(grid_of(run, make(stxm, **options)), stxm)
        assert found.ok and found.live == pytest.approx(0.6)
        assert found.motion == pytest.approx(6 * 5.0)  # both axes at once where a row begins
        assert found.software == pytest.approx(STEPS_BEGIN + STEPS_END + 6 * PER_STEP)
        back = 2 * 5.0  # to where the axes stood, which is the plan's and not the scan's
        assert estimate(make(stxm, **options)).total == pytest.approx(found.total + back)
    assert "6 points at 640 eV" in repr(found)


def test_a_grid_s_photons_fall_on_one_spot_or_on_many(stxm, run):
    options = {"energy": 640, "size": 4, "pixels": (3, 2), "dwell": 0.1, "edge": "Mn L3"}
    timed(stxm)
    one, many = (grid_of(run, make(stxm, **options)) for make in (osa_image, coarse_image))
    each = 0.1 + LIT_PER_STEP
    assert estimate(one, stxm, flux=1e8).photons == pytest.approx(1e8 * (6 * each + 4 * 5.0))
    assert estimate(many, stxm, flux=1e8).photons == pytest.approx(1e8 * each)
    all_of_it, once = (estimate(s, stxm, flux=1e8, spot=0.04).dose_gy for s in (one, many))
    assert all_of_it == pytest.approx(once * (6 * each + 20) / each)
    assert estimate(one, stxm, flux=1e8).dose_gy is None  # nothing says how small the spot is
    stxm.zone_plate = SimpleNamespace(geometry=SimpleNamespace(outer_zone_nm=45.0))
    side = 2 * 0.045 / np.sqrt(np.pi)
    assert estimate(one, stxm, flux=1e8).dose_gy == pytest.approx(all_of_it * (0.04 / side) ** 2)


def test_a_place_has_the_beam_of_each_turn_of_the_outer_loops(stxm, run):
    """The coarse stage comes back to it at each temperature."""
    options = {"energy": 640, "size": 4, "pixels": (3, 2), "dwell": 0.1, "edge": "Mn L3"}
    stxm.flux = FakeSetting("flux", 1e8)
    for axis in motors(stxm).values():
        axis.time_to = lambda target, start=None: 5.0
    loops = {"outer": {"T": [25.0, 100.0, 200.0]}, "axes": {"T": FakeAxis("T")}}
    thrice = pytest.approx(3e8 * (0.1 + LIT_PER_STEP), 1e-5)
    documents = run(coarse_image(stxm, **options, **loops))
    assert documents.start["exposure"]["spot_photons"] == thrice
    scan = Scan.from_start(documents.start)
    assert estimate(scan, stxm).photons == thrice
    assert estimate(coarse_image(stxm, **options, **loops)).photons == thrice


@pytest.mark.parametrize("how", ["silent", "failing"])
def test_a_grid_is_measured_where_the_time_of_a_move_is_not_known(stxm, run, monkeypatch, how):
    def failing(self, target, start=None):
        raise DeviceError(f"{self.name} is not there")

    stxm.flux = FakeSetting("flux", 1e8)
    if how == "silent":
        monkeypatch.delattr(FakeAxis, "time_to")
    else:
        monkeypatch.setattr(FakeAxis, "time_to", failing)
    options = {"energy": 640, "size": 4, "pixels": 2}
    documents = run(osa_image(stxm, **options))
    assert len(rows_of(documents)) == 4
    if how == "failing":
        assert "exposure" not in documents.start  # and no NaN
        return
    found = estimate(osa_image(stxm, **options))
    assert found.ok
    assert any("energy does not say how long" in text for text in found.unknown)


def test_what_speaks_against_a_grid_is_all_said(stxm, run):
    scan = grid_of(run, osa_image(stxm, energy=640, size=8, pixels=2))
    stxm.osa.x.limits = (-1.0, 1.0)
    stxm.energy.limits = (700.0, 1000.0)
    found = estimate(scan, stxm)
    assert len(found.refused) == 3  # the energy, and the aperture to either side
    assert "osa_x = -2 is outside -1 to 1 um" in found.refused


def test_points_that_are_no_grid_are_not_of_a_microscope(stxm):
    rixs = points_scan(energies=[640, 650], dwell=1.0)
    with pytest.raises(
        ValueError, match=r"steps no axis of stxm .*needs estimate\(scan, tes, mono"
    ):
        estimate(rixs, stxm)


def test_a_bar_follows_a_grid(stxm):
    engine, documents = make_engine()
    watched, at = [], []

    def waiting(statuses):
        found = (getattr(s.watch, "__self__", None) for s in statuses or () if hasattr(s, "watch"))
        watched.extend(one for one in found if isinstance(one, RunProgress))

    def event(name, doc):
        at.append(watched[-1]._done / watched[-1]._total)

    engine.waiting_hook = waiting
    engine.subscribe(event, "event")
    timed(stxm)
    engine(osa_image(stxm, energy=640, size=4, pixels=(3, 2), dwell=0.1))
    (run,) = set(watched)
    assert at[1:] == pytest.approx([i / 6 for i in range(1, 6)])  # each is asked before it is told
    assert run.over.is_set() and run.report()["time_remaining"] == 0


def test_the_start_document_says_the_scan(stxm, run):
    scan = Scan.from_start(run(osa_image(stxm, energy=640, size=4, pixels=2)).start)
    assert [outer.name for outer in scan.outer] == ["osa_y", "osa_x"]
    assert [point.outer for point in scan.points] == [(-1, -1), (-1, 1), (1, -1), (1, 1)]


def test_the_start_document_says_what_one_spot_of_the_sample_gets(stxm, run):
    """Aperture and detector move, the sample does not: all of it falls on one place."""
    options = {"energy": 640, "size": 4, "pixels": (3, 2), "dwell": 0.1}
    assert "exposure" not in run(osa_image(stxm, **options)).start
    stxm.flux = FakeSetting("flux", 1e8)
    for axis in (stxm.osa.x, stxm.osa.y, stxm.sample_stage.x):
        axis.time_to = lambda target, start=None: 5.0
    said = run(osa_image(stxm, **options)).start["exposure"]
    # Six points and four moves along x; where y moves, the shutter is closed.
    all_points = pytest.approx(2e9 + 6e8 * (0.1 + LIT_PER_STEP), 1e-5)
    assert said == {"flux": 1e8, "spot_photons": all_points}
    # Where it is, and how much that is of a focus of 45 nm zones.
    stxm.zone_plate = SimpleNamespace(geometry=SimpleNamespace(outer_zone_nm=45.0))
    stage = stxm.sample_stage
    stage.fine_x, stage.fine_y = FakeAxis("fine_x", 3.0), FakeAxis("fine_y", -2.0)
    stage.x.position = 100.0
    said = run(osa_image(stxm, **options, edge="Mn L3")).start["exposure"]
    side = 2 * 0.045 / np.sqrt(np.pi)
    assert said["spot_photons"] == all_points and said["spot_size"] == pytest.approx(side, 1e-5)
    assert said["center"] == [103.0, -2.0] and said["size"] == [said["spot_size"]] * 2
    per_area = said["spot_photons"] / side**2
    absorption = phase_absorption("Mn L3", (640.0,)).max()
    energy = 640 * 1.602177e-19
    assert said["spot_gray"] == pytest.approx(per_area * energy * absorption / 4.2e-15, 1e-4)
    (left,) = dose_of_run(run(osa_image(stxm, **options, edge="Mn L3"))).values()
    assert (left.x[0], left.y[0], left.most) == (103.0, -2.0, said["spot_gray"])
    told = estimate(osa_image(stxm, **options, edge="Mn L3"))
    assert (told.photons, told.dose_gy) == (said["spot_photons"], said["spot_gray"])
    documents = run(coarse_image(stxm, center=(50, 7), **options))
    said, (left,) = documents.start["exposure"], dose_of_run(documents).values()
    assert left.pixel == pytest.approx((4.0, 4.0)) and np.isnan(left.gray).all()
    each = 1e8 * (0.1 + LIT_PER_STEP)  # another place of the sample
    assert said["spot_photons"] == pytest.approx(each, 1e-5) and "spot_gray" not in said
    assert said["center"] == [53.0, 5.0] and said["size"] == pytest.approx([4.0, 4.0])


def test_the_motors_go_back_to_where_they_stood_when_the_run_began(stxm, run):
    plan = osa_image(stxm, energy=640, size=2, pixels=2)
    stxm.osa.x.position = 7.0  # by hand, or by a plan that was listed before
    run(plan)
    assert stxm.osa.x.position == 7.0


# -- beam


def test_a_shutter_that_cannot_be_held_is_refused_before_anything_moves(stxm):
    def check_holds():
        raise DeviceError("gate has no dead man, so it is not held open")

    stxm.shutter.check_holds = check_holds
    engine, documents = make_engine()
    with pytest.raises(DeviceError, match="no dead man"):
        engine(osa_image(stxm, energy=640, pixels=2))
    assert not documents.named("start")
    assert not stxm.energy.targets and not stxm.osa.x.targets


def test_where_there_is_no_shutter_points_are_counted_all_the_same(stxm, run):
    stxm.shutter = NoShutter(name="no_shutter")
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=2)))
    assert [row["point_status"] for row in rows] == [0] * 4
    assert {row["transmission"] for row in rows} == {1000}


def test_the_shutter_is_closed_while_a_slow_axis_moves(stxm, run):
    heater, lit = FakeAxis("heater", 20.0), []
    for axis in (stxm.osa.y, heater):
        move = axis.set
        axis.set = lambda value, move=move: (lit.append(stxm.shutter.beam), move(value))[1]
    run(
        osa_image(
            stxm, energy=640, pixels=3, outer={"temperature": [25, 50]},
            axes={"temperature": heater},
        )
    )  # fmt: skip
    assert len(lit) == 2 * 3 + 1 + 2 and not any(lit)  # and the way back


def test_a_shutter_that_somebody_took_is_not_opened_again(stxm):
    order = stxm.shutter.set

    def taken(value):
        if value == "hold" and stxm.shutter.told.count("hold") == 3:
            stxm.shutter.told.append("refused")
            raise DeviceError("somebody else has taken it")
        return order(value)

    stxm.shutter.set = taken
    engine, _ = make_engine()
    with pytest.raises(RuntimeError, match="3 points in a row.*somebody else has taken it"):
        engine(osa_image(stxm, energy=640, pixels=3))
    told = stxm.shutter.told
    rest = told[told.index("refused") :]
    assert rest[: rest.index("closed")] == ["refused"] * 6  # three points, each tried twice
    assert "hold" not in rest


def test_points_at_another_energy_are_measured_again_at_the_right_one(stxm, run):
    count, moved = stxm.line_detectors[0]._count, iter([0, 1])

    def jogged():
        if next(moved, 0):
            stxm.energy.position += 1.0
        return count()

    stxm.line_detectors[0]._count = jogged
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=2)))
    assert [row["point_status"] for row in rows] == [0, 1, 0, 0]
    assert {row["energy"] for row in rows} == {640}


def test_points_without_a_count_of_the_monitor_are_told_not_zeros_of_a_picture(stxm, run):
    """The ring current says nothing of a shutter upstream."""
    for counter in stxm.line_detectors:
        counter._count = lambda: 0.0
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=2, retries=0)))
    assert [row["point_status"] for row in rows] == [3] * 4
    stxm.line_detectors[1]._count = lambda: 1000.0  # i0: the aperture takes it all
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=2, retries=0)))
    assert [row["point_status"] for row in rows] == [0] * 4


def test_points_without_stored_beam_are_told_and_end_no_run(stxm, run):
    counter = stxm.line_detectors[0]

    def dumped():
        stxm.ring.current.value = 500.0 if counter.points <= 2 else 0.0
        return 1000.0

    counter._count = dumped
    rows = rows_of(run(osa_image(stxm, energy=640, pixels=3, retries=0)))
    assert [row["point_status"] for row in rows] == [0, 0, *[3] * 7]


# -- axes


def test_an_axis_that_is_a_signal_is_read(stxm, run):
    epu = Signal(name="epu", value=0.0)
    rows = rows_of(
        run(
            osa_image(
                stxm, energy=640, pixels=2, outer={"polarisation": [0, 90]},
                axes={"polarisation": epu},
            )
        )
    )  # fmt: skip
    assert [row["polarisation"] for row in rows] == [0] * 4 + [90] * 4


@pytest.mark.parametrize(
    "make", [osa_image, osa_focus, detector_image, coarse_image], ids=lambda plan: plan.__name__
)
def test_axes_that_are_none_or_the_plan_s_own_are_refused(stxm, make):
    own = {osa_focus: "zone_plate_z", osa_image: "osa_x", detector_image: "detector_y"}
    with pytest.raises(ValueError, match="axes = 'heater' must be a mapping"):
        make(stxm, energy=640, axes="heater")
    with pytest.raises(ValueError, match=r"axes = \[\] must be a mapping"):
        make(stxm, energy=640, axes=[])
    name = own.get(make, "coarse_x")
    with pytest.raises(ValueError, match=f"axes has '{name}', which this plan sets itself"):
        make(stxm, energy=640, axes={name: FakeAxis(name)})


@pytest.mark.parametrize("tolerance", [1, 1.0, np.float32(1)], ids=["int", "float", "float32"])
@pytest.mark.parametrize("at", [3.0, math.nan], ids=["elsewhere", "not known"])
def test_an_axis_outside_its_tolerance_disturbs_a_point(stxm, run, tolerance, at):
    stxm.osa.x.tolerance = tolerance
    stxm.osa.x.here = lambda: at
    rows = rows_of(run(osa_image(stxm, energy=640, size=2, pixels=(2, 1))))
    assert [row["point_status"] for row in rows] == [3, 3]
