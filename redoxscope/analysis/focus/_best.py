"""The best focus of a focus scan: where lines are sharpest."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar, nnls

from ...inputs import as_numbers
from ._sharpness import sharpness

__all__ = ["BestFocus", "best_focus"]

Array = NDArray[np.float64]

FEWEST = 7
WIDTHS = 24
SCALES = (1.0, 2.0, 4.0, 8.0)
SIGNIFICANT = 25.0
"""Least that a peak must take off χ²."""
TURNS = 9.0
"""Least that it must take off χ², beside sharpness that only rises or only falls."""
MARGIN = 0.05
"""Part of the range at each end in which a best focus is not believed."""


class _AtTheEndError(ValueError):
    """It gets sharper towards an end of the range."""


@dataclass(frozen=True, eq=False)
class BestFocus:
    """Where a focus scan is sharpest.

    Attributes
    ----------
    z, sigma : float
        Position of the zone plate and its standard deviation (µm), from noise and from scales of
        gradients that disagree.
    at : numpy.ndarray [n]
        Positions used (µm), rising.
    sharpness, sharpness_sigma, fitted : numpy.ndarray [n]
        Energy of the gradient there, and the fit to it.
    scale : float
        Standard deviation (pixels) at which gradients were taken.
    chi2 : float
        Reduced; where it is above 1, sigma is larger by its root.
    left_out : int
        Lines that were missing or not whole.
    """

    z: float
    sigma: float
    at: Array
    sharpness: Array
    sharpness_sigma: Array
    fitted: Array
    scale: float
    chi2: float
    left_out: int

    def __str__(self) -> str:
        return f"best focus at {self.z:.2f} ± {self.sigma:.2f} µm (χ² {self.chi2:.2f})"


def best_focus(z: Any, counts: Any, i0: Any = None) -> BestFocus:
    """Find the best focus among lines over the same place at several positions of the zone plate.

    Parameters
    ----------
    z : array_like [nz]
        Positions of the zone plate (µm), in any order.
    counts : array_like [nz, nx]
        Counts of each line; NaN where there are none. Lines that are not whole are left out.
    i0 : array_like [nz, nx], optional
        Counts of the monitor of the same pixels.

    Returns
    -------
    BestFocus

    Raises
    ------
    ValueError
        Wrong shapes; fewer than 7 whole lines; nothing in them that gets sharp; or it is sharpest
        at an end of the range, so that the focus may lie beyond.

    Notes
    -----
    A blur of k·|z - z0| takes the power of a spatial frequency q down by exp(-q²k²(z - z0)²), so
    the sharpness against z is a sum of Gaussians around z0 with heights that are not negative:
    those are fitted, of all widths, by non-negative least squares, and z0 by what is left.
    Gradients are taken at the scale at which the best focus is surest.
    """
    places = np.array(as_numbers("z", z, "µm", what="positions"))
    measured = np.asarray(counts, dtype=float)
    if measured.ndim != 2 or len(measured) != len(places):
        raise ValueError(
            f"counts has shape {measured.shape}; expected ({len(places)}, pixels): a line per z"
        )
    whole = np.isfinite(measured).all(axis=1) & (measured > 0).any(axis=1)
    if i0 is not None:
        monitor = np.asarray(i0, dtype=float)
        if monitor.shape != measured.shape:
            raise ValueError(f"i0 has shape {monitor.shape}; expected {measured.shape}, as counts")
        whole &= (monitor > 0).all(axis=1)
    if len(set(places[whole].tolist())) < FEWEST:
        raise ValueError(
            f"{whole.sum()} whole lines at {len(set(places[whole].tolist()))} positions; at least "
            f"{FEWEST} positions are needed to find a focus"
        )
    order = np.flatnonzero(whole)[np.argsort(places[whole], kind="stable")]
    at, lines = places[order], measured[order]
    missing = int((~whole).sum())
    light = None if i0 is None else np.asarray(i0, dtype=float)[order]
    found: list[BestFocus] = []
    problem = ""
    for scale in SCALES:
        if 6 * scale + 1 > lines.shape[1] and scale > SCALES[0]:
            break
        try:
            found.append(_fit(at, *sharpness(lines, light, scale=scale), scale, missing))
        except _AtTheEndError:
            if not found:  # a coarser scale may see a focus where there is none
                raise
        except ValueError as exc:
            problem = problem or str(exc)
    if not found:
        raise ValueError(problem)
    best = min(found, key=lambda one: one.sigma)
    # What no counting statistics know of: scales that see it as well, and elsewhere.
    near = [one for one in found if one.sigma < 2 * best.sigma]
    middles, weights = [one.z for one in near], [one.sigma**-2 for one in near]
    apart = np.average((np.array(middles) - best.z) ** 2, weights=weights)
    return replace(best, sigma=math.hypot(best.sigma, math.sqrt(float(apart))))


def _fit(at: Array, value: Array, sigma: Array, scale: float, left_out: int) -> BestFocus:
    span = float(np.ptp(at))
    step = span / (len(at) - 1)
    if not value.max() > 0:
        raise ValueError("no line has structure beyond its noise, so none is sharp")
    widths = np.geomspace(step / 3, 3 * span, WIDTHS)

    def shapes(middle: float) -> Array:
        falling = np.exp(-0.5 * ((at - middle)[:, None] / widths) ** 2)
        return np.column_stack([np.ones(len(at)), falling])

    def fit(middle: float) -> tuple[Array, float]:
        heights, root = nnls(shapes(middle) / sigma[:, None], value / sigma)
        return heights, float(root) ** 2

    grid = np.linspace(at[0], at[-1], max(4 * len(at), 100))
    costs = np.array([fit(middle)[1] for middle in grid])
    near, fine = float(grid[int(np.argmin(costs))]), float(grid[1] - grid[0])
    found = minimize_scalar(
        lambda middle: fit(middle)[1],
        bounds=(near - fine, near + fine),
        method="bounded",
        options={"xatol": 1e-3 * step},
    )
    middle = float(found.x)
    heights, cost = fit(middle)
    used = heights > 0
    chi2 = cost / max(len(at) - int(used.sum()) - 1, 1)
    flat = float(np.average(value, weights=sigma**-2))
    less = float((((flat - value) / sigma) ** 2).sum()) - cost
    if not less / max(chi2, 1.0) > SIGNIFICANT:
        raise ValueError(
            f"the lines are equally sharp from {at[0]:.6g} to {at[-1]:.6g} µm within their noise: "
            "count longer, take a line across an edge, or scan further"
        )
    ends = [fit(float(end))[1] for end in (at[0], at[-1])]
    inside = MARGIN < (middle - at[0]) / span < 1 - MARGIN
    if not inside or not min(ends) - cost > TURNS * max(chi2, 1.0):
        end = at[0] if ends[0] < ends[1] else at[-1]
        raise _AtTheEndError(
            f"the lines are sharpest at the end of the range, {end:.6g} µm: the focus may lie "
            "beyond; scan further in that direction"
        )
    basis = shapes(middle)
    fitted = basis @ heights
    by_middle = ((at - middle)[:, None] / widths**2 * basis[:, 1:]) @ heights[1:]
    slopes = np.column_stack([by_middle, basis[:, used]]) / sigma[:, None]
    slopes = slopes / np.linalg.norm(slopes, axis=0)
    size = float(np.linalg.norm(by_middle / sigma))
    error = math.sqrt(float(np.linalg.pinv(slopes.T @ slopes)[0, 0]) * max(chi2, 1.0)) / size
    if not error < span / 4:
        raise ValueError(
            f"the focus is known to {error:.3g} µm only, in a range of {span:.3g} µm: count longer "
            "or take a line across an edge"
        )
    return BestFocus(middle, error, at, value, sigma, fitted, scale, chi2, left_out)
