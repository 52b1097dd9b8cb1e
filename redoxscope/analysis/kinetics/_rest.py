"""The voltage at the end of a rest, and whether it still moves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_POINTS", "Rest", "end_of_rest", "scatter"]

LEAST_POINTS = 4
LEVEL = 0.02
"""Last part of a rest whose points give its voltage."""
DRIFT = 0.25
"""Last part of a rest in which the voltage must stand."""


@dataclass(frozen=True)
class Rest:
    """End of a rest.

    Attributes
    ----------
    level : float
        Voltage (V), mean of the last 2 % of the time.
    sigma : float
        Its standard deviation (V) from the scatter or from the voltmeter's steps.
    drift : float
        By how much the voltage moved in the last quarter (V).
    drift_sigma : float
        Standard deviation of that (V).
    rate : float
        The same per time (V/s).
    duration : float
        s.
    """

    level: float
    sigma: float
    drift: float
    drift_sigma: float
    rate: float
    duration: float


def end_of_rest(t: NDArray[np.float64], v: NDArray[np.float64], step: float) -> Rest | None:
    """Look at the end of a rest; None where there are too few points for it.

    Parameters
    ----------
    t, v : numpy.ndarray of float64 [n]
        s, V.
    step : float
        Smallest step of the voltmeter (V).
    """
    if len(t) < LEAST_POINTS:
        return None
    duration = float(t[-1] - t[0])
    late = t >= t[-1] - DRIFT * duration
    if late.sum() < LEAST_POINTS or duration <= 0:
        return None
    x = t[late] - t[late].mean()
    slope, offset = np.polyfit(x, v[late], 1)
    noise = max(scatter(v[late], step), float(np.std(v[late] - slope * x - offset)))
    length = float(np.ptp(x))
    last = t >= t[-1] - LEVEL * duration
    digit = step / np.sqrt(12)
    return Rest(
        float(v[last].mean()),
        float(np.hypot(noise / np.sqrt(last.sum()), digit)),
        float(slope) * length,
        noise / float(np.sqrt((x**2).sum())) * length,
        float(slope),
        duration,
    )


def scatter(v: NDArray[np.float64], step: float) -> float:
    """Noise of one point (V), from second differences; at least that of the voltmeter's steps."""
    digit = step / float(np.sqrt(12))
    if len(v) < LEAST_POINTS:
        return digit
    second = np.abs(np.diff(v, 2))
    return max(1.4826 * float(np.median(second)) / float(np.sqrt(6)), digit)
