"""What every run of the spectrometer does, its calibration, and its photons in other plans."""

from ._calibrate import CALIBRATION_POINT, tes_calibrate
from ._photons import with_photons
from ._run import check_scan, counters_back, measured, one_run, safety_steps
from ._scan import RixsScan, check_devices, passes_of

__all__ = [
    "CALIBRATION_POINT",
    "RixsScan",
    "check_devices",
    "check_scan",
    "counters_back",
    "measured",
    "one_run",
    "passes_of",
    "safety_steps",
    "tes_calibrate",
    "with_photons",
]
