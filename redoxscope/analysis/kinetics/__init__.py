"""How fast ions move: diffusion coefficients from titration pulses (GITT)."""

from ._geometry import Geometry
from ._gitt import Limits, Titration, titrate
from ._pulses import Pulse, find_pulses

__all__ = ["Geometry", "Limits", "Pulse", "Titration", "find_pulses", "titrate"]
