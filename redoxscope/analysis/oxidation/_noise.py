"""Whether values are counts: from their steps, and from how much the blank area scatters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._measured import Measured

__all__ = ["LACK", "Noise", "part_of", "scatter", "step_of", "unit_of"]

LEAST_DISTINCT = 20
"""So many different values are needed before their common step says anything."""
LEAST_PAIRS = 30
"""So many pairs of neighbours in the blank area are needed to know how it scatters."""
MOST_VALUES = 20_000
EXCESS = 2.0
"""Variance, relative to counting, from which on the values are not believed to be counts."""
SURE = 1.5
"""Factor within which the scatter has to agree with a step below 1."""
NO_BEAM = 100.0
"""The same beyond which no beam is that unsteady: what looks like whole numbers are none."""
LACK = 0.03
"""The same at the other end. Moving frames by parts of a pixel, as an alignment does, leaves
0.06 and more of the variance between neighbours."""


@dataclass(frozen=True)
class Noise:
    """How the values relate to counts.

    Attributes
    ----------
    unit : float
        Value of one count, from the values' common step or from their scatter; 1 for counts.
    monitor_unit : float
        The same of the monitor.
    excess : float
        Variance of the blank area relative to what counting explains, that unit included; NaN if
        unknown.
    relative : float
        Variance of the logarithm that is added for noise beyond counting; it is the beam's or the
        detector's, and so the same for bright and dark pixels.
    why : {"", "steps", "rate", "scatter"}
        Where a unit other than 1 comes from: all values are multiples of it; the scatter fits
        counts per second (or ms); the scatter alone.
    whole : bool
        Whether the values are whole numbers.
    dwell, monitor_dwell : float or None
        For rates the dwell (s) at which one count is `unit` (or `monitor_unit`); it is inversely
        proportional to the dwell.
    """

    unit: float = 1.0
    monitor_unit: float = 1.0
    excess: float = float("nan")
    relative: float = 0.0
    why: str = ""
    whole: bool = True
    dwell: float | None = None
    monitor_dwell: float | None = None

    @property
    def beyond(self) -> bool:
        """Whether there is noise beyond counting."""
        return self.excess > EXCESS


def _sample(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64).ravel()
    array = array[np.isfinite(array) & (array > 0)]
    return array[:: max(1, len(array) // MOST_VALUES)]


def step_of(values: ArrayLike, dwell: float | None) -> tuple[float, bool, bool]:
    """Value of one count, if the steps tell it, whether all are whole numbers, and rates.

    Counts are multiples of 1 and of nothing else. Counts per second are multiples of 1/dwell.

    Parameters
    ----------
    values : array_like
        Counts, perhaps.
    dwell : float or None
        Counting time per pixel, s.

    Returns
    -------
    unit : float
        NaN where the values have no common step.
    whole : bool
        Whether all are whole numbers.
    rate : bool
        Whether the unit is that of counts per second or ms.
    """
    sample = _sample(values)
    distinct = np.unique(sample)
    whole = bool((distinct == np.round(distinct)).all())
    for unit in _rates(dwell):
        if whole and unit <= 1.0:
            continue  # whole numbers are multiples of 0.5, too
        n = distinct / unit
        near = np.round(n)
        # Values have come as float32: their seventh digit is not known.
        fits = bool((np.abs(n - near) < 0.02 + 3e-7 * n).all()) and n.max(initial=0.0) < 1e5
        if fits and len(np.unique(near)) >= LEAST_DISTINCT:
            return unit, False, True
    if not whole:
        return float("nan"), False, False
    if len(distinct) < LEAST_DISTINCT or distinct[-1] > 2**53:
        return 1.0, True, False
    return float(np.gcd.reduce(distinct.astype(np.int64))), True, False


def part_of(values: ArrayLike, excess: float) -> float:
    """Value of one count, below 1, where averages or scaled-down counts show it; else NaN.

    The common step must agree with the scatter: numbers rounded to a decimal have a step, too.

    Parameters
    ----------
    values : array_like
        Values of one image.
    excess : float
        Their variance in the blank area, relative to counting; below 1 here.
    """
    distinct = np.unique(_sample(values))[:MOST_VALUES]
    if not 1e-3 < excess < 1.0 / SURE or len(distinct) < LEAST_DISTINCT:
        return float("nan")
    parts = np.arange(max(2, int(1.0 / (SURE * excess))), int(SURE / excess) + 2)
    few = distinct[:: max(1, len(distinct) // 50)]
    for part in parts:  # the coarsest step that all have
        if all(
            (np.abs(v * part - np.round(v * part)) < 0.02 + 3e-7 * v * part).all()
            for v in (few, distinct)
        ):
            return float(1.0 / part)
    return float("nan")


def _rates(dwell: float | None) -> list[float]:
    """What one count is in counts per second, and in counts per millisecond."""
    return [] if not dwell else [1.0 / dwell, 1e-3 / dwell]


def scatter(
    sums: Measured, blank: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Variance between neighbours in the blank area, relative to what counting explains.

    And the latter, the variance of the logarithm of one pixel; of some energies, and which.

    Neighbours in a line are taken within milliseconds: what the beam does in a longer time, and
    the blank area's own shape, drop out. The median leaves out specks. Empty where there are too
    few.
    """
    pairs = blank[:, :-1] & blank[:, 1:]
    lines = np.flatnonzero(pairs.any(axis=1))
    none = np.empty(0)
    if pairs.sum() < LEAST_PAIRS:
        return none, none, none.astype(np.intp)
    lines = lines[:: max(1, int(pairs.sum()) // MOST_VALUES)]
    complete = np.flatnonzero(sums.present[:, lines].all(axis=1))
    found, expected, which = [], [], []
    for k in complete[:: max(1, len(complete) // 8)]:
        one = np.array([k])
        y, v = sums.y(one, lines)[0], sums.variance(one, lines)[0]
        with np.errstate(invalid="ignore"):
            z = (y[:, 1:] - y[:, :-1]) ** 2 / (v[:, 1:] + v[:, :-1])
        z = z[pairs[lines]]
        z = z[np.isfinite(z)]
        if len(z) >= LEAST_PAIRS:
            found.append(float(np.median(z)) / 0.4549)  # the median of chi-square, one freedom
            expected.append(float(np.nanmedian(v[:, 1:][pairs[lines]])))
            which.append(k)
    return np.array(found), np.array(expected), np.array(which, dtype=np.intp)


def unit_of(
    excess: NDArray[np.float64], dwell: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], str]:
    """Value of one count at some energies, from the scatter of values that are not whole there."""
    for per in (1.0, 1e-3):  # counts per second, per ms
        if dwell is None:
            break
        units = per / dwell
        # Aligned frames scatter less than they should, down to LACK.
        if (units > EXCESS).all() and LACK < np.median(excess / units) < EXCESS:
            return units, "rate"
    return np.full(len(excess), np.median(excess)), "scatter"
