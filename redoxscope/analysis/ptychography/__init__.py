"""Ptychography: exposures merged, object and probe reconstructed, with resolution and σ."""

from ._again import halves, refined
from ._align import Shift, shift_between
from ._arrays import array_module
from ._engine import Engine
from ._exposures import Merged, merge_exposures
from ._gauge import remove_gauge
from ._geometry import Geometry
from ._probe import initial_probe
from ._ptychi import check_ptychi, refined_by_ptychi
from ._readout import GAIN_BITS_FULL, gain_bits, overscan
from ._result import PtychoResult
from ._ring import RingCorrelation, ring_correlation
from ._sigma import fisher_sigma, optical_density, with_sigma
from ._spectro import Spectro, empty_area, on_one_grid

__all__ = [
    "GAIN_BITS_FULL",
    "Engine",
    "Geometry",
    "Merged",
    "PtychoResult",
    "RingCorrelation",
    "Spectro",
    "Shift",
    "check_ptychi",
    "empty_area",
    "fisher_sigma",
    "array_module",
    "gain_bits",
    "halves",
    "initial_probe",
    "merge_exposures",
    "on_one_grid",
    "optical_density",
    "overscan",
    "refined",
    "refined_by_ptychi",
    "remove_gauge",
    "ring_correlation",
    "shift_between",
    "with_sigma",
]
