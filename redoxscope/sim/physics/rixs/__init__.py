"""The model of the emission: what a sample emits, and what a resolution makes of it."""

from ._emission import ARRAY_PIXELS, FWHM, GRID, Emission, broadened, piled_up, rebinned
from ._model import EXCITATION_RANGE, RIXS_SAMPLES, RixsModel

__all__ = [
    "ARRAY_PIXELS",
    "EXCITATION_RANGE",
    "FWHM",
    "GRID",
    "RIXS_SAMPLES",
    "Emission",
    "RixsModel",
    "broadened",
    "piled_up",
    "rebinned",
]
