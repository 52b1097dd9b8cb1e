"""The RIXS plans message by message, and what they refuse before anything moves."""

from __future__ import annotations

import math
from contextlib import suppress
from types import SimpleNamespace
from unittest.mock import ANY

import numpy as np
import pytest
from ophyd.status import Status
from ophyd.utils import LimitError

from redoxscope.data import mixture_lines
from redoxscope.devices import BeamlineBusyError
from redoxscope.documents import PHOTON_STREAM, STREAM, TOTALS_STREAM, PointStatus
from redoxscope.plans import rixs_map, tes_calibrate, xes
from redoxscope.plans.tes._scan import RETRIES
from redoxscope.scan import Outer, Point, Region, Role, Scan, points_scan, stack_scan


class Part(SimpleNamespace):
    """Something with a name; two parts are equal only if they are the same."""

    parent = None
    __hash__ = object.__hash__
    __eq__ = object.__eq__

    def __repr__(self) -> str:
        return self.name


class FakeMono(Part):
    tolerance = 0.02

    def back_after(self, error):
        return None

    def offset_at(self, edge):
        return {"Co L": 0.25}.get(edge, 0.0)

    def check_value(self, energy, *, offset=None):
        if not 400 <= energy - (offset or 0.0) <= 1100:
            raise LimitError(f"mono = {energy} eV is outside its limits, 400 to 1100 eV")


class FakeShutter(Part):
    busy = ""

    def check_free(self):
        if self.busy:
            raise BeamlineBusyError(f"shutter is held open for {self.busy}")

    def check_open_time(self, seconds, what):
        if not seconds < 30:
            raise ValueError(f"{what} takes {seconds:g} s, longer than shutter.dead_man = 30 s")


class FakeHolder(Part):
    position = "lmr_charged"

    def check_value(self, value):
        if value not in ("lmr_charged", "reference"):
            raise ValueError(f"holder has no sample {value!r}")


class FakeTES(Part):
    checked = None
    back = None  # status that an outage is waited for with

    def back_after(self, error):
        return self.back if isinstance(error, TimeoutError) else None

    def __init__(self, **parts):
        super().__init__(conditions=Part(name="conditions", verdict=None), **parts)

    def check_scan(self, **what):
        self.checked = what
        for text in what["windows"]:
            if "5000" in text:
                raise ValueError(f"tes: window {text} leaves the spectrum, 200 to 1200 eV")


@pytest.fixture
def mono():
    return FakeMono(name="mono", edge=Part(name="edge", get=lambda: "found"))


@pytest.fixture
def tes():
    names = ("dwell", "windows", "pixel_limit", "calibrating", "photons", "totals", "ring")
    parts = {name: Part(name=name) for name in names}
    i0 = Part(name="i0", field="i0", dwell=Part(name="i0_dwell"))
    calibrator = Part(name="calibrator", lines=Part(name="lines"), elastic=Part(name="elastic"))
    return FakeTES(
        name="tes",
        **parts,
        shutter=FakeShutter(name="shutter"),
        holder=FakeHolder(name="holder"),
        calibrator=calibrator,
        counters=[i0],
    )


def told(plan):
    """Command, device and first argument of each message."""
    return [told_one(m) for m in plan]


def told_one(m):
    first = [
        {k: v.name if isinstance(v, Part) else v for k, v in a.items()}
        if isinstance(a, dict)
        else a
        for a in m.args[:1]
    ]
    return (m.command, getattr(m.obj, "name", None), *first)


POINT = [
    ("checkpoint", None),
    ("set", "mono", 780.0),
    ("wait", None),
    ("set", "shutter", "hold"),  # its dead man must not run while the monochromator moves
    ("wait", None),
    (
        "set",
        "conditions",
        {"mono": "mono", "energy": 780.0, "sample": "lmr_charged", "dwell": 1.2, "point": 0},
    ),
    ("wait", None),
    ("trigger", "tes"),
    ("trigger", "i0"),
    ("wait", None),
    ("trigger", "conditions"),
    ("wait", None),
    ("create", None),
    ("read", "tes"),
    ("read", "mono"),
    ("read", "i0"),
    ("read", "ring"),
    ("read", "conditions"),
    ("save", None),
]


def of_point(message, number):
    """A message of the first point, as another one has it."""
    if message[:2] != ("set", "conditions"):
        return message
    return (*message[:2], message[2] | {"point": number})


def test_a_point_is_replayed_from_its_checkpoint_as_a_whole(tes, mono):
    messages = told(rixs_map(tes, mono, energies=[780.0], dwell=1.2, passes=2))
    first = messages.index(("set", "mono", 780.0)) - 1
    assert messages[first : first + len(POINT)] == POINT
    second = messages.index(("set", "mono", 780.0), first + 2) - 1
    # photons of a pass are announced before the next one begins
    # and neither a pause before it nor one after it announces them twice
    around = [("checkpoint", None), ("collect", "photons"), ("checkpoint", None)]
    assert messages[first + len(POINT) : second] == around
    again = messages[second : second + len(POINT)]
    assert again == [of_point(message, 1) for message in POINT]


def settings(messages):
    stage = messages.index(("stage", "tes"))
    return {m[1]: m[2] for m in messages[:stage] if m[0] == "set"}


def test_settings_come_before_staging_and_safety_before_the_end(tes, mono):
    plan = rixs_map(tes, mono, energies=[700.0], dwell=0.5, passes=1, pixels=64, windows=["TFY"])
    messages = told(plan)
    assert settings(messages) == {
        "edge": "",
        "dwell": 0.5,
        "windows": ["TFY"],
        "pixel_limit": 64,
        "calibrating": False,
        "i0_dwell": 0.5,
    }
    last = messages.index(("read", "totals"))
    end = [m for m in messages[last:] if m[0] in ("stop", "set", "close_run", "unstage")]
    assert end == [
        ("stop", "tes"),
        ("set", "shutter", "closed"),
        ("close_run", None),
        ("unstage", "tes"),
        ("unstage", "shutter"),
        ("set", "edge", "found"),
    ]


def test_an_edge_brings_energies_dwell_windows_and_pixels(tes, mono):
    messages = list(rixs_map(tes, mono, edge="O K", passes=2))
    start = next(m.kwargs for m in messages if m.command == "open_run")
    scan = Scan.from_start(start)
    assert (scan.kind, scan.passes, scan.edge) == ("points", 2, "O K")
    assert 530.0 < scan.energies[50] < 545.0
    assert "oxidised=sPFY[522.3:525.1]" in start["windows"]
    assert start["detectors"] == ["tes", "i0"]
    assert settings(told(iter(messages)))["pixel_limit"] == 64
    assert sum(m.command == "save" for m in messages) == start["num_points"] + 1


@pytest.mark.parametrize("failing", [False, True])
def test_the_edge_applies_for_as_long_as_the_plan_runs(tes, mono, failing):
    plan = iter(rixs_map(tes, mono, edge="Co L", passes=1))
    edges, message = [], next(plan)
    with suppress(StopIteration, RuntimeError):
        while True:
            if message.command == "set" and message.obj is mono.edge:
                edges.append(message.args[0])
            if failing and message.command == "trigger":
                message = plan.throw(RuntimeError("server gone"))
            else:
                message = plan.send(None)
    assert edges == ["Co L", "found"]


def test_energies_are_checked_with_the_offset_of_the_edge(tes, mono):
    with pytest.raises(LimitError):
        next(rixs_map(tes, mono, edge="Co L", energies=[400.1], passes=1))
    next(rixs_map(tes, mono, edge="Mn L", energies=[400.1], passes=1))


def test_streams_of_a_run(tes, mono):
    messages = list(rixs_map(tes, mono, energies=[700.0], dwell=1.0, passes=1))
    assert [m.kwargs["name"] for m in messages if m.command == "create"] == [STREAM, TOTALS_STREAM]
    streams = [m.kwargs["name"] for m in messages if m.command in ("declare_stream", "collect")]
    assert streams == [STREAM] + [PHOTON_STREAM] * 3


def test_a_failure_still_announces_the_photons_and_closes(tes, mono):
    plan = iter(rixs_map(tes, mono, energies=[700.0], dwell=1.0, passes=1))
    for message in plan:
        if message.command == "trigger":
            break
    after = []
    message = plan.throw(RuntimeError("server gone"))
    with pytest.raises(RuntimeError, match="server gone"):
        while True:
            after.append((message.command, getattr(message.obj, "name", None)))
            message = plan.send(None)
    assert after[0] == ("collect", "photons")
    assert ("stop", "tes") in after and ("set", "shutter") in after
    assert [command for command, _ in after][-5:] == [
        "close_run",
        "unstage",
        "unstage",
        "set",
        "wait",
    ]


def test_a_shutter_that_somebody_else_has_is_refused_before_the_first_message(tes, mono):
    tes.shutter.busy = "x@y 1"
    for plan in (rixs_map(tes, mono, edge="O K"), tes_calibrate(tes, mono), xes(tes, mono, 700.0)):
        with pytest.raises(BeamlineBusyError, match="x@y 1"):
            next(plan)


def test_xes_takes_its_time_in_passes(tes, mono):
    messages = list(xes(tes, mono, [531.0, 560.0], time=9.0, dwell=2.0))
    start = next(m.kwargs for m in messages if m.command == "open_run")
    assert start["plan_name"] == "xes"
    scan = Scan.from_start(start)
    assert (scan.passes, scan.energies) == (5, [531.0, 560.0])
    assert start["windows"] == ["XES[530.95:531.05]", "XES[559.95:560.05]"]


def test_calibration_goes_to_the_reference_and_back(tes, mono):
    messages = told(tes_calibrate(tes, mono, energy=1000.0, time=30.0, lines=["O K"]))
    samples = [m[2] for m in messages if m[:2] == ("set", "holder")]
    assert samples == ["reference", "lmr_charged"]
    modes = [m[2] for m in messages if m[:2] == ("set", "calibrating")]
    assert modes == [True, False]
    assert ("set", "elastic", 1000.0) in messages and ("set", "lines", ["O K"]) in messages
    learn = messages.index(("trigger", "calibrator"))
    assert ("set", "shutter", "closed") in messages[:learn]
    assert sum(m == ("trigger", "tes") for m in messages) == 3


def test_calibration_that_fails_goes_back_too(tes, mono):
    plan = iter(tes_calibrate(tes, mono, time=10.0))
    for message in plan:
        if message.command == "trigger":
            break
    after = []
    message = plan.throw(RuntimeError("server gone"))
    with pytest.raises(RuntimeError, match="server gone"):
        while True:
            after.append((message.command, getattr(message.obj, "name", None), *message.args[:1]))
            message = plan.send(None)
    assert ("set", "holder", "lmr_charged") in after
    assert ("set", "calibrating", False) in after


SCAN = points_scan(energies=[700.0], dwell=1.0)
LINES = stack_scan(energies=[700.0], regions=[Region((0, 0), 1, 4)], dwell=0.01)
BAD = {
    "nothing": ({}, ["edge", "energies"]),
    "no-dwell": ({"energies": [700.0]}, ["dwell", "s"]),
    "edge": ({"edge": "Fe L"}, ["Fe L", "Co L"]),
    "dwell": ({"edge": "O K", "dwell": math.nan}, ["dwell", "nan", "0 s"]),
    "negative-dwell": ({"edge": "O K", "dwell": -1.0}, ["dwell", "-1", "0 s"]),
    "passes": ({"edge": "O K", "passes": 0}, ["passes", "0", ">= 1"]),
    "half-pass": ({"edge": "O K", "passes": 1.5}, ["passes", "1.5"]),
    "pixels": ({"edge": "O K", "pixels": -1}, ["pixels", "-1"]),
    "zones": (
        {"zones": [(700.0, 705.0, 1.0), (704.0, 706.0, 1.0)], "dwell": 1.0},
        ["zones[0]", "zones[1]", "overlap", "704 to 705 eV"],
    ),
    "both": ({"zones": [(700.0, 705.0, 1.0)], "energies": [700.0], "dwell": 1.0}, ["either"]),
    "scan": ({"scan": SCAN, "dwell": 1.0, "edge": "O K"}, ["edge and dwell", "beside scan"]),
    "lines": ({"scan": LINES}, ["one of lines", "measures points"]),
    "dark": (
        {"scan": Scan(points=(Point(700.0, 1.0), Point(700.0, 1.0, Role.DARK)))},
        ["points[1]", "'dark'", "sample or dose_check"],
    ),
    "outer": (
        {"scan": Scan(points=(Point(700.0, 1.0, outer=(25.0,)),), outer=(Outer("T", "degC"),))},
        ["outer loop 'T'"],
    ),
    "scan-version": ({"scan": {"version": 7}}, ["version = 7", "version 1"]),
    "scan-limits": ({"scan": points_scan(energies=[300.0], dwell=1.0)}, ["300", "400 to 1100 eV"]),
    "scan-dead-man": (
        {"scan": points_scan(zones=[(700, 701, 1), (702, 703, 1, 40.0)], dwell=1.0)},
        ["tes", "40 s", "dead_man"],
    ),
    "window": ({"edge": "O K", "windows": ["PFY[535:505]"]}, ["PFY", "505", "535", "eV"]),
    "kind": ({"edge": "O K", "windows": ["QFY[505:535]"]}, ["QFY", "PFY"]),
    "twice": ({"edge": "O K", "windows": ["PFY[1:2]", "PFY[3:4]"]}, ["PFY", "name="]),
    "limits": ({"energies": [300.0], "dwell": 1.0}, ["300", "400 to 1100 eV"]),
    "spectrum": ({"edge": "O K", "windows": ["PFY[500:5000]"]}, ["5000", "1200 eV"]),
    "dead-man": ({"edge": "O K", "dwell": 40.0}, ["tes", "40 s", "dead_man", "30 s"]),
    "sample": ({"edge": "O K", "sample": "gold"}, ["gold", "holder"]),
    "one-energy": ({"energies": 700.0, "dwell": 1.0}, ["energies = 700.0", "list", "eV"]),
    "no-energy": ({"energies": [700.0, None], "dwell": 1.0}, ["energies[1] = None", "eV"]),
    "text": ({"energies": "abc", "dwell": 1.0}, ["energies = 'abc'", "list"]),
    "passes-nan": ({"edge": "O K", "passes": math.nan}, ["passes = nan", ">= 1"]),
    "passes-inf": ({"edge": "O K", "passes": math.inf}, ["passes = inf", ">= 1"]),
    "pixels-text": ({"edge": "O K", "pixels": "all"}, ["pixels = 'all'", ">= 0"]),
    "many-passes": ({"edge": "O K", "passes": 10**9}, ["passes = 1000000000", "<="]),
    "true-passes": ({"edge": "O K", "passes": True}, ["passes = True", ">= 1"]),
    "true-dwell": ({"edge": "O K", "dwell": np.True_}, ["dwell = True must be one number in s"]),
    "text-energy": ({"energies": ["700"], "dwell": 1.0}, ["energies[0] = '700'"]),
    "near-edge": ({"edge": "co l"}, ["'co l'", "did you mean 'Co L'?"]),
    "sample-number": ({"edge": "O K", "sample": 5}, ["sample = 5 must be a name"]),
    "windows-number": ({"edge": "O K", "windows": 5}, ["windows = 5 must be a list"]),
    "window-number": ({"edge": "O K", "windows": [5]}, ["window 5 is not of the form"]),
    "one-window": ({"edge": "O K", "windows": "PFY[505:535]"}, ["windows", "['PFY[505:535]']"]),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_refused_before_the_first_message(tes, mono, what):
    options, says = BAD[what]
    with pytest.raises(ValueError) as caught:
        next(rixs_map(tes, mono, **options))
    for word in says:
        assert word in str(caught.value)


def test_a_sample_needs_a_holder(tes, mono):
    tes.holder = None
    with pytest.raises(ValueError, match="no sample holder"):
        next(rixs_map(tes, mono, edge="O K", sample="gold"))


@pytest.mark.parametrize("time, dwell", [(0.0, 1.0), (10.0, 0.0), (math.inf, 1.0)])
def test_times_of_xes_and_calibration_are_checked(tes, mono, time, dwell):
    with pytest.raises(ValueError, match="must be greater than 0 s"):
        xes(tes, mono, 531.0, time=time, dwell=dwell)
    with pytest.raises(ValueError, match="must be greater than 0 s"):
        tes_calibrate(tes, mono, time=time, dwell=dwell)


@pytest.mark.parametrize("time", [True, "60", None, 1e300])
def test_a_time_that_is_none_or_endless_is_named(tes, mono, time):
    with pytest.raises(ValueError, match="time = "):
        xes(tes, mono, 531.0, time=time)
    with pytest.raises(ValueError, match="time = "):
        tes_calibrate(tes, mono, time=time)


def test_energies_of_a_generator_are_taken_once(tes, mono):
    plan = rixs_map(tes, mono, energies=(e for e in (700, np.float32(701))), dwell=1.0)
    start = next(m.kwargs for m in plan if m.command == "open_run")
    assert Scan.from_start(start).energies == [700.0, 701.0]


@pytest.mark.parametrize("energy", [None, "abc", math.nan, [531.0, None]])
def test_an_energy_of_xes_that_is_none_is_named(tes, mono, energy):
    with pytest.raises(ValueError, match=r"energy.* = (None|'abc'|nan)"):
        xes(tes, mono, energy)


def test_numbers_of_numpy_are_numbers(tes, mono):
    messages = list(xes(tes, mono, np.int64(640), time=np.float32(1.0), dwell=np.float64(0.5)))
    start = next(m.kwargs for m in messages if m.command == "open_run")
    scan = Scan.from_start(start)
    assert scan.energies == [640.0] and scan.passes == 2


@pytest.mark.parametrize(
    "lines, says",
    [(5, "lines = 5"), ([5], "lines = 5"), ("O K", r"\['O K'\]"), (["O K", "Zz"], "'Zz'")],
)
def test_lines_are_checked_before_the_calibration(tes, mono, lines, says):
    with pytest.raises(ValueError, match=says):
        tes_calibrate(tes, mono, lines=lines)


def test_lines_are_those_of_the_reference_unless_given(tes, mono):
    of_reference = [line.name for line in mixture_lines("reference").lines]
    assert ("set", "lines", of_reference) in told(tes_calibrate(tes, mono, time=30.0))
    given = tes_calibrate(tes, mono, time=30.0, lines=["O K", "Fe La"])
    assert ("set", "lines", ["O K", "Fe La"]) in told(given)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"reference": "pristine"}, "Name its lines or elements instead"),
        ({"reference": None}, "reference = None needs lines"),
        ({"lines": []}, "lines is empty"),
    ],
)
def test_a_reference_whose_lines_nobody_knows_is_refused(tes, mono, options, says):
    with pytest.raises(ValueError, match=says):
        tes_calibrate(tes, mono, time=30.0, **options)


def test_what_is_no_device_is_named(tes, mono):
    options = {"energies": [700.0], "dwell": 1.0}
    with pytest.raises(ValueError, match="tes = 'mono' is not a device such as .*TES"):
        rixs_map(mono, tes, **options)
    with pytest.raises(ValueError, match="mono = 'tes' is not a device such as .*Monochromator"):
        rixs_map(tes, tes, **options)


def test_an_event_that_cannot_be_read_is_dropped(tes, mono):
    plan = iter(rixs_map(tes, mono, energies=[700.0], dwell=0.5, passes=1))
    for message in plan:
        if message.command == "read" and message.obj is mono:
            break
    assert plan.throw(RuntimeError("mono: not connected")).command == "drop"
    with pytest.raises(RuntimeError, match="not connected"):
        while True:
            assert plan.send(None).command != "save"


# -- the scan


def test_a_run_is_measured_again_from_its_start_document(tes, mono):
    first = list(rixs_map(tes, mono, edge="Co L", passes=2))
    start = next(m.kwargs for m in first if m.command == "open_run")
    scan = Scan.from_start(start)
    for given in (scan, start["scan"], scan.to_json()):
        again = list(rixs_map(tes, mono, scan=given, windows=start["windows"]))
        assert next(m.kwargs for m in again if m.command == "open_run") == start
    assert [m[:2] for m in told(again)] == [m[:2] for m in told(first)]


def gone_to(messages):
    return [m[2] for m in told(messages) if m[:2] == ("set", "mono")]


def test_energies_in_any_order_and_repeated(tes, mono):
    energies = [702.0, 700.0, 702.0, 701.0]
    plan = list(rixs_map(tes, mono, energies=energies, dwell=1.0, passes=2))
    assert gone_to(plan) == energies * 2
    start = next(m.kwargs for m in plan if m.command == "open_run")
    assert start["num_points"] == 8 and Scan.from_start(start).energies == [702.0, 700.0, 701.0]
    numbers = [m.args[0]["point"] for m in plan if m.command == "set" and "point" in str(m.args)]
    assert numbers == list(range(8))


def test_a_zone_has_a_dwell_of_its_own(tes, mono):
    zones = [(700.0, 702.0, 1.0), (702.0, 703.0, 1.0, 4.0)]
    plan = list(rixs_map(tes, mono, zones=zones, dwell=1.0, passes=1))
    assert gone_to(plan) == [700.0, 701.0, 702.0, 703.0]
    messages = told(plan)
    each = [messages.index(("set", "mono", energy)) for energy in (700.0, 701.0, 702.0, 703.0)]
    for at, dwell in zip(each, (1.0, 1.0, 4.0, 4.0), strict=True):
        assert messages[at - 4 : at] == [
            ("checkpoint", None),
            ("set", "dwell", dwell),
            ("set", "i0_dwell", dwell),
            ("wait", None),
        ]
    watched = [m[2]["dwell"] for m in messages if m[:2] == ("set", "conditions")]
    assert watched == [1.0, 1.0, 4.0, 4.0]


@pytest.mark.parametrize("make", ["map", "calibration"])
def test_what_is_foretold_is_not_measured(tes, mono, make):
    """The engine of a dry run answers the plan's question; a RunEngine answers None."""
    if make == "map":
        plan = rixs_map(tes, mono, energies=[700.0], dwell=1.0, sample="reference")
    else:
        plan = tes_calibrate(tes, mono, time=10.0)
    asked, messages, message = [], [], next(plan)
    with suppress(StopIteration):
        while True:
            messages.append(told_one(message))
            mine = message.command == "null" and "scan" in message.kwargs
            if mine:
                asked.append((message.obj, message.kwargs["scan"].kind))
            message = plan.send("an account" if mine else None)
    assert asked == [((tes, mono), "points")]
    commands = [message[0] for message in messages]
    assert commands.index("open_run") < commands.index("null") < commands.index("close_run")
    assert "trigger" not in commands and ("set", "mono", 700.0) not in messages
    assert ("set", "holder", "reference") not in messages
    assert ("set", "shutter", "closed") in messages


# -- an outage


def outlived(tes, plan, failing, error):
    """Messages of a plan; the first that ``failing`` says fails, then all answers again."""
    tes.back, messages, failed, message = Status(), [], False, next(plan)
    with suppress(StopIteration):
        while True:
            messages.append(told_one(message))
            if not failed and failing(messages):
                failed = True
                message = plan.throw(error)
            else:
                if message.command == "wait_for":
                    tes.back.set_finished()
                message = plan.send(None)
    return messages


CUTS = {
    "move": lambda messages: messages[-2:] == [("set", "mono", 701.0), ("wait", None)],
    "counting": lambda messages: messages[-2:] == [("trigger", "i0"), ("wait", None)],
    "judged": lambda messages: messages[-2:] == [("trigger", "conditions"), ("wait", None)],
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_point_is_measured_when_all_answers_again(tes, mono, cut, caplog):
    plan = rixs_map(tes, mono, energies=[700.0, 701.0], dwell=1.0, passes=1)
    messages = outlived(tes, plan, CUTS[cut], TimeoutError("PV is silent"))
    assert ("wait_for", None, ANY) in [(*m[:2], ANY) for m in messages]
    after = messages[[m[0] for m in messages].index("wait_for") + 1 :]
    assert after[:4] == [
        ("checkpoint", None),
        ("set", "i0_dwell", 1.0),  # of a controller that was started anew
        ("set", "holder", "lmr_charged"),
        ("wait", None),
    ]
    points = [m[2]["point"] for m in messages if m[:2] == ("set", "conditions")]
    assert points == ([0, 1] if cut == "move" else [0, 0, 1])
    assert messages.count(("save", None)) == 3  # two points, the totals
    assert "PV is silent; it is asked for again when mono and tes answer" in caplog.text


def test_an_event_that_is_cut_is_read_again(tes, mono):
    plan = rixs_map(tes, mono, energies=[700.0], dwell=1.0, passes=1)
    messages = outlived(
        tes, plan, lambda m: m[-1] == ("read", "mono"), TimeoutError("PV is silent")
    )
    at = messages.index(("drop", None))
    after = [m for m in messages[at + 1 :] if m[0] != "wait_for"]
    assert after[:3] == [("create", None), ("read", "tes"), ("read", "mono")]
    assert messages.count(("save", None)) == 2 and messages.count(("trigger", "tes")) == 1


def test_another_error_is_no_outage(tes, mono):
    plan = rixs_map(tes, mono, energies=[700.0, 701.0], dwell=1.0, passes=1)
    with pytest.raises(ValueError, match="limit"):
        outlived(tes, plan, CUTS["move"], ValueError("beyond its limit"))


# -- points that somebody else disturbs -------------------------------------------------------


def verdict(status=PointStatus.OK, *reasons, taken=""):
    return SimpleNamespace(status=status, reasons=reasons, taken=taken)


AWAY = verdict(PointStatus.ENERGY, "mono (BL:Mono) was 644 eV, asked for was 700 eV")
DARK = verdict(PointStatus.BEAM, "the ring current fell from 300 to 0 mA")


def carried_out(tes, plan, verdicts):
    """Messages of a plan; each point that is measured gets the next of the verdicts."""
    coming, messages = iter(verdicts), []
    for message in plan:
        messages.append(told_one(message))
        if messages[-1] == ("trigger", "conditions"):
            tes.conditions.verdict = next(coming, verdict())
    return messages


def points_of(messages):
    return sum(m == ("trigger", "tes") for m in messages), messages.count(("read", "mono"))


def test_a_doubtful_point_is_measured_again_as_asked(tes, mono, caplog):
    plan = rixs_map(tes, mono, energies=[700.0, 701.0], dwell=0.5, passes=1)
    messages = carried_out(tes, plan, [AWAY])
    assert points_of(messages) == (3, 2)
    again = [i for i, m in enumerate(messages) if m == ("checkpoint", None)]
    second = messages[again[2] : again[3]]
    assert second[:6] == [
        ("checkpoint", None),
        ("set", "i0_dwell", 0.5),
        ("set", "holder", "lmr_charged"),
        ("wait", None),
        ("set", "mono", 700.0),
        ("wait", None),
    ]
    assert ("set", "shutter", "hold") in second
    assert (
        "point at 700 eV is doubtful, it is measured again: mono (BL:Mono) was 644" in caplog.text
    )
    assert "1 measurements of points were made again" in caplog.text


def test_what_stays_doubtful_is_kept_and_said(tes, mono, caplog):
    plan = rixs_map(tes, mono, energies=[700.0, 701.0], dwell=0.5, passes=1)
    messages = carried_out(tes, plan, [AWAY] * (1 + RETRIES))
    assert points_of(messages) == (2 + RETRIES, 2)
    assert "and kept as such" in caplog.text
    assert (
        "1 of 2 points are doubtful (tes_point_status); no map or spectrum counts them"
        in caplog.text
    )


def test_points_that_stay_doubtful_end_the_run_and_close(tes, mono):
    plan = rixs_map(tes, mono, energies=list(range(700, 720)), dwell=0.5, passes=1)
    messages = []

    def kept():
        for message in plan:
            messages.append(told_one(message))
            if messages[-1] == ("trigger", "conditions"):
                tes.conditions.verdict = AWAY

    with pytest.raises(
        RuntimeError, match=r"3 points in a row .* 3 times: mono \(BL:Mono\) was 644"
    ):
        kept()
    assert points_of(messages) == (9, 3)
    assert ("set", "shutter", "closed") in messages


def test_missing_beam_does_not_end_the_run(tes, mono):
    plan = rixs_map(tes, mono, energies=list(range(700, 706)), dwell=0.5, passes=1)
    assert points_of(carried_out(tes, plan, [DARK] * 100)) == (18, 6)


def test_a_shutter_that_somebody_took_is_not_opened_again(tes, mono):
    plan = rixs_map(tes, mono, energies=[700.0, 701.0], dwell=0.5, passes=1)
    taken = verdict(PointStatus.SHUTTER, "command (BL:Cmd) was 0", taken="command (BL:Cmd) was 0")
    messages = []

    def kept():
        for message in plan:
            messages.append(told_one(message))
            tes.conditions.verdict = taken

    with pytest.raises(RuntimeError, match=r"BL:Cmd\) was 0 .* somebody else.* rather than open"):
        kept()
    assert points_of(messages) == (1, 0)
    assert messages.count(("set", "shutter", "hold")) == 1
    assert ("set", "shutter", "closed") in messages


@pytest.mark.parametrize("fails", [False, True])
def test_counters_get_back_the_dwell_that_they_had(tes, mono, fails):
    plan = iter(rixs_map(tes, mono, energies=[700.0], dwell=0.5, passes=1))
    message, messages = next(plan), []
    try:
        while True:
            messages.append(told_one(message))
            reading = (
                {"i0_dwell": {"value": 0.001}} if messages[-1] == ("read", "i0_dwell") else None
            )
            if fails and message.command == "trigger":
                message = plan.throw(RuntimeError("server gone"))
            else:
                message = plan.send(reading)
    except StopIteration:
        assert not fails
    except RuntimeError as error:
        assert fails and str(error) == "server gone"
    dwells = [m[2] for m in messages if m[:2] == ("set", "i0_dwell")]
    assert dwells == [0.5, 0.001]
    assert messages[-2] == ("set", "i0_dwell", 0.001)
