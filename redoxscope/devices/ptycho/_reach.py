"""Which stage reaches the places of a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ophyd.utils import LimitError

from ...scan import Exposures
from .._positioner import check_limits

__all__ = ["placed", "placed_part"]


def placed(
    stage: Any,
    positions: Sequence[tuple[float, float]],
    axis: int,
    here: float,
    there: list[float],
) -> float | None:
    """Where the coarse stage goes along x (0) or y (1), None to stay; ``there`` is told.

    The fine stage alone goes where its range suffices; else the coarse stage takes the middle of
    the places to that of the range, which has to be larger by what the coarse stage may be off.

    Raises
    ------
    ophyd.utils.LimitError
        A stage cannot.
    """
    name = "xy"[axis]
    motor, fine = getattr(stage, name), getattr(stage, f"fine_{name}")
    values = [place[axis] for place in positions]
    first, last = min(values), max(values)
    low, high = fine.limits
    check_limits(fine.name, low, (low, high), "µm")  # that there are any
    target, off = None, 0.0
    try:
        if not (low <= first - here and last - here <= high):
            target = here = (first + last) / 2 - (low + high) / 2
            motor.check_value(here)
            off = getattr(motor, "tolerance", None) or 0.0  # the path begins where it really stands
        for edge in (first - here - off, last - here + off):
            check_limits(fine.name, edge, (low, high), "µm")
    except LimitError as exc:  # of a place that nobody typed
        raise LimitError(f"places from {first:g} to {last:g} µm along {name}: {exc}") from exc
    there[axis] = here
    return target


def placed_part(
    stage: Any, part: Exposures, at: tuple[float, float] | None
) -> tuple[float | None, float | None]:
    """As `PtychoStation.place`; for frames in the dark too: the path goes to their places."""
    here = list(at or (float(stage.x.position), float(stage.y.position)))
    x, y = (placed(stage, part.positions, axis, here[axis], here) for axis in (0, 1))
    return x, y
