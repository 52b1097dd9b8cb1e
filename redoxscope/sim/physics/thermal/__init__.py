"""Heat: a block with its heater, sensors, controller and guard, and what comes off it."""

from ._chamber import GASES, Chamber, Outgassing
from ._guard import TRIPS, Guard
from ._plant import Block, Plant
from ._regulator import Regulator
from ._stage import Sample, Stage

__all__ = [
    "GASES",
    "TRIPS",
    "Block",
    "Chamber",
    "Guard",
    "Outgassing",
    "Plant",
    "Regulator",
    "Sample",
    "Stage",
]
