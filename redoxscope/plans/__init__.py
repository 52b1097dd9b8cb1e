"""Bluesky plans."""

from ._beam import with_beam, with_beam_decorator
from ._detectors import FramesDetector, FrameStream, PointDetector
from ._expose import expose
from ._lookup import Lookup
from ._pauses import Pauses, uninterrupted
from ._protocols import (
    AbsorptionStation,
    AlignableMicroscope,
    EnergyAxis,
    Heater,
    LineScanner,
    Microscope,
    PtychographyStation,
    Spectrometer,
)
from ._public import Bounds, OneOf, plan
from .estimates import Estimate, PlanEstimate, RegionEstimate, estimate
from .progress import RunProgress, RunProgressBar, with_progress
from .ptycho import ptychography
from .rixs import rixs_map, xes
from .stxm import (
    coarse_image,
    detector_image,
    energy_stack,
    execute,
    focus_scan,
    image,
    line_spectrum,
    map_then_zoom,
    osa_focus,
    osa_image,
    point_spectrum,
    resume,
    tiled_image,
)
from .suspenders import (
    CountRateSuspender,
    CryostatSuspender,
    OverTemperatureSuspender,
    PressureSuspender,
    RingSuspender,
)
from .tes import CALIBRATION_POINT, RixsScan, tes_calibrate, with_photons
from .thermal import before_after, measure_during_ramp, ramp_and_soak, resume_experiment
from .tomography import rotation_series
from .xas import xas

__all__ = [
    "CALIBRATION_POINT",
    "AbsorptionStation",
    "AlignableMicroscope",
    "Bounds",
    "CountRateSuspender",
    "CryostatSuspender",
    "EnergyAxis",
    "Estimate",
    "FrameStream",
    "FramesDetector",
    "Heater",
    "LineScanner",
    "Lookup",
    "Microscope",
    "OneOf",
    "OverTemperatureSuspender",
    "Pauses",
    "PlanEstimate",
    "PointDetector",
    "PressureSuspender",
    "PtychographyStation",
    "RegionEstimate",
    "RingSuspender",
    "RixsScan",
    "RunProgress",
    "RunProgressBar",
    "Spectrometer",
    "before_after",
    "energy_stack",
    "estimate",
    "execute",
    "expose",
    "image",
    "measure_during_ramp",
    "plan",
    "ptychography",
    "ramp_and_soak",
    "resume_experiment",
    "resume",
    "rixs_map",
    "rotation_series",
    "tes_calibrate",
    "uninterrupted",
    "with_beam",
    "with_beam_decorator",
    "with_photons",
    "with_progress",
    "xas",
    "xes",
    "focus_scan",
    "line_spectrum",
    "map_then_zoom",
    "point_spectrum",
    "tiled_image",
    "coarse_image",
    "detector_image",
    "osa_focus",
    "osa_image",
    "CountRateSuspender",
    "CryostatSuspender",
    "OverTemperatureSuspender",
    "PressureSuspender",
]
