"""Every plan that we export can be listed, checked and run by any tool that reads signatures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import pytest
from bluesky import Msg
from bluesky.utils import MsgGenerator, is_plan
from bluesky_queueserver import validate_plan
from bluesky_queueserver.manager.profile_ops import (
    existing_plans_and_devices_from_nspace,
    load_allowed_plans_and_devices,
)

from redoxscope import plans
from redoxscope.plans import Bounds, EnergyAxis, Microscope, energy_stack, plan
from redoxscope.plans._public import description, device_parameters

HELPERS = {
    "estimate",
    "plan",
    "uninterrupted",
    "with_beam",
    "with_beam_decorator",
    "with_photons",
    "with_progress",
}
"""Functions that we export beside plans; everything else in small letters must be a plan."""

EXPORTED = sorted(name for name in plans.__all__ if name[0].islower() and name not in HELPERS)


@pytest.fixture(scope="module")
def listed():
    """What the queue server itself makes of the plans."""
    nspace = {name: getattr(plans, name) for name in plans.__all__}
    existing, _, _, _ = existing_plans_and_devices_from_nspace(nspace=nspace)
    return existing


def refusal(listed, name, **kwargs):
    """Why the queue server refuses an item, as it came over the wire; "" where it takes it."""
    item = json.loads(json.dumps({"name": name, "kwargs": kwargs}))
    _, why = validate_plan(item, allowed_plans=listed, allowed_devices={})
    return why


def test_none_is_forgotten(listed):
    assert {"energy_stack", "rixs_map", "tes_calibrate", "xes"} <= set(EXPORTED)
    assert sorted(listed) == EXPORTED
    for name in EXPORTED:
        assert is_plan(getattr(plans, name)), name


@pytest.mark.parametrize("name", EXPORTED)
def test_parameters_are_told(listed, name):
    found = listed[name]
    assert found["description"].endswith("."), found
    for parameter in found["parameters"]:
        assert len(parameter.get("description", "")) > 15, parameter
        assert "As for" not in parameter["description"].split(";")[0] or name == "xes", parameter
        assert "annotation" in parameter, parameter
        if "default" in parameter:  # it came through ast.literal_eval there
            assert isinstance(parameter["default"], str)
    json.dumps(found)


@pytest.mark.parametrize("name", EXPORTED)
def test_devices_are_given_by_name(listed, name):
    devices = device_parameters(getattr(plans, name))
    assert devices or name == "resume_experiment"  # what it goes on with names them
    for parameter in listed[name]["parameters"]:
        converted = parameter.get("convert_device_names", False)
        assert converted == (parameter["name"] in devices), parameter


def test_limits_are_told(listed):
    stack = {parameter["name"]: parameter for parameter in listed["energy_stack"]["parameters"]}
    assert stack["retries"]["max"] == "100" and stack["dwell"]["min"] == "0"
    assert stack["energies"]["min"] == "0" and "'Mn L3'" in stack["edge"]["annotation"]["type"]


GOOD = {
    "by-edge": {"edge": "Mn L3"},
    "energies": {"energies": [640, 641.5], "center": [0, 1.5], "size": [2, 3], "pixels": [6, 4]},
    "square": {"edge": "Mn L3", "size": 3, "pixels": 10, "dwell": 0.002, "md": {"sample": "a"}},
    "references-by-name": {"edge": "Mn L3", "references": "Mn L3"},
    "references-by-file": {"edge": "Mn L3", "references": {"file": "a.csv", "unit": "OD"}},
}


@pytest.mark.parametrize("name", GOOD)
def test_taken(listed, name):
    assert refusal(listed, "energy_stack", stxm="stxm", **GOOD[name]) == ""


BAD = {
    "no-device": ({}, ["stxm"]),
    "unknown-parameter": ({"stxm": "stxm", "dwel": 1}, ["dwel"]),
    "text-dwell": ({"stxm": "stxm", "dwell": "1 ms"}, ["dwell"]),
    "number-in-words": ({"stxm": "stxm", "dwell": "0.001"}, ["dwell"]),
    "negative-dwell": ({"stxm": "stxm", "dwell": -0.001}, ["dwell", "-0.001", "[0, inf]"]),
    "endless-retries": ({"stxm": "stxm", "retries": 1000}, ["retries", "1000", "100"]),
    "half-retries": ({"stxm": "stxm", "retries": 0.5}, ["retries", "0.5"]),
    "energies-in-words": ({"stxm": "stxm", "energies": "640"}, ["energies"]),
    "unknown-edge": ({"stxm": "stxm", "edge": "mn l3"}, ["edge", "Mn L3", "Ni L3"]),
    "negative-energy": ({"stxm": "stxm", "energies": [640, -1]}, ["energies", "-1", "[0, inf]"]),
    "three-centers": ({"stxm": "stxm", "center": [1, 2, 3]}, ["center"]),
    "device-as-number": ({"stxm": 3}, ["stxm"]),
}


@pytest.mark.parametrize("name", BAD)
def test_refused_on_hand_in(listed, name):
    item, says = BAD[name]
    why = refusal(listed, "energy_stack", **item)
    for word in says:
        assert word in why, why


def test_narrower_limits_and_names_of_devices_that_are_there():
    told = description(energy_stack, {"stxm": ["stxm"]}, {"dwell": (1e-5, 10.0)})
    nspace = {"energy_stack": plan_with(told)}
    existing, _, _, _ = existing_plans_and_devices_from_nspace(nspace=nspace)
    everybody = {
        "user_groups": {
            g: {"allowed_plans": [None], "allowed_devices": [None]} for g in ("root", "a")
        }
    }
    allowed, _ = load_allowed_plans_and_devices(
        existing_plans=existing,
        existing_devices={"stxm": {"is_readable": True}, "ring": {}},
        user_group_permissions=everybody,
    )

    def why(**kwargs):
        item = {"name": "energy_stack", "kwargs": {"edge": "Mn L3", **kwargs}}
        return validate_plan(item, allowed_plans=allowed["a"], allowed_devices={"stxm": {}})[1]

    assert why(stxm="stxm", dwell=0.001) == ""
    for word in ("dwell", "11", "[1e-05, 10]"):
        assert word in why(stxm="stxm", dwell=11)
    assert "ring" in why(stxm="ring")


def plan_with(told):
    def energy_stack_here(*args, **kwargs):
        return energy_stack(*args, **kwargs)

    energy_stack_here.__dict__.update(vars(energy_stack))
    energy_stack_here.__signature__ = energy_stack.__signature__
    energy_stack_here.__name__ = "energy_stack"
    energy_stack_here._custom_parameter_annotation_ = told
    return energy_stack_here


@plan
def counting(
    device: EnergyAxis,
    others: Mapping[str, Microscope] | None = None,
    *,
    number: Annotated[int, Bounds(at_least=1, at_most=3)] = 1,
    wait: Annotated[float | None, Bounds("s", above=0)] = None,
    listed: Annotated[Sequence[float], Bounds("eV", above=0, step=0.1)] = (),
) -> MsgGenerator[int]:
    """Count messages."""
    if device is None:
        raise ValueError("device = None")

    def messages():
        for _ in range(number):
            yield Msg("null", wait=wait)
        return number

    return messages()


def test_checks_are_raised_at_the_call_and_leave_nothing_behind(recwarn):
    with pytest.raises(ValueError, match=r"number = 4 must be a whole number >= 1 and <= 3"):
        counting(1, number=4)
    with pytest.raises(ValueError, match=r"wait = 0 s must be greater than 0 s"):
        counting(1, wait=0)
    with pytest.raises(ValueError, match="device = None"):
        counting(None)
    with pytest.raises(TypeError, match=r"counting\(\).*'nummer'"):
        counting(1, nummer=4)
    assert [str(w.message) for w in recwarn] == []


def test_a_plan_that_nobody_runs_says_so():
    with pytest.warns(RuntimeWarning, match="`counting` was never iterated"):
        counting(1)


def test_it_runs_and_returns(RE):
    sent = list(counting(1, number=2.0, wait=3))
    assert [msg.command for msg in sent] == ["null", "null"]
    assert [type(msg.kwargs["wait"]) for msg in sent] == [float, float]
    results = []

    def outer():
        results.append((yield from counting(1, number=3)))

    RE(outer())
    assert results == [3]


def test_lists_are_told_and_left_to_the_plan():
    told = counting._custom_parameter_annotation_["parameters"]
    assert told["listed"] == {"annotation": "list[float]", "min": 0, "step": 0.1}
    assert told["others"]["annotation"] == "typing.Union[dict[str, __DEVICE__], None]"
    assert device_parameters(counting) == {"device": EnergyAxis, "others": Microscope}
    list(counting(1, listed=[-1.0]))


def test_a_parameter_that_json_cannot_say_is_refused_when_the_plan_is_written():
    class Thing:
        pass

    def bad(thing: Thing | None = None) -> MsgGenerator[Any]:
        """Not public."""
        yield Msg("null")

    bad.__annotations__["thing"] = Thing | None
    with pytest.raises(TypeError, match=r"plan bad: thing has the type .*Thing"):
        plan(bad)


@pytest.mark.parametrize(
    ("args", "kwargs", "words"),
    [
        ((None,), {"pixel": 50}, r"has no parameter 'pixel'; did you mean 'pixels'\?"),
        ((None,), {"foo": 50}, r"has no parameter 'foo'; known are stxm, edge, energies, "),
        (
            (None, "Mn L3"),
            {},
            r"takes stxm without a name, and 2 are given; the rest by name",
        ),
        ((), {"edge": "Mn L3"}, "missing a required argument: 'stxm'"),
    ],
)
def test_arguments_that_do_not_fit_say_what_may_be_meant(args, kwargs, words):
    with pytest.raises(TypeError, match=r"energy_stack\(\) " + words):
        energy_stack(*args, **kwargs)


def test_help_shows_of_limits_what_is_given():
    assert repr(Bounds("s", above=0)) == "Bounds('s', above=0)"
    assert repr(Bounds(at_least=0, at_most=100)) == "Bounds(at_least=0, at_most=100)"
