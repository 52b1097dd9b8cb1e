"""The same measured before and after a sample was heated, and going on where it was ended."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any
from uuid import uuid4

from bluesky.protocols import Movable
from bluesky.utils import MsgGenerator

from ...documents import EXPERIMENT, check_metadata
from ...inputs import as_name
from .._inputs import check_device, check_settable
from .._lookup import Lookup, lookup
from .._protocols import Heater
from .._public import Bounds, plan
from .._safety import SafetyStep, close, cooled, explained, made_safe, shielded
from ._heating import Heating
from ._measures import Measure, as_measures, measures
from ._parts import Part, Past, checked, in_order
from ._ramp_and_soak import heated

__all__ = ["before_after", "resume_experiment"]

log = logging.getLogger("redoxscope.plans")

RESERVED = ("uid", "time", EXPERIMENT)
"""Keys of metadata that only the plan may write."""


@plan
def before_after(
    measure: Sequence[Mapping[str, Any]] | Mapping[str, Any] | Callable[[], Any],
    heater: Heater,
    target: Annotated[float, Bounds("degC")],
    *,
    rate: Annotated[float | None, Bounds("degC/min", above=0)] = None,
    soak: Annotated[float, Bounds("s", at_least=0)] = 0.0,
    timeout: Annotated[float | None, Bounds("s", above=0)] = None,
    cool_to: Annotated[float | None, Bounds("degC")] = None,
    cool_rate: Annotated[float | None, Bounds("degC/min", above=0)] = None,
    shutter: Movable | None = None,
    md: Mapping[str, Any] | None = None,
) -> MsgGenerator[str]:
    """Measure, heat a sample and let it cool, and measure the same again.

    Each measurement and the heating are runs of their own, linked by ``experiment`` in their start
    documents: ``part`` is "before", "heat" or "after". `resume_experiment` goes on after
    whatever ended it.

    Parameters
    ----------
    measure : list of mapping, or callable
        What is measured, in order: a plan and what it is called with, by names as a queue has
        them, ``{"plan": "xas", "kwargs": {"station": "xas_station", "edge": "Mn L"}}``; or a
        function that makes a plan, ``lambda: xas(xas_station, edge="Mn L")``; or a list of such.
    heater : redoxscope.devices.HeatingStage
        Stage that holds the sample.
    target : float
        Temperature (degC).
    rate : float, optional
        Of the ramp (degC/min); by default as the stage is set.
    soak : float
        Time in band (s).
    timeout : float, optional
        Longest time (s) for the soak, with all that is left out of it.
    cool_to : float, optional
        Temperature (degC) at which it is measured again; by default the stage's safe one.
    cool_rate : float, optional
        Of the way down (degC/min); by default ``rate``.
    shutter : Movable, optional
        Closed while the sample is heated, and at the end; by default what lets beam onto the
        sample of the session's instruments.
    md : mapping, optional
        Further metadata for each of the runs.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        Uid of the experiment, for `resume_experiment`.

    Raises
    ------
    ValueError, ophyd.utils.LimitError
        What `ramp_and_soak` or a plan refuses, an unknown plan or device, a device that is not
        connected; before anything is measured or heated.

    Notes
    -----
    Whatever ends the plan early, the shutter is closed, and the stage ramps down and switches its
    output off. What was measured until then is kept.
    """
    check_device("heater", heater, Heater, "HeatingStage")
    if shutter is not None:
        check_settable("shutter", shutter)
    items = as_measures(measure)
    asked = Heating.asked_for(
        heater, target, rate=rate, soak=soak, timeout=timeout, cool_to=cool_to, cool_rate=cool_rate
    )
    user = check_metadata(md, RESERVED)
    return explained(_begun(items, heater, asked, shutter, user))


def _begun(
    items: Sequence[Any], heater: Any, asked: Heating, shutter: Any, md: dict[str, Any]
) -> MsgGenerator[str]:
    known = yield from lookup()
    found = measures(items, known)
    recipe = {
        "plan": "before_after",
        "heater": heater.name,
        "heating": asked.as_dict(),
        "measure": [one.said for one in found],
        "shutter": None if shutter is None else shutter.name,
        "md": md,
    }
    experiment = {"uid": str(uuid4()), "plan": "before_after", "attempt": 0, "recipe": recipe}
    return (yield from _measured(found, heater, asked, shutter, known, experiment, 0))


@plan
def resume_experiment(
    uid: str,
    *,
    measure: Sequence[Mapping[str, Any]] | Mapping[str, Any] | Callable[[], Any] | None = None,
    soak: Annotated[float | None, Bounds("s", at_least=0)] = None,
) -> MsgGenerator[str]:
    """Go on with an experiment after its last finished part.

    What was interrupted is done again, all of it: the part that a run was in counts as not
    measured. A heating too: what the sample had of it already is told, since it has that more.

    Parameters
    ----------
    uid : str
        Of the experiment, or of one of its runs; the first letters suffice.
    measure : list of mapping, or callable, optional
        As of `before_after`; needed where it was a function, which no document can keep.
    soak : float, optional
        Time in band (s) instead of what was asked for, where the heating is done again.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    str
        Uid of the experiment.

    Raises
    ------
    ValueError
        No such experiment, several of which the uid begins so, one that another process is
        measuring, or a device or plan that is not here; before anything is measured or heated.
    """
    items = None if measure is None else as_measures(measure)
    return explained(_resumed(as_name("uid", uid, "3f2a81"), items, soak))


def _resumed(uid: str, items: Sequence[Any] | None, soak: float | None) -> MsgGenerator[str]:
    known = yield from lookup()
    runs = yield from known.runs(EXPERIMENT, uid)
    if not runs:
        raise ValueError(f"there is no run of an experiment {uid!r}")
    uids = sorted({start[EXPERIMENT]["uid"] for start, _ in runs})
    if len(uids) > 1:
        raise ValueError(f"uid = {uid!r} is the beginning of several: {', '.join(uids)}")
    past = Past.of(runs)
    if past.done == past.total:
        log.warning("experiment %s is finished: nothing is left to do", past.uid)
        return past.uid
    recipe = past.recipe
    heater = known.device(recipe["heater"])
    check_device("heater", heater, Heater, "HeatingStage")
    if items is None:
        items = recipe["measure"]
        if None in items:
            raise ValueError(
                "a function made what was measured: give it again, as "
                "resume_experiment(uid, measure=…)"
            )
    found = measures(as_measures(items), known)
    if 2 * len(found) + 1 != past.total:
        raise ValueError(
            f"measure has {len(found)} plans; the experiment has {(past.total - 1) // 2}"
        )
    heating = dict(recipe["heating"])
    if soak is not None:
        heating["soak"] = soak
    asked = Heating.asked_for(heater, heating.pop("target"), **heating)
    shutter = None if recipe["shutter"] is None else known.device(recipe["shutter"])
    half = len(found)
    if past.done <= half and any(start[EXPERIMENT]["index"] == half for start, _ in runs):
        log.warning(
            "the heating was interrupted and is done again, in band for %g s: the sample has had "
            "part of it before (%s)",
            asked.soak,
            ", ".join(each[:8] for each in past.interrupted),
        )
    experiment = {
        "uid": past.uid,
        "plan": "before_after",
        "attempt": past.attempts,
        "recipe": recipe,
        "interrupted": list(past.interrupted),
    }
    return (yield from _measured(found, heater, asked, shutter, known, experiment, past.done))


def _measured(
    found: Sequence[Measure],
    heater: Any,
    asked: Heating,
    shutter: Any,
    known: Lookup,
    experiment: Mapping[str, Any],
    first: int,
) -> MsgGenerator[str]:
    """The parts that are left, and all made safe whatever ends them early."""
    shutter = known.shutter if shutter is None else shutter
    _check_connected(heater, shutter)
    heat = partial(heated, heater, asked, shutter, {})
    parts = [
        *(Part("before", one.name, one.make, one.single) for one in found),
        Part("heat", "ramp_and_soak", heat, True),
        *(Part("after", one.name, one.make, one.single) for one in found),
    ]
    # The same plans come before and after: each is asked once.
    checked([part for part in parts[first:] if part.kind != "heat"][: len(found)])
    steps: list[SafetyStep] = [cooled(heater)]
    if shutter is not None:
        steps.append(close(shutter))
    md = experiment["recipe"]["md"]
    whole = made_safe(in_order(parts, md, experiment, first), steps, always=False)
    yield from shielded(heater, whole)
    return str(experiment["uid"])


def _check_connected(*devices: Any) -> None:
    for device in devices:
        if getattr(device, "connected", True) is False:
            raise ValueError(f"{device.name} is not connected: nothing is measured or heated")
