"""Absorption spectra: the plan's messages, its refusals and its documents, with fakes."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
from bluesky.utils import RunEngineInterrupted

from redoxscope.documents import PointStatus, XasInfo
from redoxscope.inputs import as_number
from redoxscope.plans import estimate, xas
from redoxscope.plans._schedule import schedule
from redoxscope.scan import Point, Role, Scan
from redoxscope.testing import FakeMono, FakeStation, make_engine, paused_after, run_resuming

ENERGIES = [640.0, 641.0, 642.0]


def told(plan):
    """Command, device and first argument of each message; nobody carries them out."""
    return [(m.command, getattr(m.obj, "name", None), *m.args[:1]) for m in plan]


@pytest.fixture
def station():
    return FakeStation()


@pytest.fixture
def run(station):
    """Run the plan; its documents."""
    engine, documents = make_engine()

    def go(*, paused=(), **options):
        given = {} if "scan" in options or "edge" in options else {"energies": ENERGIES}
        plan = xas(station, **({"dwell": 0.1} | given | options) if given else options)
        if not paused:
            engine(plan)
            return documents
        with pytest.raises(RunEngineInterrupted):
            engine(paused_after(plan, paused))
        while engine.state == "paused":
            try:
                engine.resume()
            except RunEngineInterrupted:
                continue
        return documents

    go.engine = engine
    return go


def events(documents):
    documents.validate()
    return events_of(documents)


def events_of(documents):
    return [doc["data"] for doc in documents.named("event")]


POINT = [
    ("checkpoint", None),
    ("set", "energy", 640.0),
    ("wait", None),
    ("set", "shutter", "hold"),  # its dead man must not run while the monochromator moves
    ("wait", None),
    ("set", "station_conditions"),
    ("wait", None),
    ("trigger", "electrometer"),
    ("wait", None),
    ("trigger", "station_conditions"),
    ("wait", None),
    ("checkpoint", None),
    ("create", None),
    ("read", "electrometer"),
    ("read", "energy"),
    ("read", "station_conditions"),
    ("save", None),
]


def test_the_messages_of_a_point(station):
    """The second point does not ask for the dwell again."""
    messages = [m[:3] if m[1] != "station_conditions" else m[:2] for m in told(
        xas(station, energies=[640.0, 640.5], dwell=0.1)
    )]  # fmt: skip
    first = next(i for i, m in enumerate(messages) if m[:2] == ("set", "energy")) - 4
    settings = [
        ("set", "electrometer_dwell", 0.1), ("set", "electrometer_dark", False), ("wait", None)
    ]  # fmt: skip
    assert messages[first : first + 20] == POINT[:1] + settings + POINT[1:]
    later = [POINT[0], ("set", "energy", 640.5), *POINT[2:]]
    assert messages[first + 20 : first + 20 + len(later)] == later


def test_a_run(station, run):
    documents = run(repeats=2)
    assert [e["point"] for e in events(documents)] == list(range(6))
    assert [e["energy"] for e in events(documents)] == ENERGIES * 2
    assert {e["xas_point_tries"] for e in events(documents)} == {1}
    assert all(beam for _, beam in station.taken)
    doc = documents.start
    info = XasInfo.from_start(doc)
    assert (info.edge, info.repeats, info.fly) == (None, 2, False)
    assert info.modes["TEY"].keys == ("electrometer_tey", "electrometer_i0")
    keys = set(events(documents)[0])
    assert {key for mode in info.modes.values() for key in mode.keys} < keys
    assert Scan.from_start(doc).passes == 2
    assert documents.stop["exit_status"] == "success"
    assert not station.shutter.beam


def test_an_edge_says_what_is_measured(station):
    found = next(m for m in xas(station, edge="Mn L") if m.command == "open_run").kwargs
    scan = Scan.from_dict(found["scan"])
    assert (scan.edge, scan.energies[0], scan.energies[-1]) == ("Mn L", 630.0, 670.0)
    assert {point.dwell for point in scan.points} == {0.5}
    assert found["xas"]["edge"] == "Mn L"


def test_a_run_is_measured_again_as_it_was(station, run):
    documents = run(zones=[(640, 641, 0.5, 0.2), (641, 642, 0.25)], energies=None)
    scan = Scan.from_start(documents.start)
    assert [point.dwell for point in scan.points] == [0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1]
    again = run(scan=documents.start["scan"])
    starts = [doc["scan"] for doc in again.named("start")]
    assert starts[0] == starts[1]


def test_dark_points_have_no_light(station, run):
    scan = Scan(points=(Point(640.0, 0.1, Role.DARK), Point(640.0, 0.1), Point(641.0, 0.1)))
    documents = run(scan=scan)
    assert [beam for _, beam in station.taken] == [False, True, True]
    assert [e["electrometer_i0"] for e in events(documents)] == [0.0, 1e-9, 1e-9]
    assert station.darkened[0].value is False
    assert station.conditions.asked["dark"] is False


WRONG = {
    "nothing": ({"energies": None}, "xas needs edge='Mn L'"),
    "no dwell": ({"dwell": None}, "needs dwell, the time of a point in s"),
    "edge": ({"edge": "Mn L3", "energies": None}, "'Mn L3' has no absorption preset; did you mean"),
    "both": ({"zones": [(640, 650, 1)]}, r"either energies=\[...\] or zones"),
    "scan and more": ({"scan": {}}, "energies and dwell cannot be given beside scan"),
    "repeats": ({"repeats": 0}, "repeats = 0 must be a whole number >= 1"),
    "repeats is true": ({"repeats": True}, "repeats = True"),
    "dwell": ({"dwell": -1.0}, "dwell = -1"),
    "dwell nan": ({"dwell": np.nan}, "dwell = nan"),
    "energy": ({"energies": [640.0, "641"]}, r"energies\[1\] = '641'"),
    "limits": ({"energies": [640.0, 1200.0]}, "energy = 1200 is outside 400 to 1100 eV"),
    "short": ({"dwell": 1e-4}, "a dwell of 0.0001 s is shorter than 0.001 s"),
    "dead man": ({"dwell": 40.0}, "a point of station takes 40 s, longer than 30 s"),
    "sample": ({"sample": "gold"}, "station has no sample holder"),
    "sample is no name": ({"sample": 3}, "sample = 3"),
    "md": ({"md": {"xas": 1}}, "md has the key 'xas'"),
    "md is text": ({"md": "x"}, "md = 'x' must be a mapping"),
    "lines": ({"scan": "frames", "energies": None, "dwell": None}, "is no JSON"),
}


@pytest.mark.parametrize(("options", "said"), WRONG.values(), ids=WRONG)
def test_what_makes_no_sense_is_refused_before_anything(station, options, said):
    with pytest.raises(ValueError, match=said):
        list(xas(station, **({"energies": ENERGIES, "dwell": 0.1} | options)))
    assert station.mono.targets == [] and station.shutter.told == []


@pytest.mark.parametrize("number", [np.float32(0.125), np.array([0.125])])
def test_numbers_of_numpy_are_numbers(station, number):
    opened = next(
        m for m in xas(station, energies=np.array([640, 641]), dwell=number, repeats=np.int16(2))
        if m.command == "open_run"
    )  # fmt: skip
    scan = Scan.from_dict(opened.kwargs["scan"])
    assert scan.passes == 2 and scan.points[0].dwell == as_number("dwell", number)


def test_other_devices_are_refused_by_name():
    with pytest.raises(ValueError, match="station = 'energy' is not a device such as"):
        xas(FakeMono(), edge="Mn L")


def test_dark_points_need_a_shutter(station):
    station.shutter = None
    scan = Scan(points=(Point(640.0, 0.1, Role.DARK), Point(640.0, 0.1)))
    with pytest.raises(ValueError, match="'dark', and station no shutter"):
        list(xas(station, scan=scan))
    assert [m.command for m in xas(station, energies=[640.0], dwell=0.1)].count("save") == 1


def test_a_doubtful_point_is_measured_again_and_marked(station, run):
    station.conditions.doubts = {1: [PointStatus.ENERGY, PointStatus.BEAM]}
    documents = run()
    assert [e["xas_point_tries"] for e in events(documents)] == [1, 3, 1]
    assert {e["xas_point_status"] for e in events(documents)} == {0}
    assert [energy for energy, _ in station.taken] == [640.0, 641.0, 641.0, 641.0, 642.0]


def test_one_that_stays_doubtful_is_kept_as_such(station, run):
    station.conditions.doubts = {1: [PointStatus.ENERGY] * 3}
    documents = run()
    assert [e["xas_point_status"] for e in events(documents)] == [0, int(PointStatus.ENERGY), 0]
    assert documents.stop["exit_status"] == "success"


def test_who_took_the_shutter_ends_the_run(station, run):
    station.conditions.doubts = {1: [PointStatus.SHUTTER]}
    station.conditions.taken = "shutter is 0 where 2 was asked for"
    with pytest.raises(RuntimeError, match="taken by somebody else"):
        run()
    assert not station.shutter.beam


@pytest.mark.parametrize("number", range(5, 75, 2))
def test_a_pause_anywhere_costs_no_point(station, run, number):
    """Each point is there, counted with beam; the shutter is closed at the end."""
    documents = run(paused=[number])
    values = {e["point"]: e for e in events(documents)}
    assert sorted(values) == [0, 1, 2]
    assert [values[i]["energy"] for i in range(3)] == ENERGIES
    assert all(values[i]["electrometer_i0"] == 1e-9 for i in range(3))
    assert documents.stop["exit_status"] == "success"
    assert not station.shutter.beam


def test_a_point_that_a_pause_broke_off_says_so(station, run):
    plan = told(xas(station, energies=ENERGIES, dwell=0.1))
    second = [i for i, m in enumerate(plan) if m[:2] == ("trigger", "electrometer")][1]
    documents = run(paused=[second])
    tries = {e["point"]: e["xas_point_tries"] for e in events(documents)}
    assert tries[0] == tries[2] == 1 < tries[1]


@pytest.fixture
def flying():
    """A station that flies, and what runs a spectrum on it."""
    station = FakeStation(flies=True)
    engine, documents = make_engine()

    def go(*, paused=None, **options):
        plan = xas(station, zones=[(640, 642, 1), (642, 643, 0.5)], dwell=0.1, fly=True, **options)
        if paused is None:
            engine(plan)
        else:
            run_resuming(engine, paused_after(plan, paused))
        return documents

    return station, go


def test_a_flown_run_is_read_point_by_point(flying):
    station, go = flying
    documents = go(repeats=2)
    first, second = (640.0, 641.0, 642.0), (642.5, 643.0)
    lines = [(line.first, line.energies) for line in station.sweep.lines]
    assert lines == [(0, first), (3, second), (5, first), (8, second)]
    data = events(documents)
    assert [one["point"] for one in data] == list(range(10))
    assert [one["energy"] for one in data] == [640.0, 641.0, 642.0, 642.5, 643.0] * 2
    assert {one["xas_point_status"] for one in data} == {0}
    assert documents.start["xas"]["fly"] is True and documents.start["detectors"] == ["sweep"]
    assert not station.shutter.beam


def test_a_line_with_missing_points_is_flown_again(flying, caplog):
    station, go = flying
    station.sweep.lost = 1
    data = events(go())
    assert [line.first for line in station.sweep.lines] == [0, 0, 3]
    assert [one["xas_point_tries"] for one in data] == [2, 2, 2, 1, 1]
    assert all(np.isfinite(one["electrometer_i0"]) for one in data)
    assert "points are missing" in caplog.text


def test_what_stays_missing_is_nan_and_says_so(flying):
    station, go = flying
    station.sweep.lost = 3
    data = events_of(go())
    assert np.isnan(data[1]["electrometer_i0"])
    assert PointStatus(data[1]["xas_point_status"]) == PointStatus.MISSED
    assert [one["xas_point_status"] for one in data[2:]] == [0, 0, 0]


def test_a_doubtful_line_is_flown_again(flying):
    station, go = flying
    station.conditions.doubts = {3: [PointStatus.BEAM]}
    assert [one["xas_point_tries"] for one in events(go())] == [1, 1, 1, 2, 2]


@pytest.mark.parametrize("number", range(5, 55, 3))
def test_a_pause_anywhere_costs_no_flown_point(flying, number):
    station, go = flying
    documents = go(paused=number)
    values = {one["point"]: one for one in events(documents)}
    assert sorted(values) == list(range(5))
    assert all(one["electrometer_i0"] == 1e-9 for one in values.values())
    assert documents.stop["exit_status"] == "success"
    assert not station.shutter.beam


def test_a_station_without_a_sweep_does_not_fly(station):
    with pytest.raises(ValueError, match="fly = True: station has no sweep"):
        list(xas(station, edge="Mn L", fly=True))


def test_the_dark_cannot_be_flown(flying):
    station, _ = flying
    scan = Scan(points=(Point(640.0, 0.1, Role.DARK), Point(641.0, 0.1)))
    with pytest.raises(ValueError, match="of the role 'sample' only"):
        list(xas(station, scan=scan, fly=True))


def test_what_the_detectors_had_they_get_back(station, run):
    station.dwells[0].value = 0.7
    run()
    assert station.dwells[0].value == 0.7


def test_a_failing_detector_leaves_it_safe(station, run):
    def fails():
        raise RuntimeError("electrometer: no answer")

    station.detectors[0].trigger = fails
    with pytest.raises(RuntimeError, match="no answer"):
        run()
    assert not station.shutter.beam
    assert "closed" in station.shutter.told


def test_it_is_estimated(station):
    found = estimate(
        Scan(points=tuple(Point(e, 0.5) for e in ENERGIES), edge="Mn L"), station, station.mono
    )
    assert found.live == 1.5 and found.ok and found.total > 1.5


def test_a_line_takes_its_points_and_no_moves_between():
    """What a flown scan takes beside its dwells, it takes once a line."""
    station = FakeStation()
    station.mono.time_to = lambda target, start=None: 0.5
    scan = Scan(points=tuple(Point(e, 0.1) for e in (640.0, 640.5, 641.0, 642.0, 643.0)))
    steps = schedule(scan, station, station.mono)
    assert steps.motion.tolist() == [0.5] * 5
    station.line_starts = {0, 3}
    flown = schedule(scan, station, station.mono)
    assert flown.motion.tolist() == [0.5, 0.0, 0.0, 0.5, 0.0]
    assert flown.live.sum() == steps.live.sum() == pytest.approx(0.5)
    assert flown.total < steps.total - 1.4


def test_a_queue_can_say_all_of_it():
    known = xas._custom_parameter_annotation_["parameters"]
    assert set(known) == set(inspect.signature(xas).parameters)
    assert known["station"]["annotation"] == "__DEVICE__"
    assert "'Mn L'" in known["edge"]["annotation"]
