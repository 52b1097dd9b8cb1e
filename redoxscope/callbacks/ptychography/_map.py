"""All energies on one grid, their optical density, and the map that they give."""

from __future__ import annotations

import numpy as np

from ...analysis.oxidation import OxidationResult, map_of_od
from ...analysis.ptychography import PtychoResult, on_one_grid
from ...data import References
from ._snapshot import PtychoMap

__all__ = ["map_of"]


def map_of(images: list[PtychoResult], references: References | None) -> PtychoMap:
    """Put images of all energies onto one grid and fit the references.

    As long as the energies do not tell the species apart there is a map without result.

    Raises
    ------
    ValueError
        They do not overlap, or none of their area is empty.
    """
    found = on_one_grid(images)
    result: OxidationResult | None = None
    if references is not None:
        try:
            design = references.design(found.energies)
        except ValueError:  # too few yet: said at the end, where it stays so
            design = None
        if design is not None:
            result = map_of_od(
                design, len(references.names), found.od, found.sigma,
                zero_variance=found.zero_sigma**2, min_thickness=references.min_thickness or 0.0,
            )  # fmt: skip
    return PtychoMap(
        energies=found.energies, od=found.od, od_sigma=found.sigma,
        phase=np.angle(found.object), shift=found.shift_um, shift_sigma=found.shift_sigma_um,
        zero_sigma=found.zero_sigma, excess=found.excess, x=found.x_um, y=found.y_um, result=result,
        names=tuple(references.names) if result is not None and references is not None else (),
        unit="" if references is None else references.unit,
        source="" if references is None else references.source, notes=found.notes,
    )  # fmt: skip
