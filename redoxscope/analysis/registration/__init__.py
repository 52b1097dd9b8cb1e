"""By how much the sample moved from image to image, and how sure that is."""

from ._alike import likeness
from ._shift import LEAST_SIDE, Shift, shift_onto
from ._track import MATTERS, MOST_SIGMA, SEEN, Drift, DriftTracker

__all__ = [
    "LEAST_SIDE",
    "MATTERS",
    "MOST_SIGMA",
    "SEEN",
    "Drift",
    "DriftTracker",
    "Shift",
    "likeness",
    "shift_onto",
]
