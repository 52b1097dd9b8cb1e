"""Calibrations of energy, focus and aperture: found in runs, proposed, applied when asked to."""

from ._aperture import calibrate_aperture
from ._energy import calibrate_energy
from ._focus import calibrate_focus
from ._proposal import Proposal
from ._record import Calibration
from ._store import CalibrationError, Calibrations

__all__ = [
    "Calibration",
    "CalibrationError",
    "Calibrations",
    "Proposal",
    "calibrate_aperture",
    "calibrate_energy",
    "calibrate_focus",
]
