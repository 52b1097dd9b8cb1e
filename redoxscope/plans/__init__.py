"""Bluesky plans."""

from ._beam import with_beam, with_beam_decorator
from ._energy_stack import energy_stack
from ._inputs import check_energies
from ._photons import with_photons
from ._protocols import EnergyAxis, LineScanner, Microscope, Spectrometer
from ._public import Bounds, plan
from ._rixs import rixs_map, xes
from ._rixs_scan import RixsScan
from ._tes_calibrate import CALIBRATION_POINT, tes_calibrate

__all__ = [
    "CALIBRATION_POINT",
    "Bounds",
    "EnergyAxis",
    "LineScanner",
    "Microscope",
    "RixsScan",
    "Spectrometer",
    "check_energies",
    "energy_stack",
    "plan",
    "rixs_map",
    "tes_calibrate",
    "with_beam",
    "with_beam_decorator",
    "with_photons",
    "xes",
]
