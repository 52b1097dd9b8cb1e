"""Maps of a fraction with their uncertainty, from the counts of an energy stack."""

from ._area import default_area
from ._blank import Blank, find_blank
from ._checks import checked_mask
from ._counts import dead_time_corrected, log_variance
from ._dose import DoseChange, change_of_od
from ._forecast import forecast
from ._frames import Detector
from ._i0_given import I0Error, I0Spectrum
from ._informative import ENERGY_SIGMA, informative_order
from ._model_error import ModelError, model_error
from ._noise import LACK, Noise
from ._od import map_of_od
from ._result import AreaSpectrum, OxidationResult, PixelFlag
from ._rows import blocks_of, rows_that_matter
from ._stack import StackFit
from ._target import Forecast, Target, as_target
from ._unsteady import leave_unsteady_out

__all__ = [
    "Blank",
    "Detector",
    "DoseChange",
    "ENERGY_SIGMA",
    "Forecast",
    "I0Error",
    "I0Spectrum",
    "LACK",
    "ModelError",
    "Noise",
    "OxidationResult",
    "PixelFlag",
    "AreaSpectrum",
    "StackFit",
    "Target",
    "as_target",
    "blocks_of",
    "change_of_od",
    "checked_mask",
    "dead_time_corrected",
    "default_area",
    "find_blank",
    "forecast",
    "informative_order",
    "leave_unsteady_out",
    "log_variance",
    "map_of_od",
    "model_error",
    "rows_that_matter",
]
