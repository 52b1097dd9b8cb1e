"""A run says of itself what its plan measured: metadata cannot overwrite the contract's keys."""

from __future__ import annotations

from functools import partial

import pytest
from bluesky import RunEngine
from bluesky import preprocessors as bpp
from ophyd import Device, Signal, sim

from redoxscope.documents import RIXS_RESERVED, STACK_RESERVED, check_session, check_start
from redoxscope.plans import energy_stack, rixs_map, tes_calibrate, xes


class Part(Device):
    """A device of which every move is remembered."""

    def __init__(self, *args, moves, **kwargs):
        super().__init__(*args, **kwargs)
        self._moves = moves

    def set(self, value):
        self._moves.append((self.name, value))
        return sim.NullStatus()

    def stop(self, *, success=False):
        pass


class Microscope(Device):
    """What an energy stack needs, up to its first move."""

    def __init__(self, moves):
        super().__init__("", name="stxm")
        make = lambda name: Part("", name=name, moves=moves)  # noqa: E731
        self.energy, self.sample_stage = make("energy"), make("stage")
        self.scanner, self.shutter = make("scanner"), make("shutter")
        self.monochromator = make("mono")
        self.monochromator.edge = Signal(name="edge", value="")
        self.line_detectors, self.fixed_parts = [], []

    def check_scan(self, scan):
        pass

    def checks(self, scan):
        return []

    def back_after(self, error):
        return None

    def place(self, region, dwell, *, retries=1, at=None):
        raise RuntimeError("first move")


class Spectrometer(Device):
    """What a RIXS plan needs, up to its first move."""

    def __init__(self, moves):
        super().__init__("", name="tes")
        for name in ("dwell", "windows", "pixel_limit", "calibrating", "photons", "totals"):
            setattr(self, name, Signal(name=name, value=0))
        self.calibrator = Device("", name="calibrator")
        self.calibrator.lines, self.calibrator.elastic = Signal(name="l"), Signal(name="e")
        self.shutter = Part("", name="shutter", moves=moves)
        self.shutter.check_open_time = lambda seconds, what: None
        self.shutter.check_free = lambda: None
        self.holder = Part("", name="holder", moves=moves)
        self.holder.position, self.holder.check_value = "lmr_charged", lambda value: None
        self.conditions = Device("", name="conditions")
        self.conditions.verdict = None
        self.ring, self.counters = None, []

    def check_scan(self, **what):
        pass

    def back_after(self, error):
        return None

    def stage(self):
        return sim.NullStatus()

    def unstage(self):
        return []


class Axis(Part):
    tolerance = 0.02

    def __init__(self, moves):
        super().__init__("", name="axis", moves=moves)
        self.edge = Signal(name="edge", value="")

    def offset_at(self, edge):
        return 0.0

    def check_value(self, energy, *, offset=None):
        pass

    def back_after(self, error):
        return None


@pytest.fixture
def moves():
    return []


@pytest.fixture
def plans(moves):
    """Each plan by name, taking its ``md``."""
    stxm, tes, mono = Microscope(moves), Spectrometer(moves), Axis(moves)
    return {
        "energy_stack": lambda **md: energy_stack(stxm, energies=[640.0, 641.0], pixels=2, **md),
        "rixs_map": lambda **md: rixs_map(
            tes, mono, energies=[640.0], dwell=1.0, sample="reference", **md
        ),
        "xes": lambda **md: xes(tes, mono, 640.0, sample="reference", **md),
        "tes_calibrate": lambda **md: tes_calibrate(tes, mono, **md),
    }


def reserved(name):
    return STACK_RESERVED if name == "energy_stack" else RIXS_RESERVED


PLANS = ["energy_stack", "rixs_map", "xes", "tes_calibrate"]


@pytest.mark.parametrize("name", PLANS)
def test_md_with_a_key_of_the_contract_is_refused_at_the_call(plans, name):
    for key in reserved(name):
        with pytest.raises(ValueError, match=f"md has the key '{key}', which the plan writes"):
            plans[name](md={key: "Toner 2014"})
    for md in ("Toner 2014", ["a"], 5, {5: "a"}):
        with pytest.raises(ValueError, match="md "):
            plans[name](md=md)


def refused(RE, docs, moves, plan, says, **metadata):
    with pytest.raises(ValueError) as caught:
        RE(plan, **metadata)
    for word in says:
        assert word in str(caught.value), str(caught.value)
    assert moves == []
    assert [doc["exit_status"] for doc in docs["stop"]] == ["fail"]
    assert says[0] in docs["stop"][0]["reason"]
    assert not docs["descriptor"]
    assert RE.state == "idle"


OF_ALL = ["plan_name", "contract_version", "num_points", "hints"]
KEYS = [(name, key) for name in PLANS for key in OF_ALL]
KEYS += [(name, key) for name in PLANS if name != "energy_stack" for key in ("scan", "windows")]


@pytest.mark.parametrize(("name", "key"), KEYS)
def test_a_key_that_comes_with_the_call_is_refused_before_the_first_move(
    RE, docs, moves, plans, name, key
):
    value = {} if key == "hints" else "Toner 2014"
    refused(
        RE, docs, moves, plans[name](), [key, "instead of", "Nothing has moved"], **{key: value}
    )


def test_references_in_words(RE, docs, moves, plans):
    says = ["references = 'Toner 2014'", "which this plan does not give"]
    refused(RE, docs, moves, plans["energy_stack"](), says, references="Toner 2014")


@pytest.mark.parametrize("key", ["scan", "shape", "extents", "snaking", "stxm"])
def test_what_a_stack_says_of_itself_cannot_be_replaced(RE, docs, moves, plans, key):
    refused(RE, docs, moves, plans["energy_stack"](), [key, "says"], **{key: {"kind": 5}})


def test_what_lingers_in_the_engine_is_refused(RE, docs, moves, plans):
    RE.md["references"] = {"names": ["a", "b"]}
    refused(RE, docs, moves, plans["energy_stack"](), ["references", "RE.md"])


def test_what_a_wrapper_injects_is_refused(RE, docs, moves, plans):
    plan = bpp.inject_md_wrapper(plans["rixs_map"](), {"windows": ["TFY"]})
    refused(RE, docs, moves, plan, ["windows"])


@pytest.mark.parametrize("name", PLANS)
def test_keys_of_the_user_pass(RE, docs, plans, name):
    """The plan goes on to its first move, which ends the test."""
    moved = []

    def stop_at_first_move(msg):
        if msg.command == "set" and getattr(msg.obj, "name", "") == "holder" and not moved:
            moved.append(msg)
            raise RuntimeError("first move")
        return None, None

    RE.md.update(sample="MC17", proposal=7, operator="me", num_points=77)
    plan = bpp.plan_mutator(plans[name](md={"comment": "trial"}), stop_at_first_move)
    with pytest.raises(RuntimeError, match="first move"):
        RE(plan, sample="MC18", temperature=300)
    start = docs["start"][0]
    wanted = {"sample": "MC18", "proposal": 7, "operator": "me", "comment": "trial"}
    assert {key: start[key] for key in wanted} == wanted
    own = {"energy_stack": "stxm_energy_stack"}.get(name, name)
    # The plan's own go before RE.md.
    assert start["num_points"] != 77 and start["plan_name"] == own


def test_a_run_says_where_the_holder_stands(plans):
    messages = list(plans["rixs_map"](md={"sample": "MC18"}))
    start = next(m.kwargs for m in messages if m.command == "open_run")
    assert start["holder"] == "reference" and start["sample"] == "MC18"


@pytest.mark.parametrize("name", ["rixs_map", "xes", "tes_calibrate"])
def test_the_holder_moves_in_the_open_run(plans, name):
    told = [(m.command, getattr(m.obj, "name", None)) for m in plans[name]()]
    assert told.index(("open_run", None)) < told.index(("set", "holder"))
    last = len(told) - 1 - told[::-1].index(("set", "holder"))
    assert last < told.index(("close_run", None))


def test_tuples_are_lists():
    check_start({"shape": (1, 2)}, {"shape": [1, 2]}, ["shape"])
    with pytest.raises(ValueError, match=r"shape = \(1, 3\) instead of \[1, 2\]"):
        check_start({"shape": (1, 3)}, {"shape": [1, 2]}, ["shape"])


def test_the_sessions_keys_are_its_own(docs, plans):
    """Simulated data cannot be called measured."""
    own = {"beamline_id": "simulated", "simulated": True}
    RE = RunEngine(dict(own), context_managers=[], md_validator=partial(check_session, own=own))
    started = []
    RE.subscribe(lambda name, doc: started.append(doc), "start")
    for key, value in (("simulated", False), ("beamline_id", "XX"), ("sample", 5)):
        with pytest.raises(ValueError, match=f"{key} = "):
            RE(plans["energy_stack"](), **{key: value})
    RE.md["simulated"] = False
    with pytest.raises(ValueError, match="simulated = False instead of True"):
        RE(plans["energy_stack"]())
    assert started == []
    with pytest.raises(ValueError, match="md has the key 'simulated'"):
        plans["energy_stack"](md={"simulated": False})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("tes", ["stxm = 'tes'", "redoxscope.devices.STXM", "line_detectors"]),
        (None, ["stxm = None", "redoxscope.devices.STXM"]),
        ("stxm", ["stxm = 'stxm'"]),
        (5, ["stxm = 5"]),
        (Microscope, ["stxm = Microscope is a class"]),
        ([], ["stxm = []"]),
    ],
)
def test_a_stack_names_what_is_no_microscope(given, says):
    device = Spectrometer([]) if given == "tes" else given
    with pytest.raises(ValueError) as caught:
        energy_stack(device, energies=[640.0])
    for word in says:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize("plan", [rixs_map, tes_calibrate, lambda t, m: xes(t, m, 640.0)])
def test_rixs_names_what_is_no_device(plan, moves):
    stxm, tes, mono = Microscope(moves), Spectrometer(moves), Axis(moves)
    for t, m, says in (
        (stxm, mono, "tes = 'stxm'"),
        (mono, tes, "tes = 'axis'"),
        (None, mono, "tes = None"),
        (tes, stxm, "mono = 'stxm'"),
        (tes, stxm.energy, "mono = 'energy'"),
        (tes, Axis, "mono = Axis is a class"),
        (tes, "mono", "mono = 'mono'"),
    ):
        with pytest.raises(ValueError, match=says):
            plan(t, m)
