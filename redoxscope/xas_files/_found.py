"""What is found of one file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..analysis.xas import EdgePosition, Normalised
from ._columns import Measured

__all__ = ["Found", "number"]


@dataclass(frozen=True, eq=False)
class Found:
    """What was found of one file.

    Attributes
    ----------
    measured : Measured
    normalised : Normalised or None
        None where there is no edge in it.
    positions : dict of str to EdgePosition
        By method, on the aligned energy scale.
    normalisation_ev : float
        Half of how far the position moves with other ranges behind the edge; NaN where there are
        none.
    shift, shift_sigma : float
        What was added to the energies (eV); NaN where nothing was aligned.
    warnings : tuple of str
    """

    measured: Measured
    normalised: Normalised | None
    positions: Mapping[str, EdgePosition]
    normalisation_ev: float
    shift: float
    shift_sigma: float
    warnings: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.measured.spectrum.name


def number(value: float) -> float | None:
    """The number as JSON has it: None for what is not known."""
    return value if math.isfinite(value) else None
