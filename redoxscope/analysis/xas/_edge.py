"""Where an edge is."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from redoxscope.inputs import suggestion

from ._local import local_fit
from ._normalise import Normalised, blur_of
from ._spectrum import Array

__all__ = ["METHODS", "EdgePosition", "edge_position", "edge_positions"]

METHODS = ("integral", "half_height", "derivative")
STEP_LEVELS = (0.15, 1.0)
MAXIMUM_LEVELS = (0.15, 0.85)
"""Of a spectrum whose maximum is 1: there the curve is flat and has no energy."""
APART = 1.6
"""Methods that differ by more (eV) are told of: among oxides of one metal half height and integral
differ by 0.3 to 1.1 eV."""
WIDEST = 1.0
"""Half width (eV) of the straight line through a crossing, at most."""
STEADY = 0.3
"""The line reaches so far that noise is at most this part of its rise."""


@dataclass(frozen=True)
class EdgePosition:
    """Energy of an edge.

    Attributes
    ----------
    energy_ev, sigma_ev : float
        Where it is, and the standard deviation of that, the errors of background and step
        included (eV); NaN where there is none.
    method : str
        ``"integral"``, ``"half_height"`` or ``"derivative"``.
    warnings : tuple of str
        What a user should know, sentences.
    """

    energy_ev: float
    sigma_ev: float
    method: str
    warnings: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether there is one."""
        return math.isfinite(self.energy_ev)


def edge_position(normalised: Normalised, method: str = "integral") -> EdgePosition:
    """Energy of an edge by one method, with warnings where another one disagrees.

    Parameters
    ----------
    normalised : Normalised
        To step 1 or maximum 1.
    method : {"integral", "half_height", "derivative"}
        ``"integral"``: mean energy of the curve between 0.15 and 1 of the step (0.15 and 0.85 of a
        maximum). ``"half_height"``: where it first reaches 0.5. ``"derivative"``: where
        it rises most steeply, which is no measure of valence.

    Returns
    -------
    EdgePosition
        NaN, with a warning that says why, where the curve does not reach what the method needs.

    Raises
    ------
    ValueError
        Another method, or a spectrum that is not normalised to step or maximum.
    """
    if method not in METHODS:
        raise ValueError(
            f"method = {method!r:.40} must be one of {', '.join(METHODS)}"
            f"{suggestion(method, METHODS)}"
        )
    return edge_positions(normalised)[method]


def edge_positions(normalised: Normalised) -> dict[str, EdgePosition]:
    """Energy of an edge by each method; see `edge_position`.

    Raises
    ------
    ValueError
        The spectrum is not normalised to step or maximum.
    """
    if normalised.to not in ("step", "maximum"):
        raise ValueError(
            f"{normalised.spectrum.called} is normalised to {normalised.to!r}; an edge's position "
            "needs 'step' or 'maximum'"
        )
    curve = _Curve.of(normalised)
    half, half_warnings = curve.crossing(0.5, "half height")
    found = {
        "integral": curve.integral(STEP_LEVELS if normalised.to == "step" else MAXIMUM_LEVELS),
        "half_height": EdgePosition(*half, "half_height", half_warnings),
        "derivative": curve.steepest(),
    }
    main = found["integral"]
    shared = list(normalised.warnings)
    for other in (found["half_height"], found["derivative"]):
        apart = other.energy_ev - main.energy_ev
        if abs(apart) > max(APART, 5 * math.hypot(main.sigma_ev, other.sigma_ev)):
            name = other.method.replace("_", " ")
            where = "above" if apart > 0 else "below"
            shared.append(
                f"The methods disagree: {name} lies {abs(apart):.1f} eV {where} the integral "
                f"method (limit {APART:g} eV)."
            )
    peak = curve.early_peak()
    if peak:
        shared.append(peak)
    return {
        name: EdgePosition(
            each.energy_ev, each.sigma_ev, name, tuple(dict.fromkeys((*each.warnings, *shared)))
        )
        for name, each in found.items()
    }


@dataclass(frozen=True, eq=False)
class _Curve:
    energy: Array
    value: Array
    sigma: Array
    level: float  # relative standard deviation of the level that is 1
    shared: Array  # of the background, over the step: where it is wrong, the step is, too
    e0: float

    @classmethod
    def of(cls, normalised: Normalised) -> _Curve:
        spectrum = normalised.spectrum
        known = spectrum.known
        return cls(
            spectrum.energy[known],
            spectrum.value[known],
            np.nan_to_num(spectrum.sigma[known]),
            normalised.level_sigma / normalised.step,
            normalised.background_sigma[known] / normalised.step,
            normalised.e0,
        )

    def first_above(self, level: float, start: int = 0) -> int | None:
        """The point after which the curve is above a level, and stays so beyond its noise."""
        e, y = self.energy, self.value
        rises = np.flatnonzero((y[:-1] < level) & (y[1:] >= level))
        for i in rises[rises >= start]:
            after = slice(i + 1, i + 4)
            noise = 2 * float(np.mean(self.sigma[after])) / math.sqrt(len(y[after]))
            if e[i + 1] >= self.e0 or float(np.mean(y[after])) - level > noise:
                return int(i)
        return None

    def crossing(
        self, level: float, what: str, start: int = 0
    ) -> tuple[tuple[float, float], tuple[str, ...]]:
        """Energy at which a level is crossed, and its sigma (eV)."""
        i = self.first_above(level, start)
        if i is None:
            return (math.nan, math.nan), (f"The curve does not rise through {what} ({level:g}).",)
        e, y, s = self.energy, self.value, self.sigma
        reach = 1
        while True:
            use = slice(max(i + 1 - reach, 0), min(i + 1 + reach, len(e)))
            x = e[use] - 0.5 * (e[i] + e[i + 1])
            centred = x - x.mean()
            slope = float(centred @ y[use] / (centred @ centred))
            span = float(np.ptp(x))
            wide = span / 2 >= WIDEST or use == slice(0, len(e))
            if wide or float(np.mean(s[use])) <= STEADY * abs(slope) * span:
                break
            reach += 1
        if not slope > 0:
            return (math.nan, math.nan), (f"The curve is too noisy around {what} ({level:g}).",)
        middle = float(y[use].mean())
        at = float(e[use].mean()) + (level - middle) / slope
        # the value of the line at `at` is a weighted mean of the points
        weight = 1 / len(x) + (at - float(e[use].mean())) * centred / float(centred @ centred)
        variance = float(weight**2 @ s[use] ** 2)
        variance += (level * self.level) ** 2 + ((1 - level) * float(self.shared[i])) ** 2
        return (at, math.sqrt(variance) / slope), ()

    def integral(self, levels: tuple[float, float]) -> EdgePosition:
        """Mean energy over levels: ``∫ E dµ = [E µ] - ∫ µ dE``; see `edge_position`."""
        low, high = levels
        (bottom, _), told = self.crossing(low, "the foot of the edge")
        if told:
            return EdgePosition(math.nan, math.nan, "integral", told)
        begin = self.first_above(low) or 0
        (top, _), told = self.crossing(high, "the top of the edge", begin)
        if told or not top > bottom:
            told = told or ("The edge's foot and top are in the wrong order.",)
            return EdgePosition(math.nan, math.nan, "integral", told)
        height = high - low
        inside = (self.energy > bottom) & (self.energy < top)
        e = np.concatenate([[bottom], self.energy[inside], [top]])
        y = np.concatenate([[low], self.value[inside], [high]])
        area = float(np.trapezoid(y, e))
        # The limits are where the curve has these values: moving them changes nothing.
        width = np.gradient(e)[1:-1] if len(e) > 2 else np.zeros(0)
        variance = float(width**2 @ self.sigma[inside] ** 2)
        variance += (self.level * area) ** 2
        shared = np.interp(e, self.energy, self.shared)
        variance += float(np.trapezoid((1 - y) * shared, e)) ** 2
        if not inside.any():
            variance += float(np.interp(bottom, self.energy, self.sigma) * (top - bottom)) ** 2
        at = (high * top - low * bottom - area) / height
        return EdgePosition(at, math.sqrt(variance) / height, "integral")

    def steepest(self) -> EdgePosition:
        """Where the smoothed curve rises most steeply."""
        e = self.energy
        width = blur_of(e) / 2
        near = np.abs(e - self.e0) <= max(20 * width, 3 * float(np.median(np.diff(e))))
        near[[0, -1]] = False
        if not near.any():
            return EdgePosition(math.nan, math.nan, "derivative", ("There are too few points.",))
        e = e[near]
        fit = local_fit(self.energy, self.value, e, width)
        at = int(np.argmax(fit.coefficients[:, 1]))
        bend, curl = fit.coefficients[at, 2], fit.coefficients[at, 3]
        if not curl < 0:
            return EdgePosition(float(e[at]), math.nan, "derivative")
        away = -bend / (3 * curl)
        half = 0.5 * float(e[min(at + 1, len(e) - 1)] - e[max(at - 1, 0)])
        sigma = float(fit.sigma(2, self.sigma)[at]) / (3 * abs(curl))
        return EdgePosition(float(e[at] + np.clip(away, -half, half)), sigma, "derivative")

    def early_peak(self) -> str:
        """Whether a peak below the edge stands above half height, in words."""
        i = self.first_above(0.5)
        if i is None:
            return ""
        y, s = self.value, self.sigma
        falls = np.flatnonzero(y[i + 1 :] < 0.5 - 3 * s[i + 1 :])
        if not len(falls):
            return ""
        first = i + 1 + int(falls[0])
        later = self.first_above(0.5, first)
        if later is None or self.energy[later] > self.e0 + 20 * blur_of(self.energy):
            return ""
        top = i + 1 + int(np.argmax(y[i + 1 : first]))
        return (
            f"A peak below the edge, at {self.energy[top]:.1f} eV, stands above half height: the "
            "half height is that of the peak."
        )
