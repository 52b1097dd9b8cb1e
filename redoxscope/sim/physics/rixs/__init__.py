"""The model of the emission: what a sample emits, and what a resolution makes of it."""

from ._electrode import Electrode
from ._emission import ARRAY_PIXELS, FWHM, GRID, Emission, broadened, piled_up, rebinned
from ._model import EXCITATION_RANGE, PHASES, RIXS_SAMPLES, RixsModel

__all__ = [
    "ARRAY_PIXELS",
    "EXCITATION_RANGE",
    "FWHM",
    "GRID",
    "PHASES",
    "RIXS_SAMPLES",
    "Electrode",
    "Emission",
    "RixsModel",
    "broadened",
    "piled_up",
    "rebinned",
]
