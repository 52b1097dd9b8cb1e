"""Doubts of the references themselves: an energy offset, a species that is lacking."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import OxidationResult, StackFit, model_error
from ...data import References
from .._doubt import Doubt
from .._draw_style import measured
from ._words import several

__all__ = ["model_doubts"]

OFFSET = 0.03
"""eV below which an offset of the energies is not worth saying."""
OFFSET_SIGMA = 5.0
MISFIT = 9.0
"""Reduced chi-square of the worst pixels, beyond the best offset, from which on something is
lacking: three times the noise, for these are the pixels that were chosen as the worst."""
CHANCE = 5.0


def model_doubts(fit: StackFit, result: OxidationResult, references: References) -> Iterator[Doubt]:
    """Say whether the references are off in energy, and whether one is lacking.

    Parameters
    ----------
    fit : StackFit
    result : OxidationResult
        The final maps.
    references : References

    Yields
    ------
    Doubt
        ``energy_offset`` (eV) and ``component`` (reduced chi-square of the worst pixels).
    """
    low, high = references.energies[0], references.energies[-1]

    def design_at(energies: NDArray[np.float64]) -> NDArray[np.float64]:
        return references.design(np.clip(energies, low, high))

    found = model_error(fit, result, design_at)
    if found is None:
        return
    freedom = max(len(found.worst.od) - fit.design.shape[1], 1)
    enough = max(MISFIT, 1.0 + CHANCE * np.sqrt(2.0 / freedom))
    if np.isinf(found.offset_sigma):
        if found.chi2 > enough:
            by = f"{found.offset:+.1f}".replace("-", "−")
            yield Doubt(
                "energy_offset",
                found.offset,
                f"By the references the energies are off by {by} eV or more, or the references are "
                f"of something else (reduced χ² {found.chi2:.3g}, with that offset "
                f"{found.chi2_shifted:.3g}): further away is not looked.",
            )
    elif abs(found.offset) > max(OFFSET, OFFSET_SIGMA * found.offset_sigma):
        yield Doubt(
            "energy_offset",
            found.offset,
            f"By the references the energies are off by "
            f"{measured(found.offset, found.offset_sigma, sign=True)} eV, all pixels together "
            f"(reduced χ² {found.chi2:.3g}, with that offset {found.chi2_shifted:.3g}): calibrate "
            "the energy, or take references of this beamline.",
        )
    if found.worst_shifted > enough:
        yield Doubt(
            "component",
            found.worst_shifted,
            f"A component is missing, or a reference does not suit: the mean of the worst "
            f"{several(found.worst.n_pixels, 'pixel')} misses by {np.sqrt(found.worst_shifted):.1f}"
            f" times the noise whatever the energy offset (largest {found.residual:+.3f} OD at "
            f"{found.residual_energy:g} eV).",
        )
