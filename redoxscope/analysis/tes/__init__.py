"""Energy calibration of a microcalorimeter array: peaks, lines, gain curves, drift."""

from ._calibrate import calibrate
from ._calibration import Calibration, LineFit, PixelCalibration
from ._verdict import Limits

__all__ = ["Calibration", "Limits", "LineFit", "PixelCalibration", "calibrate"]
