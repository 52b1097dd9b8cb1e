"""The model of the spectrometer: pixels, their pulses, and what Dastard says about them."""

from ._array import TesArray
from ._pulses import PulseModel

__all__ = ["PulseModel", "TesArray"]
