"""What plans are given: devices that can do what is needed, an axis for each loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..documents import LINE_KEYS
from ..scan import Scan

__all__ = ["all_axes", "check_axes", "check_device", "check_settable", "lacking"]


def check_axes(scan: Scan, axes: Any) -> dict[str, Any]:
    """What is set for the outer loops of a scan, by their names, outermost first.

    Raises
    ------
    ValueError
        A loop has none, one belongs to no loop, or cannot be set.
    """
    given = all_axes(axes, {})
    loops = [outer.name for outer in scan.outer]
    for outer in scan.outer:
        if outer.name in LINE_KEYS:
            raise ValueError(
                f"the scan loops over {outer.name!r}, which is a name of what each event holds; "
                "take another"
            )
        if outer.name not in given:
            unit = f" ({outer.unit})" if outer.unit else ""
            raise ValueError(
                f"the scan loops over {outer.name!r}{unit} and no axis is given for it: "
                f"axes={{{outer.name!r}: …}}"
            )
    for name, device in given.items():
        if name not in loops:
            raise ValueError(
                f"axes has {name!r}, over which the scan does not loop; its loops: "
                f"{', '.join(loops) or 'none'}"
            )
        check_settable(f"axes[{name!r}]", device)
    return {loop: given[loop] for loop in loops}


def all_axes(axes: Any, own: Mapping[str, Any]) -> dict[str, Any]:
    """The axes that a user gives, and those that the plan sets itself.

    Raises
    ------
    ValueError
        It is no mapping, or has one of the plan's own.
    """
    given = {} if axes is None else axes
    if not isinstance(given, Mapping):
        raise ValueError(f"axes = {axes!r:.80} must be a mapping, as {{'temperature': heater}}")
    for name in own:
        if name in given:
            raise ValueError(f"axes has {name!r}, which this plan sets itself: leave it out")
    return {**given, **own}


def check_settable(name: str, device: Any) -> None:
    """Refuse what is no device that can be set.

    Raises
    ------
    ValueError
    """
    _refuse_text(name, device)
    if isinstance(device, type) or not callable(getattr(device, "set", None)):
        shown = getattr(device, "name", device)
        raise ValueError(f"{name} = {shown!r:.80} is no device that can be set")


def check_device(name: str, device: Any, protocol: type, example: str) -> None:
    """Refuse what cannot be used as a device of a plan.

    Parameters
    ----------
    name : str
        The plan's argument.
    device : object
        What was given for it.
    protocol : type
        Protocol whose own members are needed.
    example : str
        Class that has them.

    Raises
    ------
    ValueError
        Names the argument, what was given and what is needed.
    """
    _refuse_text(name, device)
    lacks = lacking(device, protocol)
    if not lacks:
        return
    if isinstance(device, type):
        raise ValueError(
            f"{name} = {device.__name__} is a class, not a device such as "
            f"redoxscope.devices.{example}(…, name=…)"
        )
    called = getattr(device, "name", None)
    shown = repr(called if isinstance(called, str) else device)
    raise ValueError(
        f"{name} = {shown} is not a device such as redoxscope.devices.{example}: "
        f"{type(device).__name__} has no {', '.join(lacks)}"
    )


def _refuse_text(name: str, device: Any) -> None:
    if isinstance(device, str):
        raise ValueError(f"{name} = {device!r:.80} is text: give the device, without quotes")


def lacking(device: Any, protocol: type) -> list[str]:
    """Members of a protocol's own that something has not; a class has none of them."""
    needed = [
        *getattr(protocol, "__annotations__", {}),
        *(key for key, value in vars(protocol).items() if key[0] != "_" and callable(value)),
    ]
    return [key for key in needed if isinstance(device, type) or not _has(device, key)]


def _has(device: Any, key: str) -> bool:
    """Whether something has a member, without asking a property, which may fail just now."""
    return hasattr(type(device), key) or hasattr(device, key)
