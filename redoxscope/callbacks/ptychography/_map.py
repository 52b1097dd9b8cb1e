"""All energies on one grid, their optical density, and the map that they give."""

from __future__ import annotations

from ...analysis.ptychography import PtychoResult
from ...data import References
from ._snapshot import PtychoMap

__all__ = ["map_of"]


def map_of(images: list[PtychoResult], references: References | None) -> PtychoMap:
    """Put images of all energies onto one grid and fit the references.

    Raises
    ------
    ValueError
        They do not overlap.
    """
    raise ValueError("the energies are not put together yet")
