"""How long a device says that it takes, asked in one way by estimates and dry runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophyd import EpicsMotor, Signal

__all__ = ["move_time", "point_time"]


def move_time(device: Any, target: Any, standing: Mapping[Any, Any] | None = None) -> float | None:
    """Time (s) of a move, as the device declares it; None where it moves and does not.

    Parameters
    ----------
    device : device
        What is set.
    target : object
    standing : mapping, optional
        By device and signal: where something stands now, in place of what the device says.
    """
    there = {} if standing is None else standing
    start = there.get(device)
    time_to = getattr(device, "time_to", None)
    if callable(time_to) and target is not None:
        options = {} if start is None else {"start": start}
        rate = getattr(device, "rate", None)
        if rate is not None and rate in there:  # of a heater, which ramps
            options["rate"] = there[rate]
        return float(time_to(target, **options))
    if isinstance(device, EpicsMotor):
        way = abs(target - (device.position if start is None else start))
        return float(way / device.velocity.get() + device.acceleration.get())
    # Signals are set at once, and so is a shutter, which is what has a dead man.
    at_once = isinstance(device, Signal) or hasattr(device, "dead_man")
    return None if hasattr(device, "position") and not at_once else 0.0


def point_time(device: Any, standing: Mapping[Any, Any] | None = None) -> float:
    """Time (s) for which a device counts when it is triggered; 0 where it does not say."""
    ask = getattr(device, "point_time", None)
    if not callable(ask):
        return 0.0
    dwell = (standing or {}).get(getattr(device, "dwell", None))
    return float(ask() if dwell is None else ask(dwell))
