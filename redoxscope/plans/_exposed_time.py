"""What a scan of exposures will take, from what its devices declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..scan import Exposures
from ._foretold import Foreseen
from .estimates import move_time, point_time

__all__ = ["PER_EXPOSURE", "exposures_time"]

PER_EXPOSURE = 0.005
"""Messages and documents of an exposure, beyond moves and dwell (s)."""


def exposures_time(
    detector: Any, wanted: Iterable[tuple[Exposures, Mapping[str, tuple[Any, float]]]]
) -> Foreseen:
    """Time of all exposures; what a device does not declare is named and counted as 0 s.

    Parameters
    ----------
    detector : FramesDetector
    wanted : iterable of (Exposures, mapping)
        For each exposure what it is and, by name, which device has to be where.
    """
    standing: dict[Any, float] = {}
    known: dict[tuple[Any, ...], float | None] = {}
    unknown: dict[str, None] = {}
    total = live = 0.0
    for part, places in wanted:
        moves = [0.0]
        for device, value in places.values():
            start = standing.get(device)
            if start == value:
                continue
            key = id(device), start, value
            if key not in known:
                known[key] = move_time(device, value, standing)
            seconds = known[key]
            if seconds is None:
                unknown[
                    f"{device.name} does not say how long its moves take: they are counted as 0 s"
                ] = None
            moves.append(seconds or 0.0)
            standing[device] = value
        (dwell,) = part.times
        exposure = max(dwell, point_time(detector, {detector.dwell: dwell}))
        total += max(moves) + exposure + PER_EXPOSURE
        live += dwell
    standing.pop(detector.dwell, None)
    return Foreseen(total, live, tuple(standing.items()), tuple(unknown))
