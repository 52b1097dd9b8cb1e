"""Ptychography: exposures merged, object and probe reconstructed, with resolution and σ."""

from ._geometry import Geometry
from ._result import PtychoResult

__all__ = ["Geometry", "PtychoResult"]
