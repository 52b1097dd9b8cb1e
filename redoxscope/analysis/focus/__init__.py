"""Where the focus is, with its σ: of sample and aperture, and what that says of A0 and A1."""

from ._aperture import Aperture, find_aperture
from ._best import BestFocus, best_focus
from ._line import SPREAD, FocusLine, fit_focus
from ._sharpness import sharpness

__all__ = [
    "SPREAD",
    "Aperture",
    "BestFocus",
    "FocusLine",
    "best_focus",
    "find_aperture",
    "fit_focus",
    "sharpness",
]
