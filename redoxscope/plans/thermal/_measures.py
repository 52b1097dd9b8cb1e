"""What is measured before and after: plans by name, from a queue, or functions that make them."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluesky.utils import MsgGenerator

from ...inputs import as_name, check_keys
from .._lookup import Lookup
from .._public import device_parameters

__all__ = ["Measure", "as_measures", "measures"]

_KEYS = ("plan", "args", "kwargs")
_EXAMPLE = "[{'plan': 'xas', 'kwargs': {'station': 'xas_station', 'edge': 'Mn L'}}]"


@dataclass(frozen=True)
class Measure:
    """A plan that can be made as often as it is measured.

    Attributes
    ----------
    name : str
    make : callable
    said : dict or None
        As data, for JSON; None where only the function itself can make it.
    """

    name: str
    make: Callable[[], MsgGenerator[Any]]
    said: dict[str, Any] | None = None

    @property
    def single(self) -> bool:
        """Whether it has one run; of a function of the user's nobody knows."""
        return self.said is not None


def as_measures(measure: Any) -> list[Any]:
    """The list of what is to be measured, each a function or a mapping.

    Raises
    ------
    ValueError
        Something else; names it.
    """
    items = [measure] if callable(measure) or isinstance(measure, Mapping) else measure
    if isinstance(items, (str, bytes)) or not isinstance(items, Iterable) or _is_plan(items):
        raise ValueError(_refusal("measure", measure))
    found = list(items)
    if not found:
        raise ValueError("measure is empty: say what is measured before and after")
    for i, item in enumerate(found):
        name = f"measure[{i}]"
        if isinstance(item, Mapping):
            check_keys(name, item, _KEYS, 1)
            if not callable(item["plan"]):
                as_name(f"{name}['plan']", item["plan"], "xas")
            _checked(name, item)
        elif not callable(item) or _is_plan(item):
            raise ValueError(_refusal(name, item))
    return found


def _checked(name: str, item: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    args, kwargs = item.get("args", ()), item.get("kwargs", {})
    if isinstance(args, (str, bytes)) or not isinstance(args, Sequence):
        raise ValueError(f"{name}['args'] = {args!r:.60} must be a list")
    if not isinstance(kwargs, Mapping):
        raise ValueError(f"{name}['kwargs'] = {kwargs!r:.60} must be a mapping")
    return list(args), dict(kwargs)


def _is_plan(value: Any) -> bool:
    return inspect.isgenerator(value) or (hasattr(value, "send") and hasattr(value, "throw"))


def _refusal(name: str, value: Any) -> str:
    if _is_plan(value):
        return (
            f"{name} is a plan, which can be measured once only: give a function that makes it, as "
            "lambda: xas(xas_station, edge='Mn L')"
        )
    return f"{name} = {value!r:.60} must be a function that makes a plan, or data, as {_EXAMPLE}"


def measures(items: Sequence[Any], known: Lookup) -> list[Measure]:
    """What was asked for, with names that mean something here.

    Raises
    ------
    ValueError
        No such plan, or no such device.
    """
    return [_measure(f"measure[{i}]", item, known) for i, item in enumerate(items)]


def _measure(name: str, item: Any, known: Lookup) -> Measure:
    if not isinstance(item, Mapping):
        return Measure(str(getattr(item, "__name__", "measure")).strip("<>"), item)
    plan = item["plan"]
    function = plan if callable(plan) else known.plan(plan)
    called = str(getattr(function, "__name__", "plan")) if callable(plan) else str(plan)
    args, kwargs = _checked(name, item)
    devices = _takes_devices(function)
    try:
        bound = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as exc:
        raise ValueError(f"{name}: {called}: {exc}") from None
    for key, value in bound.arguments.items():
        if devices is None or key in devices:
            bound.arguments[key] = _named(value, known, strict=devices is not None)
    made = bound.args, bound.kwargs
    said = {"plan": called, "args": _as_data(args), "kwargs": _as_data(kwargs)}
    by_name = known.plans.get(called) is function and _is_json(said)
    return Measure(called, lambda: function(*made[0], **made[1]), said if by_name else None)


def _takes_devices(function: Callable[..., Any]) -> set[str] | None:
    """Parameters that take devices; None where the plan, not one of ours, does not say."""
    if not hasattr(function, "_custom_parameter_annotation_"):
        return None
    return set(device_parameters(function))


def _named(value: Any, known: Lookup, *, strict: bool) -> Any:
    """Devices for their names, also within lists and mappings."""
    if isinstance(value, str):
        return known.device(value) if strict else known.devices.get(value, value)
    if isinstance(value, Mapping):
        return {key: _named(item, known, strict=strict) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(item, known, strict=strict) for item in value]
    return value


def _as_data(value: Any) -> Any:
    """Names for devices, also within lists and mappings; plain numbers for numpy's."""
    if isinstance(value, Mapping):
        return {str(key): _as_data(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_data(item) for item in value]
    if hasattr(value, "tolist"):
        return value.tolist()
    name = getattr(value, "name", None)
    return name if isinstance(name, str) and hasattr(value, "describe") else value


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except (TypeError, ValueError):
        return False
    return True
