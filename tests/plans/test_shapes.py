"""Spectra of lines and points, focus scans and tiles, with fakes: what is flown, and where."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted
from ophyd import Signal
from ophyd.utils import LimitError

from redoxscope.optics import InterlockError
from redoxscope.plans import (
    energy_stack,
    estimate,
    execute,
    focus_scan,
    image,
    line_spectrum,
    osa_image,
    point_spectrum,
    tiled_image,
)
from redoxscope.scan import ZONE_PLATE, Frame, Region, Scan
from redoxscope.testing import (
    FakeAxis,
    FakeMicroscope,
    PromptHeater,
    make_engine,
    paused_after,
    run_resuming,
    validate_run,
)


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


def column(documents, key, stream="primary"):
    return [row[key] for row in documents.rows(stream).values()]


def test_a_line_spectrum_is_one_line_at_each_energy(stxm, run):
    documents = run(
        line_spectrum(stxm, energies=[640, 642, 641], center=(1, 2), length=4, pixels=8)
    )
    start = documents.start
    assert start["plan_name"] == "line_spectrum" and start["shape"] == [3, 1, 8]
    assert column(documents, "energy") == [640, 642, 641]
    assert column(documents, "sample_x")[0] == pytest.approx(np.arange(8) * 0.5 - 0.75)
    assert column(documents, "sample_y")[0] == pytest.approx([2.0] * 8)
    assert not stxm.shutter.beam


def test_a_point_spectrum_has_a_stream_for_each_place(stxm, run):
    documents = run(
        point_spectrum(stxm, positions=np.array([[0, 0], [3, 1.5]]), energies=[640, 641])
    )
    assert {doc["name"] for doc in documents.named("descriptor")} == {"point_1", "point_2"}
    assert column(documents, "energy", "point_2") == [640, 641]
    assert column(documents, "sample_x", "point_2") == [[3.0]] * 2
    assert column(documents, "sample_y", "point_2") == [[1.5]] * 2


def test_a_focus_scan_goes_through_the_nominal_focus_of_each_energy_and_back(stxm, run):
    documents = run(focus_scan(stxm, energies=[640, 650], travel=20, steps=5, offset=2, pixels=3))
    asked = [400 - 9 * e + z for e in (640, 650) for z in (-8, -3, 2, 7, 12)]
    assert column(documents, "zone_plate_z") == asked
    assert column(documents, "energy") == [640] * 5 + [650] * 5
    scan = Scan.from_start(documents.start)
    assert [frame.outer for frame in scan.frames] == [(z,) for z in asked]
    assert documents.start["motors"] == ["zone_plate_z", "energy", "sample_y", "sample_x"]
    (descriptor,) = documents.named("descriptor")
    assert descriptor["data_keys"]["zone_plate_z"]["units"] == "um"
    assert stxm.focus.position == stxm.focus.nominal()
    assert not stxm.shutter.beam


def test_the_zone_plate_goes_after_the_energy_which_takes_it_along(stxm, run):
    order = []
    for device in (stxm.energy, stxm.focus):
        plain = device.set
        device.set = lambda value, plain=plain, name=device.name: (
            order.append(name),
            plain(value),
        )[1]
    run(focus_scan(stxm, energies=[640, 650], travel=20, steps=2, pixels=3))
    assert order == ["energy", *["zone_plate_z"] * 2, "energy", *["zone_plate_z"] * 3]


@pytest.mark.parametrize("how", ["abort", "stop"])
def test_whoever_ends_a_focus_scan_the_zone_plate_is_back(stxm, how):
    engine, documents = make_engine()
    plan = focus_scan(stxm, energies=640, travel=20, steps=5, pixels=3)
    with pytest.raises(RunEngineInterrupted):
        engine(paused_after(plan, 40))
    assert stxm.focus.position != stxm.focus.nominal()
    getattr(engine, how)()
    assert stxm.focus.position == stxm.focus.nominal()
    assert not stxm.shutter.beam
    (ended,) = documents.named("stop")
    assert ended["exit_status"] == {"abort": "abort", "stop": "success"}[how]


@pytest.mark.parametrize("error", [LimitError, InterlockError])
def test_a_zone_plate_that_cannot_go_so_far_is_told_with_the_way_that_was_asked_for(stxm, error):
    def refused(z):
        raise error(f"zone_plate_z = {z:g} µm is too far")

    stxm.focus.check_value = refused
    engine, documents = make_engine()
    said = "travel 20000 µm, zone_plate_z from -15000 to 5000 µm: zone_plate_z = -15000 µm is too"
    with pytest.raises(error, match=said):
        engine(focus_scan(stxm, energies=600, travel=20000, steps=5, pixels=3))
    assert not documents.named("start")


def test_of_steps_beyond_a_limit_the_farthest_is_named(stxm):
    def refused(z):
        if z > -6000:
            raise LimitError(f"zone_plate_z = {z:g} µm is above its limit of -6000 µm")

    stxm.focus.check_value = refused
    engine, _ = make_engine()
    with pytest.raises(LimitError, match="zone_plate_z = 5000 µm is above its limit"):
        engine(focus_scan(stxm, energies=600, travel=20000, steps=5, pixels=3))


def test_after_an_error_the_zone_plate_is_back(stxm):
    engine, documents = make_engine()
    stxm.scanner.kickoff = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        engine(focus_scan(stxm, energies=600, travel=20, steps=5, pixels=3))
    assert stxm.focus.position == stxm.focus.nominal()
    assert not stxm.shutter.beam
    (ended,) = documents.named("stop")
    assert ended["exit_status"] == "fail"


def test_a_focus_scan_goes_on_after_pauses_with_every_line_off_focus_as_asked(stxm):
    engine, documents = make_engine()
    plan = focus_scan(stxm, energies=[640, 650], travel=20, steps=3, pixels=3)
    assert run_resuming(engine, paused_after(plan, range(10, 60, 7)))
    documents.validate()
    asked = [400 - 9 * e + z for e in (640, 650) for z in (-10, 0, 10)]
    assert column(documents, "zone_plate_z") == asked
    assert stxm.scanner.dark == []


PLACES = (-5380.0, -5360.0)
IN_PLACES = Scan(
    regions=(Region((0.0, 0.0), (2.0, 2.0), (2, 1)),),
    frames=[Frame(e, 0.01, outer=(z,)) for z in PLACES for e in (640.0, 650.0)],
    outer=(ZONE_PLATE,),
)


def test_each_energy_at_a_place_of_the_zone_plate_is_taken_there(stxm, run):
    """The energy takes it along, and what is executed has an end as a focus scan has."""
    move = stxm.energy.set

    def along(energy):
        stxm.focus.position = stxm.focus.nominal(energy)
        return move(energy)

    stxm.energy.set = along
    documents = run(execute(stxm, IN_PLACES, axes={"zone_plate_z": stxm.focus}))
    assert column(documents, "zone_plate_z") == [z for z in PLACES for _ in range(2)]
    assert stxm.focus.position == stxm.focus.nominal()


def test_a_loop_of_the_zone_plate_is_set_by_the_axis_that_keeps_it(stxm):
    engine, documents = make_engine()
    motor = FakeAxis("zone_plate_motor")
    with pytest.raises(ValueError, match=r"axes\['zone_plate_z'\] must be stxm\.focus"):
        engine(execute(stxm, IN_PLACES, axes={"zone_plate_z": motor}))
    assert not documents.named("start") and not motor.targets


def test_a_place_of_the_zone_plate_beyond_its_limit_is_refused_before_anything_moves(stxm):
    engine, documents = make_engine()
    plan = focus_scan(stxm, energies=640, travel=12000, steps=3, pixels=3)
    with pytest.raises(ValueError, match=r"zone_plate_z = 640 is outside -20000 to -100 um"):
        engine(plan)
    assert not documents.named("start") and not stxm.focus.targets


def test_tiles_cover_an_image_on_one_grid_of_pixels(stxm, run):
    documents = run(
        tiled_image(
            stxm, energies=[640, 645], center=(5, 0), size=(50, 30), pixels=(100, 60), tile=20
        )
    )
    scan = Scan.from_start(documents.start)
    assert [r.name for r in scan.regions] == [f"tile_{i}_{j}" for i in range(2) for j in range(3)]
    xs = sorted({x for r in scan.regions for x in column(documents, "sample_x", r.name)[0]})
    assert xs == pytest.approx(np.arange(100) * 0.5 - 19.75)
    ys = {y[0] for r in scan.regions for y in column(documents, "sample_y", r.name)}
    assert sorted(ys) == pytest.approx(np.arange(60) * 0.5 - 14.75)
    assert all(r.size[0] <= 20 and r.size[1] <= 20 for r in scan.regions)
    assert column(documents, "energy", "tile_1_2") == [640] * 30 + [645] * 30


@pytest.mark.parametrize(
    "make",
    [
        lambda stxm, **loops: energy_stack(stxm, energies=[640, 641], pixels=2, **loops),
        lambda stxm, **loops: image(stxm, energy=640, pixels=2, **loops),
        lambda stxm, **loops: line_spectrum(stxm, energies=[640, 641], pixels=2, **loops),
        lambda stxm, **loops: point_spectrum(
            stxm, positions=[(0, 0)], energies=[640, 641], **loops
        ),
        lambda stxm, **loops: focus_scan(stxm, energies=640, steps=2, pixels=2, **loops),
        lambda stxm, **loops: tiled_image(stxm, energies=640, size=4, pixels=2, tile=2, **loops),
    ],
)
def test_any_of_them_in_loops_of_temperature_and_polarisation(stxm, run, make):
    heater, epu = FakeAxis("heater", 20.0), FakeAxis("epu")
    documents = run(
        make(
            stxm,
            outer={"temperature": [25, 200], "polarisation": [0, 90]},
            axes={"temperature": heater, "polarisation": epu},
        )
    )
    stream = next(doc["name"] for doc in documents.named("descriptor"))
    around = list(
        zip(
            column(documents, "temperature", stream),
            column(documents, "polarisation", stream),
            strict=True,
        )
    )
    assert list(dict.fromkeys(around)) == [(25, 0), (25, 90), (200, 0), (200, 90)]
    assert heater.targets == [25, 200] and epu.targets == [0, 90, 0, 90]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (lambda s: line_spectrum(s), "line_spectrum needs edge="),
        (lambda s: line_spectrum(s, energies=[640], length=-1), r"length = -1.* µm"),
        (lambda s: line_spectrum(s, energies=[640], pixels=True), "pixels"),
        (lambda s: line_spectrum(s, energies=[float("nan")]), "energies"),
        (lambda s: point_spectrum(s, positions=[], energies=[640]), "positions is empty"),
        (lambda s: point_spectrum(s, positions=[(0,)], energies=[640]), r"positions\[0\]"),
        (lambda s: focus_scan(s, energies=[]), "energies is empty"),
        (lambda s: focus_scan(s, energies=640, steps=1), "steps = 1"),
        (lambda s: tiled_image(s, energies=640, pixels=2, size=50, tile=20), "a pixel of 25 µm"),
        (
            lambda s: line_spectrum(s, energies=[640], outer={"temperature": [25]}),
            "no axis is given for it",
        ),
        (lambda s: image(s, energy=640, outer=[25]), "outer = .* must be a mapping"),
        (lambda s: image(s, energy=640, outer={"temperature": [25, 25]}), "a value twice"),
        (
            lambda s: focus_scan(s, energies=640, axes={"zone_plate_z": s.focus}),
            "axes has 'zone_plate_z', which this plan sets itself",
        ),
        (lambda s: focus_scan(s, energies=640, axes=[s.focus]), "axes = .* must be a mapping"),
        (lambda s: focus_scan(s, energies=640, axes=0), "axes = 0 must be a mapping"),
        (
            lambda s: focus_scan(s, energies=[640, 700, 640]),
            r"energies\[2\] = 640 eV is there twice",
        ),
        (
            lambda s: line_spectrum(s, energies=[640, 640]),
            r"energies\[1\] = 640 eV is there twice",
        ),
        (lambda s: tiled_image(s, energies=[640, 640]), r"energies\[1\] = 640 eV is there twice"),
        (
            lambda s: image(
                s, energy=640, outer={"zone_plate_z": [-5e3]}, axes={"zone_plate_z": s.focus}
            ),
            "outer zone_plate_z: .*focus_scan moves it",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_call(stxm, plan, message):
    with pytest.raises(ValueError, match=message):
        plan(stxm)


def test_what_they_take_is_said_without_moving(stxm):
    told = estimate(focus_scan(stxm, energies=640, steps=10, pixels=10, dwell=0.01))
    assert told.ok and told.live == pytest.approx(1.0)
    assert not stxm.focus.targets


def test_the_way_of_the_zone_plate_is_in_the_time(stxm):
    plan = {"energies": 640, "steps": 5, "pixels": 2}
    without = estimate(focus_scan(stxm, **plan)).total
    stxm.focus.time_to = lambda target, start=None: 2.0
    told = estimate(focus_scan(stxm, **plan))
    assert told.total == pytest.approx(without + 5 * 2.0 + 2.0)  # there, and back into focus


def test_an_axis_that_is_a_signal_is_read(stxm, run):
    loops = {"outer": {"polarisation": [0, 90]}, "axes": {"polarisation": Signal(name="epu")}}
    documents = run(line_spectrum(stxm, energies=[640], pixels=2, **loops))
    assert column(documents, "polarisation") == [0, 90]


# -- a heater in a loop


HOT = {
    "lines": lambda stxm, **loops: line_spectrum(stxm, energies=[640], pixels=2, **loops),
    "points": lambda stxm, **loops: osa_image(stxm, energy=640, pixels=2, **loops),
}


def hot(stxm, which, heater):
    return HOT[which](stxm, outer={"temperature": [25, 300]}, axes={"temperature": heater})


@pytest.mark.parametrize("which", HOT)
def test_a_heater_of_a_loop_is_made_safe_at_the_end(stxm, run, which):
    heater = PromptHeater()
    run(hot(stxm, which, heater))
    assert heater.told == [("set", 25), ("set", 300), ("safe",)]


@pytest.mark.parametrize("which", HOT)
def test_a_heater_of_a_loop_is_made_safe_after_an_error(stxm, which):
    heater = PromptHeater()
    move = heater.set
    heater.set = lambda value: move(value) if value < 300 else 1 / 0
    engine, _ = make_engine()
    with pytest.raises(ZeroDivisionError):
        engine(hot(stxm, which, heater))
    assert heater.told == [("set", 25), ("safe",)] and not stxm.shutter.beam


@pytest.mark.parametrize("which", HOT)
@pytest.mark.parametrize("how", ["abort", "stop", "halt"])
def test_whoever_ends_it_a_heater_of_a_loop_is_made_safe(stxm, which, how):
    heater, (engine, _) = PromptHeater(), make_engine()
    move = heater.set

    def paused_on_the_way(value):
        heater.prompt = value < 300
        if not heater.prompt:  # it is waited for until the pause has come
            threading.Thread(target=engine.request_pause).start()
        return move(value)

    heater.set = paused_on_the_way
    with pytest.raises(RunEngineInterrupted):
        engine(hot(stxm, which, heater))
    getattr(engine, how)()
    assert heater.told[-1] == ("safe",) and ("set", 300) in heater.told
