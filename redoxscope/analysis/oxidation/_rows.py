"""Which rows of an image still matter, where the others follow from what is known of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ._result import OxidationResult
from ._stack import StackFit
from ._target import FREEDOM, Target

__all__ = ["blocks_of", "rows_that_matter"]

SMOOTH = 1.0
"""Pixels of the Gaussian by which the thickness is smoothed before it is asked where sample is."""
LEFT = 0.28
"""Noise that this leaves, 1 / (2 sqrt(pi))."""
SURE = 3.0
"""Standard deviations from which on a smoothed thickness is one."""
BLANK_PIXELS = 200
BLANK_SHARE = 0.25
"""So many pixels of the blank area are flown at each energy, or this share of it where that is
less: I0's variance, which all pixels share, is then far below a pixel's own."""
SPARED = 0.1
"""Of the pixels that a target need not reach, the part that may lie in rows left out."""


def rows_that_matter(
    fit: StackFit, result: OxidationResult, target: Target | None = None
) -> NDArray[np.bool_] | None:
    """Rows to be flown at the next energy.

    A stack has a low rank: with the references known, an optical density at any energy follows
    from as many coefficients as there are species and a constant. A row without sample says
    nothing of the fraction at any energy, one whose pixels are sure enough nothing that is asked
    for. What such rows were measured with before stands: the fit of each row rests on the
    energies that it has, and so does its σ.

    Parameters
    ----------
    fit : StackFit
    result : OxidationResult
        Its maps as they are.
    target : Target, optional
        Rows whose pixels have reached it are left out, too.

    Returns
    -------
    numpy.ndarray of bool [ny] or None
        None: all of them, since what is known does not tell yet. Rows of the blank area are among
        them, so that I0 is known at each energy, but where it comes from a monitor alone.
    """
    measured = (fit.lines_present & np.isfinite(result.ln_i0)[:, None]).sum(axis=0)
    if measured.max(initial=0) < fit.design.shape[1] + FREEDOM:
        return None
    known = np.isfinite(result.thickness)
    smooth = ndimage.gaussian_filter(np.where(known, result.thickness, 0.0), SMOOTH)
    sigma = LEFT * np.where(known, result.thickness_sigma, np.inf)
    sample = smooth > np.fmax(0.5 * fit.min_thickness, SURE * sigma)
    sample |= result.mask
    if not sample.any():
        return None
    wanted = sample
    if target is not None:
        with np.errstate(invalid="ignore"):
            later = ~result.mask & (result.thickness > fit.min_thickness)  # thick, not yet sure
            wanted = sample & (later | (result.sigma > target.sigma))
    number = wanted.sum(axis=1)
    rows = np.asarray(number > 0)
    if target is not None:  # few pixels may stay as they are, and cost whole rows
        order = np.argsort(number, kind="stable")
        spare = SPARED * (1.0 - target.share) * result.n_mask  # so many leave the share reached
        rows[order[np.cumsum(number[order]) <= spare]] = False
    # A row whose first lines were missed is not known yet.
    rows |= measured < fit.design.shape[1] + FREEDOM
    if not rows.any():
        return rows
    blank = fit.i0_mask
    if blank is not None:
        held = blank.sum(axis=1)
        enough = min(BLANK_PIXELS, BLANK_SHARE * held.sum())
        for row in np.argsort(-held, kind="stable"):
            if held[rows].sum() >= enough or not held[row]:
                break
            rows[row] = True
    return rows


def blocks_of(rows: NDArray[np.bool_], bridge: int = 2) -> list[range]:
    """Rows as blocks without gaps, each flown as an image of its own.

    Parameters
    ----------
    rows : numpy.ndarray of bool [ny]
    bridge : int
        Gaps of so many rows are flown along, for to begin a block costs as much.

    Returns
    -------
    list of range
    """
    found: list[range] = []
    for row in np.flatnonzero(rows).tolist():
        if found and row - found[-1].stop <= bridge:
            found[-1] = range(found[-1].start, row + 1)
        else:
            found.append(range(row, row + 1))
    return found
