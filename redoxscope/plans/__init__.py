"""Bluesky plans."""

from ._beam import with_beam, with_beam_decorator
from ._detectors import FramesDetector, FrameStream, PointDetector
from ._energy_stack import energy_stack, execute, image
from ._estimate import estimate
from ._estimated import Estimate, RegionEstimate
from ._expose import expose
from ._pauses import Pauses, uninterrupted
from ._photons import with_photons
from ._progress import RunProgress, with_progress
from ._progress_bar import RunProgressBar
from ._protocols import EnergyAxis, LineScanner, Microscope, Spectrometer
from ._public import Bounds, OneOf, plan
from ._rixs import rixs_map, xes
from ._rixs_scan import RixsScan
from ._suspender import RingSuspender
from ._tes_calibrate import CALIBRATION_POINT, tes_calibrate

__all__ = [
    "CALIBRATION_POINT",
    "Bounds",
    "EnergyAxis",
    "Estimate",
    "FrameStream",
    "FramesDetector",
    "LineScanner",
    "Microscope",
    "OneOf",
    "Pauses",
    "PointDetector",
    "RegionEstimate",
    "RingSuspender",
    "RixsScan",
    "RunProgress",
    "RunProgressBar",
    "Spectrometer",
    "energy_stack",
    "estimate",
    "execute",
    "expose",
    "image",
    "plan",
    "rixs_map",
    "tes_calibrate",
    "uninterrupted",
    "with_beam",
    "with_beam_decorator",
    "with_photons",
    "with_progress",
    "xes",
]
