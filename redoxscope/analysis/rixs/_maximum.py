"""Where a yield is largest, and whether that is more than noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._results import Array

__all__ = ["SIGNIFICANT", "Maximum", "find_maximum"]

SIGNIFICANT = 5.0
"""So many σ above the yield's median: the largest of a few hundred noisy points reaches 3 to 4."""
BLUR_EV = 0.3
"""Smoothing (standard deviation) of a yield before its maximum is looked for, where its points lie
closer than that."""
GRID_EV = 0.02
MOST = 2500
DRAWN = 200
SPREAD = 0.125
"""A place that is known to no better than this part of the range is none."""


@dataclass(frozen=True)
class Maximum:
    """The largest value of a yield over the excitation energy.

    Attributes
    ----------
    energy_ev, sigma_ev : float
        Where it is, and the standard deviation of that (eV); NaN where there is none.
    significance : float
        How far it stands above the yield's median, in its own σ; NaN where that is not known.
    reason : str
        Why there is no maximum, in words; "" where there is one.
    """

    energy_ev: float
    sigma_ev: float
    significance: float
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return not self.reason


def find_maximum(energies: ArrayLike, value: ArrayLike, sigma: ArrayLike) -> Maximum:
    """Find where a yield is largest, if anywhere.

    The yield is smoothed with a Gaussian of 0.3 eV (or of the points' spacing, where that is
    wider) on its uneven grid. The standard deviation of the place is half of what holds the middle
    68 % of the maxima of 200 yields drawn with `sigma`.

    Parameters
    ----------
    energies, value, sigma : array_like [n]
        Excitation energies (eV), the yield and its standard deviations; NaN where not measured.

    Returns
    -------
    Maximum
        With a reason instead of a place where the largest value does not stand 5 σ above the
        yield's median, lies at an end of the range, or could lie in most of it.
    """
    x, y, s = (np.asarray(a, float) for a in (energies, value, sigma))
    known = np.isfinite(y) & np.isfinite(s) & np.isfinite(x)
    order = np.argsort(x[known], kind="stable")
    x, y, s = (a[known][order] for a in (x, y, s))
    distinct = np.unique(x)
    if len(distinct) < 3:
        return _none(math.nan, f"{len(distinct)} energies measured; at least 3 are needed")
    span = float(distinct[-1] - distinct[0])
    blur = max(BLUR_EV, float(np.median(np.diff(distinct))) / 2)
    fine = np.linspace(distinct[0], distinct[-1], min(math.ceil(span / GRID_EV), MOST) + 1)
    kernel = _kernel(fine, x, blur)
    smooth = kernel @ y
    at = int(smooth.argmax())
    own = float(np.sqrt(kernel[at] ** 2 @ s**2))
    height = float(smooth[at] - np.median(y))
    significance = height / own if own > 0 else math.inf if height > 0 else 0.0
    if significance < SIGNIFICANT:
        return _none(
            significance,
            f"its largest value stands only {significance:.1f} σ above its median; "
            f"{SIGNIFICANT:g} are needed",
        )
    if fine[at] <= x[0] + blur / 2 or fine[at] >= x[-1] - blur / 2:
        end = "first" if fine[at] <= x[0] + blur / 2 else "last"
        return _none(significance, f"it is largest at the {end} energy, {fine[at]:.2f} eV")
    rng = np.random.default_rng(1)
    drawn = y + s * rng.standard_normal((DRAWN, len(x)))
    tops = fine[(kernel @ drawn.T).argmax(0)]
    low, high = np.quantile(tops, (0.16, 0.84))  # a rare far maximum must not set the width
    if high - low > 2 * SPREAD * span:
        return _none(significance, f"it is largest anywhere between {low:.1f} and {high:.1f} eV")
    return Maximum(float(fine[at]), float(high - low) / 2, significance)


def _kernel(fine: Array, x: Array, blur: float) -> Array:
    """Weights [fine, points] of a Gaussian average; the nearest point alone where all are far."""
    exponent = -0.5 * ((fine[:, None] - x) / blur) ** 2
    kernel = np.exp(exponent - exponent.max(1, keepdims=True))
    kernel /= kernel.sum(1, keepdims=True)
    return np.asarray(kernel)


def _none(significance: float, reason: str) -> Maximum:
    return Maximum(math.nan, math.nan, significance, reason)
