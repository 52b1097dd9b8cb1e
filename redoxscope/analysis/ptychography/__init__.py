"""Ptychography: exposures merged, object and probe reconstructed, with resolution and σ."""

from ._align import Shift, shift_between
from ._engine import Engine
from ._exposures import Merged, merge_exposures
from ._gauge import remove_gauge
from ._geometry import Geometry
from ._probe import initial_probe
from ._result import PtychoResult
from ._ring import RingCorrelation, ring_correlation

__all__ = [
    "Engine",
    "Geometry",
    "Merged",
    "PtychoResult",
    "RingCorrelation",
    "Shift",
    "initial_probe",
    "merge_exposures",
    "remove_gauge",
    "ring_correlation",
    "shift_between",
]
