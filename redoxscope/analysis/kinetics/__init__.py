"""How fast ions move: diffusion coefficients from titration pulses (GITT)."""

from ._geometry import Geometry
from ._gitt import AGAINST, Limits, Titration, titrate
from ._pulses import Pulse, find_pulses, passed_over

__all__ = [
    "AGAINST",
    "Geometry",
    "Limits",
    "Pulse",
    "Titration",
    "find_pulses",
    "passed_over",
    "titrate",
]
