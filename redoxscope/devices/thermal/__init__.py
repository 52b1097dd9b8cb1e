"""Heating stage: a temperature that is set, reached, held and made safe."""

from ._clock import HeaterClock
from ._controller import Controller, Readback
from ._eurotherm import Eurotherm2216e
from ._guard import HeaterGuard, Trip
from ._lakeshore import Lakeshore336
from ._linkam import LinkamT96
from ._settled import Band
from ._soak import Soaked
from ._stage import HeatingStage, heated_by

__all__ = [
    "Band",
    "Controller",
    "Eurotherm2216e",
    "HeaterClock",
    "HeaterGuard",
    "HeatingStage",
    "Lakeshore336",
    "LinkamT96",
    "Readback",
    "Soaked",
    "Trip",
    "heated_by",
]
