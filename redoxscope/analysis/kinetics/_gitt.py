"""Diffusion coefficients from titration pulses, each with what it rests on, or refused by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number, as_pair
from ._geometry import Geometry
from ._pulses import Pulse, find_pulses
from ._rest import LEAST_POINTS, Rest, end_of_rest, scatter

__all__ = ["AGAINST", "Limits", "Titration", "titrate"]

AGAINST = (
    "the voltage moves against the current: its sign is not that of charging, so state of charge, "
    "lithium and resistance have the wrong sign"
)
"""Doubt about a pulse whose ΔE_s and current differ in sign."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """When a pulse is refused, and when it is doubted.

    Attributes
    ----------
    current : float
        Largest standard deviation of the current over its mean.
    relaxed : float
        Largest change of the voltage in the last quarter of a rest, over ΔE_s.
    significance : float
        Least ΔE_s and dE/d√t in their standard deviations.
    fourier : float
        Largest τ D/L².
    fourier_doubt : float
        From which on it is told.
    r2, r2_doubt : float
        Least R² of the fit; that below which it is told.
    points : int
        Fewest points of the fit.
    """

    current: float = 0.01
    relaxed: float = 0.05
    significance: float = 3.0
    fourier: float = 0.5
    fourier_doubt: float = 0.1
    r2: float = 0.8
    r2_doubt: float = 0.98
    points: int = 10


@dataclass(frozen=True)
class Titration:
    """One pulse, and what it says. What is not known is NaN.

    Attributes
    ----------
    pulse : Pulse
    d : float
        Diffusion coefficient (m²/s); NaN where the pulse is refused.
    sigma : float
        Its standard deviation (m²/s): noise and window together. The uncertainty of the geometry
        (radius, surface) is not in it: D goes with its square.
    sigma_noise : float
        From the noise of the voltage and from rests that still moved.
    sigma_window : float
        From the choice of the window: half the difference between its early and its late half.
    r2 : float
        R² of the straight line through E against √t.
    window : tuple of float
        First and last point of that fit (s after the current was switched on).
    points : int
        Their number.
    slope, intercept : float
        dE/d√t (V/√s), and E of the line at √t = 0 (V).
    step, step_sigma : float
        ΔE_s (V): voltage at the end of the rest after the pulse, less that before it.
    ir : float
        Jump of the voltage when the current is switched on (V), from the first point of the
        pulse or, where this comes late, from the line at √t = 0.
    ir_delay : float
        How long after switching that was (s).
    level : float
        Voltage at the end of the rest before (V).
    relaxation : float
        How fast the voltage still moved at the end of the two rests, the larger (V/s).
    fourier : float
        τ D/L².
    charge : float
        Charge passed from the beginning to the middle of the pulse (C), discharging negative.
    refused : str
        Why there is no D; empty where there is one.
    doubts : tuple of str
        What speaks against D all the same, or against the sign of the current (`AGAINST`).
    """

    pulse: Pulse
    charge: float
    d: float = math.nan
    sigma: float = math.nan
    sigma_noise: float = math.nan
    sigma_window: float = math.nan
    r2: float = math.nan
    window: tuple[float, float] = (math.nan, math.nan)
    points: int = 0
    slope: float = math.nan
    intercept: float = math.nan
    step: float = math.nan
    step_sigma: float = math.nan
    ir: float = math.nan
    ir_delay: float = math.nan
    level: float = math.nan
    relaxation: float = math.nan
    fourier: float = math.nan
    refused: str = ""
    doubts: tuple[str, ...] = ()

    @property
    def resistance(self) -> float:
        """Resistance (Ω) of the jump."""
        return self.ir / self.pulse.current

    @property
    def significance(self) -> float:
        """ΔE_s in its standard deviations."""
        return abs(self.step) / self.step_sigma


def titrate(
    time: ArrayLike,
    voltage: ArrayLike,
    current: ArrayLike,
    geometry: Geometry,
    *,
    window: Sequence[float] = (1.0, 60.0),
    limits: Limits | None = None,
) -> list[Titration]:
    """Diffusion coefficient of each pulse of a galvanostatic intermittent titration.

    Parameters
    ----------
    time, voltage, current : array_like of float [n]
        s (not falling), V, A. Positive current raises the voltage: it charges the cell.
    geometry : Geometry
    window : pair of float
        From when to when after switching on E is fitted against √t (s). It begins after the jump
        by the resistance, which so never enters.
    limits : Limits, optional

    Returns
    -------
    list of Titration
        One for each pulse, in the order of time.

    Raises
    ------
    ValueError
        The columns differ in length, hold NaN, or the time falls; a window that is none.
    """
    limits = limits or Limits()
    t, v, i = _columns(time, voltage, current)
    low, high = (as_number("window", x, "s", at_least=0) for x in as_pair("window", window, "s"))
    if high <= low:
        raise ValueError(f"window = ({low:g}, {high:g}) s must end after it begins")
    steps = np.diff(np.unique(v))
    # One voltage throughout has the rounding of sums as its step.
    step = float(steps.min()) if steps.size else 1e-12 * float(np.abs(v).max(initial=0.0))
    out = []
    passed = 0.0
    for pulse in find_pulses(t, i):
        middle = passed + pulse.charge / 2
        passed += pulse.charge
        out.append(_one(t, v, i, pulse, middle, geometry, (low, high), limits, step))
    return out


def _columns(time: ArrayLike, voltage: ArrayLike, current: ArrayLike) -> tuple[Array, Array, Array]:
    columns = []
    for name, unit, given in zip(
        ("time", "voltage", "current"), "sVA", (time, voltage, current), strict=True
    ):
        values = np.asarray(given, float)
        if values.ndim != 1:
            raise ValueError(f"{name} has shape {values.shape}; it must be a list of numbers")
        if not np.isfinite(values).all():
            at = int(np.argmin(np.isfinite(values)))
            raise ValueError(f"{name} is not finite at index {at}: {values[at]:g} {unit}")
        columns.append(values)
    t, v, i = columns
    if not len(t) == len(v) == len(i):
        raise ValueError(
            f"time, voltage and current have {len(t)}, {len(v)} and {len(i)} values; "
            "they must be as many"
        )
    falls = np.flatnonzero(np.diff(t) < 0)
    if falls.size:
        k = int(falls[0])
        raise ValueError(f"time falls from {t[k]:g} to {t[k + 1]:g} s at index {k + 1}")
    return t, v, i


def _one(
    t: Array,
    v: Array,
    i: Array,
    pulse: Pulse,
    charge: float,
    geometry: Geometry,
    window: tuple[float, float],
    limits: Limits,
    digit: float,
) -> Titration:
    refused: list[str] = []
    doubts: list[str] = []
    told: dict[str, Any] = {}
    spread = _spread(t[pulse.on], i[pulse.on], pulse.current)
    if spread > limits.current:
        refused.append(
            f"the current is not constant: it varies by {100 * spread:.2g} % "
            f"(at most {100 * limits.current:g} %)"
        )
    before = end_of_rest(t[pulse.rest_before], v[pulse.rest_before], digit)
    after = end_of_rest(t[pulse.rest_after], v[pulse.rest_after], digit)
    if before is not None:
        told["level"] = before.level
    if before is None or after is None:
        where = " and ".join(w for w, r in (("before", before), ("after", after)) if r is None)
        refused.append(
            f"there is no rest {where} it that can be judged "
            f"({LEAST_POINTS} points in its last quarter)"
        )
    else:
        told |= _step(before, after)
        refused += _not_relaxed(before, after, told, limits)
        against = told["step"] * pulse.current < 0
        if against and abs(told["step"]) > limits.significance * told["step_sigma"]:
            doubts.append(AGAINST)
    fit = _Fit.of(t[pulse.on] - pulse.start, v[pulse.on], window, digit, limits.points)
    if isinstance(fit, str):
        refused.append(fit)
        return Titration(pulse, charge, **told, refused="; ".join(refused), doubts=tuple(doubts))
    told |= _jump(t, v, pulse, told.get("level", math.nan), fit)
    known = Titration(
        pulse,
        charge,
        r2=fit.r2,
        window=fit.window,
        points=fit.points,
        slope=fit.slope,
        intercept=fit.intercept,
        doubts=tuple(doubts),
        **told,
    )
    return _judged(known, fit, geometry, limits, refused)


def _judged(
    known: Titration, fit: _Fit, geometry: Geometry, limits: Limits, refused: list[str]
) -> Titration:
    """The pulse with its D, where nothing speaks against it."""
    tau = known.pulse.duration
    if abs(fit.slope) <= limits.significance * fit.slope_sigma:
        refused.append(
            f"dE/d√t is in the noise: {1e6 * fit.slope:.2g} ± {1e6 * fit.slope_sigma:.2g} µV/√s"
        )
        return replace(known, refused="; ".join(refused))
    if known.step * fit.slope < 0:
        refused.append("the voltage at rest moves the other way than in the pulse")
    if fit.r2 < limits.r2:
        refused.append(f"E does not go with √t: R² = {fit.r2:.2f} (at least {limits.r2:g})")
    d = geometry.diffusivity(known.step / tau, fit.slope)
    fourier = tau * d / geometry.length**2
    at_window = fit.window[1] * d / geometry.length**2
    if fourier > limits.fourier:
        refused.append(f"τ is not ≪ L²/D: τ D/L² = {fourier:.2g} (at most {limits.fourier:g})")
    elif at_window > geometry.window_limit:
        refused.append(
            f"τ is not ≪ L²/D: at the end of the window t D/L² = {at_window:.2g} "
            f"(at most {geometry.window_limit:g})"
        )
    doubts = [*known.doubts]
    if fourier > limits.fourier_doubt:
        doubts.append(f"τ D/L² = {fourier:.2g}, no small number")
    if fit.r2 < limits.r2_doubt:
        doubts.append(f"E goes with √t only in part: R² = {fit.r2:.3f}")
    known = replace(known, fourier=fourier, doubts=tuple(doubts))
    if refused:
        return replace(known, refused="; ".join(refused))
    by_noise = 2 * d * math.hypot(known.step_sigma / known.step, fit.slope_sigma / fit.slope)
    by_window = 2 * d * fit.slope_spread / abs(fit.slope)
    return replace(
        known,
        d=d,
        sigma=math.hypot(by_noise, by_window),
        sigma_noise=by_noise,
        sigma_window=by_window,
    )


def _spread(t: Array, i: Array, mean: float) -> float:
    """Standard deviation of the current over the time, over its mean."""
    if len(t) < 2 or t[-1] == t[0]:
        return 0.0
    square = float(np.trapezoid((i - mean) ** 2, t) / (t[-1] - t[0]))
    return math.sqrt(square) / abs(mean)


def _step(before: Rest, after: Rest) -> dict[str, float]:
    """ΔE_s; what the rests still moved counts as its uncertainty."""
    noise = math.hypot(before.sigma, after.sigma)
    return {
        "step": after.level - before.level,
        "step_sigma": math.hypot(noise, before.drift, after.drift),
        "relaxation": max(before.rate, after.rate, key=abs),
    }


def _not_relaxed(before: Rest, after: Rest, told: dict[str, float], limits: Limits) -> list[str]:
    refused = []
    step = abs(told["step"])
    noise = math.hypot(before.sigma, after.sigma)
    if step <= limits.significance * noise:
        return [
            f"ΔE_s is in the noise: {1e3 * told['step']:.2g} ± {1e3 * noise:.2g} mV "
            f"(at least {limits.significance:g} σ)"
        ]
    for where, rest in (("before", before), ("after", after)):
        moved = abs(rest.drift)
        if moved > limits.relaxed * step and moved > limits.significance * rest.drift_sigma:
            refused.append(
                f"the rest {where} it has not relaxed: {3.6e6 * rest.rate:+.2g} mV/h at its end, "
                f"{100 * moved / step:.2g} % of ΔE_s in its last quarter "
                f"(at most {100 * limits.relaxed:g} %)"
            )
    return refused


def _jump(t: Array, v: Array, pulse: Pulse, level: float, fit: _Fit) -> dict[str, float]:
    """The jump by the resistance; a first point that comes late has diffusion in it."""
    delay = float(t[pulse.on.start]) - pulse.start
    if delay <= min(1.0, fit.window[0]):
        return {"ir": float(v[pulse.on.start]) - level, "ir_delay": delay}
    return {"ir": fit.intercept - level, "ir_delay": 0.0}


@dataclass(frozen=True)
class _Fit:
    """Straight line through E against √t."""

    slope: float
    intercept: float
    slope_sigma: float
    slope_spread: float
    r2: float
    window: tuple[float, float]
    points: int

    @classmethod
    def of(
        cls, t: Array, v: Array, window: tuple[float, float], digit: float, fewest: int
    ) -> _Fit | str:
        """The fit, or why there is none."""
        low, high = window
        if t[-1] < high:
            return f"it lasts {t[-1]:.3g} s, less than the fit's window up to {high:g} s"
        inside = (t >= low) & (t <= high)
        n = int(inside.sum())
        if n < fewest:
            return (
                f"{n} points between {low:g} and {high:g} s, at least {fewest} are needed: "
                "a longer window may have them"
            )
        x, y = np.sqrt(t[inside]), v[inside]
        slope, intercept = _line(x, y)
        noise = scatter(y, digit)
        about = x - x.mean()
        total = float(((y - y.mean()) ** 2).sum())
        left = float(((y - slope * x - intercept) ** 2).sum())
        return cls(
            slope,
            intercept,
            noise / math.sqrt(float((about**2).sum())),
            _spread_of_halves(x, y, noise),
            max(0.0, 1 - left / total) if total > 0 else 0.0,
            (float(t[inside][0]), float(t[inside][-1])),
            n,
        )


def _spread_of_halves(x: Array, y: Array, noise: float) -> float:
    """Half the difference of the slopes in the early and the late half, beyond their noise."""
    early = x <= (x[0] + x[-1]) / 2
    slopes, variance = [], 0.0
    for half in (early, ~early):
        if half.sum() < 3:
            return 0.0
        slopes.append(_line(x[half], y[half])[0])
        variance += noise**2 / float(((x[half] - x[half].mean()) ** 2).sum())
    return math.sqrt(max(0.0, (slopes[0] - slopes[1]) ** 2 - variance)) / 2


def _line(x: Array, y: Array) -> tuple[float, float]:
    about = x - x.mean()
    square = float((about**2).sum())
    if square == 0:
        return 0.0, float(y.mean())
    # From the first point: a voltage that does not move has a slope of exactly zero.
    slope = float((about * (y - y[0])).sum()) / square
    return slope, float(y.mean()) - slope * float(x.mean())
