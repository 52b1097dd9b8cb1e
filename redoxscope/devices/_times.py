"""How long things take, as devices declare it: arithmetic on what they publish, nothing moves."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["FrameTime", "travel_time"]


class FrameTime(NamedTuple):
    """Where the time (s) of one image goes.

    Attributes
    ----------
    live : float
        Dwell of all pixels.
    flight : float
        Between the lines: fly-back, turn, what the controller needs.
    rest : float
        After the last line, before another image may begin; an energy move may use it.
    """

    live: float
    flight: float
    rest: float


def travel_time(distance: float, velocity: float, ramp: float = 0.0) -> float:
    """Time (s) of a move at a velocity that is reached, and left, within a ramp.

    A trapezoid: while it speeds up and slows down, ``ramp`` seconds each, it covers
    ``velocity * ramp`` together; a shorter move never reaches its velocity.

    Parameters
    ----------
    distance : float
        In the motor's units.
    velocity : float
        Per second, above 0.
    ramp : float
        Seconds from rest to the velocity, 0 or above (``.ACCL`` of a motor record).
    """
    way = abs(distance)
    if way < velocity * ramp:
        return 2 * math.sqrt(way * ramp / velocity)
    return way / velocity + ramp
