"""What the worker of a queue server has by name: RunEngine, devices, plans, functions."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import Any

from .. import plans
from ..devices import DeviceError
from ..plans.support import description, device_parameters, lacking
from ._functions import functions

__all__ = ["names", "narrowed"]

log = logging.getLogger("redoxscope.queue")

DARK = ("count", "scan", "rel_scan", "list_scan", "rel_list_scan", "grid_scan", "rel_grid_scan")
"""Plans of bluesky that move and count; each also as ``…_with_beam``, with the shutter open, where
an instrument has one."""

_MOTOR_OR_NUMBER = {"annotation": "typing.Union[__MOVABLE__, typing.Any]"}


def names(session: Any) -> dict[str, Any]:
    """Everything that a queue may use, of one session: its RunEngine is the worker's.

    Parameters
    ----------
    session : redoxscope.session.Session
    """
    import bluesky.plan_stubs as bps
    import bluesky.plans as bp

    devices = session.devices
    found: dict[str, Any] = {"s": session, "RE": session.RE, **devices}
    for name in plans.__all__:
        function = getattr(plans, name)
        if getattr(function, "_is_plan_", False):
            known = narrowed(function, devices)
            if known is not None:
                found[name] = known
    shutter = session.beam_shutter
    for name in DARK:
        function = getattr(bp, name)
        found[name] = _called(function, name)
        if shutter is not None:
            beam = plans.with_beam_decorator(shutter)
            found[f"{name}_with_beam"] = _called(beam(function), f"{name}_with_beam")
    found["mv"] = _called(bps.mv, "mv")
    return {**found, **functions(session)}


def _called(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """A plan of bluesky under the name that the queue knows it by."""

    @functools.wraps(function)
    def plan(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    public: Any = plan
    public.__name__ = name
    public._is_plan_ = True
    if name.startswith("list_scan"):  # its annotation takes each argument for a pair
        public._custom_parameter_annotation_ = {"parameters": {"args": _MOTOR_OR_NUMBER}}
    return plan


def narrowed(function: Callable[..., Any], devices: Mapping[str, Any]) -> Any:
    """A plan that says which devices it takes and how far they go; None where one is missing.

    So an item with another device, or with a dwell that the controller would refuse, is refused
    when it is handed in. The plan asks the devices again when it runs.

    Parameters
    ----------
    function : callable
        A plan of ours.
    devices : mapping of str to device
    """
    signature = inspect.signature(function)
    taken: dict[str, list[str]] = {}
    limits: dict[str, tuple[float, float]] = {}
    for parameter, protocol in device_parameters(function).items():
        if not protocol.__module__.startswith("redoxscope."):
            continue  # any device that moves, say: the worker finds it by its name
        able = [name for name, device in devices.items() if not lacking(device, protocol)]
        if able:
            taken[parameter] = able
            limits |= _limits(devices[able[0]])
        elif signature.parameters[parameter].default is inspect.Parameter.empty:
            return None
    numbers = set(signature.parameters) - set(device_parameters(function))
    limits = {name: pair for name, pair in limits.items() if name in numbers}

    @functools.wraps(function)
    def plan(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    public: Any = plan
    public._custom_parameter_annotation_ = description(function, taken, limits)
    return plan


def _limits(device: Any) -> dict[str, tuple[float, float]]:
    """Limits of parameters that a device publishes; none where it does not say them now."""
    published = getattr(device, "parameter_limits", None)
    if published is None:
        return {}
    try:
        return dict(published())
    except (DeviceError, TimeoutError) as exc:
        log.warning("limits of %s are not told to the queue: %s", device.name, exc)
        return {}
