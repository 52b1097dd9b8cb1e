"""The mean spectrum of a stack: of the pixels that have an edge and are not too thick."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["mean_spectrum"]

Array = NDArray[np.float64]

FEWEST_PIXELS = 10
THIN = 0.3
"""Of the mean optical density of the thickest pixels, from which on a pixel counts."""


def mean_spectrum(
    od: Any, counts: Any, *, max_od: float = 2.0
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Mean optical density of the pixels of a stack that hold sample, and its counting noise.

    Parameters
    ----------
    od, counts : array_like [nE, ny, nx]
        Optical density, and counts behind the sample; NaN where there are none.
    max_od : float
        Pixels that exceed it at an energy are left out at all: there the counter, or light of
        other energies, decides.

    Returns
    -------
    values, sigma : numpy.ndarray [nE]
        NaN at energies at which less than half of the pixels were measured. The noise of I0 is
        common to all pixels and not in it.
    used : numpy.ndarray of bool [ny, nx]

    Raises
    ------
    ValueError
        Wrong shapes, or fewer than 10 pixels that hold sample.

    Notes
    -----
    A pixel holds sample where its optical density, averaged over the energies, is above 0.3 of
    that of the thickest 2 % of the pixels that are not too thick.
    """
    density, light = np.asarray(od, dtype=float), np.asarray(counts, dtype=float)
    if density.ndim != 3 or density.shape != light.shape:
        raise ValueError(
            f"od and counts have shapes {density.shape} and {light.shape}; expected (nE, ny, nx)"
        )
    known = np.isfinite(density) & (light > 0)
    number = known.sum(axis=0)
    value = np.where(known, density, 0.0)
    mean = np.where(number > 0, value.sum(axis=0) / np.maximum(number, 1), -np.inf)
    usable = (number >= 0.5 * number.max()) & (np.where(known, density, -np.inf).max(0) <= max_od)
    if usable.sum() < FEWEST_PIXELS:
        raise ValueError(
            f"{usable.sum()} pixels have an optical density below {max_od:g} at all energies; at "
            f"least {FEWEST_PIXELS} are needed"
        )
    used = usable & (mean > THIN * np.percentile(mean[usable], 98))
    if used.sum() < FEWEST_PIXELS:
        raise ValueError(f"{used.sum()} pixels hold sample; at least {FEWEST_PIXELS} are needed")
    some = known[:, used]
    many = some.sum(axis=1)
    enough = many >= 0.5 * used.sum()
    total = np.where(some, density[:, used], 0.0).sum(axis=1)
    variance = np.where(some, 1 / np.maximum(light[:, used], 1.0), 0.0).sum(axis=1)
    nothing = np.full(len(density), np.nan)
    values, sigma = nothing.copy(), nothing.copy()
    values[enough] = total[enough] / many[enough]
    sigma[enough] = np.sqrt(variance[enough]) / many[enough]
    return values, sigma, used
