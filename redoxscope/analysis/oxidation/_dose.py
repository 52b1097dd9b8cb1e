"""Whether the sample has changed: an image against an earlier one at the same energy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._stack import StackFit

__all__ = ["DoseChange", "change_of_od"]

LEAST_PIXELS = 4
LEAST_OD = 0.1
"""Optical density from which on a pixel counts as sample, where there is no map to say so."""


@dataclass(frozen=True)
class DoseChange:
    """Change of the optical density of the sample between two images at one energy.

    Attributes
    ----------
    energy : float
        eV.
    change : float
        Later minus earlier, median over the pixels; NaN where it cannot be known.
    sigma : float
        Its standard deviation: counting or, where that is larger, the scatter of the pixels; and
        that of I0.
    n_pixels : int
        Pixels of the sample that both images have.
    reason : str
        Why it cannot be known; empty where it is.
    """

    energy: float
    change: float
    sigma: float
    n_pixels: int
    reason: str = ""

    @property
    def significance(self) -> float:
        """The change in standard deviations."""
        return self.change / self.sigma if self.sigma > 0 else float("nan")


def change_of_od(
    first: StackFit,
    k: int,
    later: StackFit,
    j: int,
    sample: NDArray[np.bool_],
    i0_change: tuple[float, float] = (0.0, 0.0),
) -> DoseChange:
    """Change of the optical density from image ``k`` of a stack to image ``j`` of another.

    Where images are moved, both must be, onto the same grid.

    I0 of both comes from where the first stack has it: from the same blank pixels in each image,
    from a spectrum, or from the monitor.

    Parameters
    ----------
    first, later : StackFit
        Of the same pixels; the first with its energies.
    k, j : int
        Energy indices, from 0.
    sample : numpy.ndarray of bool [ny, nx]
        Pixels that are sample; where none is, those with an optical density above 0.1.
    i0_change : tuple of float
        Where I0 is a spectrum: by how much ln I0 has changed between both images, and its
        variance. A spectrum that is the mean over both knows nothing of it.

    Returns
    -------
    DoseChange
    """
    energy = float(first.energies[k])
    mask = first.i0_mask
    later.adopt_units(first)
    before, before_variance = first.ln_i0(k)
    if mask is not None:
        later.set_blank(mask)
        found, found_variance = later.updated_ln_i0()
        after, variance = float(found[j]), before_variance + float(found_variance[j])
    elif first.given_i0 is not None:
        dwell = None if later.dwell is None else later.dwell[[j]]
        after = float(first.given_i0.at([energy], dwell)[0][0]) + i0_change[0]
        variance = i0_change[1]  # what is the same number in both cancels
    else:
        after, variance = before, 0.0  # one ratio to the monitor for all; NaN without one
    if not np.isfinite(before) or not np.isfinite(after):
        return DoseChange(energy, np.nan, np.nan, 0, "I0 is not known")
    lines = np.flatnonzero(first.lines_on_grid[k] & later.lines_on_grid[j])
    if not lines.size:
        return DoseChange(energy, np.nan, np.nan, 0, "no line was taken in both images")
    y1, v1 = first.logarithm(k, lines)
    y2, v2 = later.logarithm(j, lines)
    inside = sample[lines] if sample.any() else y1 + before > LEAST_OD
    if mask is not None:
        inside = inside & ~mask[lines]
    with np.errstate(invalid="ignore"):
        change, counted = (y2 + after) - (y1 + before), v1 + v2
    good = inside & np.isfinite(change) & np.isfinite(counted)
    n = int(good.sum())
    if n < LEAST_PIXELS:
        return DoseChange(energy, np.nan, np.nan, n, "too few pixels of sample are in both images")
    values = change[good].astype(np.float64)
    median = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - median)))
    one = max(spread, float(np.sqrt(counted[good].mean(dtype=np.float64))))
    # The median of n normal values scatters 1.25 times as much as their mean.
    sigma = float(np.hypot(1.2533 * one / np.sqrt(n), np.sqrt(variance)))
    return DoseChange(energy, median, sigma, n)
