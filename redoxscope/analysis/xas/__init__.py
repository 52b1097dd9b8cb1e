"""Absorption spectra: averaged, normalised, compared, with their standard deviations."""

from ._align import Alignment, Remainder, align, remainder
from ._compare import compare
from ._edge import METHODS, EdgePosition, edge_position, edge_positions
from ._local import noise_of, with_noise
from ._merge import Merged, merge
from ._normalise import SCALES, Normalised, edge_energy, normalise
from ._references import ReferenceFit, fit_references
from ._spectrum import Comparison, Spectrum
from ._valence import ValenceLine, calibrate_valence

__all__ = [
    "METHODS",
    "SCALES",
    "Alignment",
    "Comparison",
    "EdgePosition",
    "Merged",
    "Normalised",
    "ReferenceFit",
    "Remainder",
    "Spectrum",
    "ValenceLine",
    "align",
    "calibrate_valence",
    "compare",
    "edge_energy",
    "edge_position",
    "edge_positions",
    "fit_references",
    "merge",
    "noise_of",
    "normalise",
    "remainder",
    "with_noise",
]
