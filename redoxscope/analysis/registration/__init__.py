"""By how much the sample moved from image to image, and how sure that is."""

from ._shift import Shift, shift_onto
from ._track import Drift, DriftTracker

__all__ = ["Drift", "DriftTracker", "Shift", "shift_onto"]
