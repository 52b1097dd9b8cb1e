"""Secondary particles in a map: what lies inside and outside, near their edge and deep in them."""

from ._compare import Comparison, Difference, Mean, compare
from ._found import Agglomerate, Agglomerates, agglomerates

__all__ = [
    "Agglomerate",
    "Agglomerates",
    "Comparison",
    "Difference",
    "Mean",
    "agglomerates",
    "compare",
]
