"""Calibrations of energy, focus and aperture: found in runs, proposed, applied when asked to."""

from ._aperture import calibrate_aperture
from ._energy import calibrate_energy
from ._focus import calibrate_focus
from ._history import FOLDER, read_calibrations, states, table
from ._proposal import Proposal
from ._record import Calibration
from ._store import CalibrationError, Calibrations

__all__ = [
    "FOLDER",
    "Calibration",
    "CalibrationError",
    "Calibrations",
    "Proposal",
    "calibrate_aperture",
    "calibrate_energy",
    "calibrate_focus",
    "read_calibrations",
    "states",
    "table",
]
