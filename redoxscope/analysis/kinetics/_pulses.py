"""Pulses and rests of a titration: where the current flows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Pulse", "find_pulses", "passed_over"]

QUIET = 0.02
"""Part of the largest current below which there is none."""
STEADY, LEAST = 0.2, 10
"""A weak current is told where it scatters by less than this part, over at least these points."""


@dataclass(frozen=True)
class Pulse:
    """A stretch of time in which current flows one way.

    Attributes
    ----------
    rest_before, on, rest_after : slice
        Points of the rest before it, of itself, of the rest after it; a rest is empty where
        there is none.
    start : float
        When the current was switched on (s).
    duration : float
        τ (s).
    current : float
        Mean of it (A); positive where the cell is charged.
    """

    rest_before: slice
    on: slice
    rest_after: slice
    start: float
    duration: float
    current: float

    @property
    def charge(self) -> float:
        """Charge passed (C)."""
        return self.current * self.duration


def find_pulses(time: ArrayLike, current: ArrayLike) -> list[Pulse]:
    """Find the pulses.

    Parameters
    ----------
    time : array_like of float [n]
        s, not falling.
    current : array_like of float [n]
        A.

    Returns
    -------
    list of Pulse
        In the order of time; empty where no current flows.
    """
    t, i = np.asarray(time, float), np.asarray(current, float)
    if not t.size:
        return []
    sign = np.where(np.abs(i) > _quiet(i), np.sign(i), 0).astype(int)
    stretches = _stretches(sign)
    nothing = slice(0, 0)
    pulses = []
    for k, on in enumerate(stretches):
        if not sign[on.start]:
            continue
        before = stretches[k - 1] if k else nothing
        after = stretches[k + 1] if k + 1 < len(stretches) else nothing
        start = _start(t, on)
        end = float(t[on.stop - 1])
        pulses.append(
            Pulse(
                before if before.stop and not sign[before.start] else nothing,
                on,
                after if after.stop and not sign[after.start] else nothing,
                start,
                end - start,
                _mean(t[on], i[on]),
            )
        )
    return pulses


def passed_over(current: ArrayLike) -> tuple[float, float] | None:
    """Currents that flow steadily and yet are taken for none, for others are far stronger.

    Parameters
    ----------
    current : array_like of float [n]
        A.

    Returns
    -------
    (strongest, limit) or None
        The strongest of them, and the limit below which there is no pulse (A); None where
        there is no such current.
    """
    i = np.asarray(current, float)
    quiet = _quiet(i)
    weak = np.where(np.abs(i) > quiet, 0, np.sign(i)).astype(int)
    steady = [0.0]
    for part in _stretches(weak) if i.size else []:
        if not weak[part.start] or part.stop - part.start < LEAST:
            continue
        mean = abs(float(i[part].mean()))
        if float(i[part].std()) < STEADY * mean:
            steady.append(mean)
    return (max(steady), quiet) if max(steady) > 0 else None


def _quiet(i: NDArray[np.float64]) -> float:
    """Current (A) up to which there is none; single wild points do not say how large it is."""
    flowing = np.abs(i[i != 0])
    return QUIET * float(np.quantile(flowing, 0.99)) if flowing.size else 0.0


def _stretches(sign: NDArray[np.int_]) -> list[slice]:
    edges = np.flatnonzero(np.diff(sign)) + 1
    ends = [*edges, len(sign)]
    return [slice(int(a), int(b)) for a, b in zip([0, *edges], ends, strict=True)]


def _start(t: NDArray[np.float64], on: slice) -> float:
    """When the current came: between the last point without and the first with it.

    Cyclers log a point as they switch, so it is at most one of the pulse's own intervals before
    its first point.
    """
    first = float(t[on.start])
    if not on.start or on.stop - on.start < 2:
        return first
    return max(float(t[on.start - 1]), first - float(t[on.start + 1] - t[on.start]))


def _mean(t: NDArray[np.float64], i: NDArray[np.float64]) -> float:
    """Mean over the time, not over the points, which may lie closer at the beginning."""
    span = float(t[-1] - t[0])
    return float(np.trapezoid(i, t) / span) if span > 0 else float(i.mean())
