"""Background and edge step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redoxscope.inputs import as_number, as_pair, suggestion

from ._local import local_fit, with_noise
from ._spectrum import Array, Spectrum

__all__ = ["SCALES", "Normalised", "edge_energy", "normalise"]

SCALES = ("step", "maximum", "area", "none")
HARD_EV = 2000.0
"""Above it edges are broad, and scans reach far behind them."""
FAR_EV = 60.0
"""A spectrum that reaches so far behind its edge is brought to an edge step of 1."""
LEAST_POINTS = 5
"""Fewest points of a spectrum that is normalised."""
HIGH = 0.7
"""Part of the points that lie too low to be at the maximum."""
K_PRE = (-150.0, -40.0)
K_POST = (100.0, 500.0)


@dataclass(frozen=True, eq=False)
class Normalised:
    """A spectrum without its background, and what was done to it.

    Attributes
    ----------
    spectrum : Spectrum
        Values and sigma divided by `step`.
    e0 : float
        Energy of the steepest rise (eV), from which the ranges were taken.
    to : str
        What is 1 now: ``"step"``, ``"maximum"``, ``"area"`` (1/eV), ``"none"``.
    step, step_sigma : float
        What the values were divided by, and its standard deviation; all values share its error.
    level_sigma : float
        What of it is not the background's: background and step are wrong together.
    pre, post : tuple of float or None
        Ranges (eV) of the straight line below the edge and of the level behind it.
    background, background_sigma : numpy.ndarray [n]
        What was taken off, in the units of the given spectrum; all values share its error.
    warnings : tuple of str
        What a user should know, sentences.
    """

    spectrum: Spectrum
    e0: float
    to: str
    step: float
    step_sigma: float
    level_sigma: float
    pre: tuple[float, float] | None
    post: tuple[float, float] | None
    background: Array
    background_sigma: Array
    warnings: tuple[str, ...] = ()


def blur_of(energy: Array) -> float:
    """Width (eV) of the smoothing with which an edge is looked for."""
    return 1.0 if energy[0] > HARD_EV else 0.3


def edge_energy(spectrum: Spectrum) -> float:
    """Energy (eV) at which the smoothed spectrum rises most steeply.

    Raises
    ------
    ValueError
        It has too few points.
    """
    known = spectrum.known
    energy, value = spectrum.energy[known], spectrum.value[known]
    if len(energy) < LEAST_POINTS:
        raise ValueError(
            f"{spectrum.called} has {len(energy)} points; an edge needs at least {LEAST_POINTS}"
        )
    slope = local_fit(energy, value, energy, blur_of(energy)).coefficients[:, 1]
    inner = slope[1:-1]  # at the ends a polynomial swings
    return float(energy[1 + int(np.argmax(inner))])


def normalise(
    spectrum: Spectrum,
    *,
    e0: float | None = None,
    pre: Any = None,
    post: Any = None,
    to: str | None = None,
) -> Normalised:
    """Take off a straight line fitted below the edge, and divide by what is to be 1.

    For spectra that reach at least 60 eV behind the edge the ranges are those of hard X-ray
    practice (150 to 40 eV below the edge; 100 to 500 eV behind it, with a polynomial of order 2
    where more than 300 eV are there, 1 above 30 eV, else 0), and the step at the edge becomes 1.
    For others, as L edges and the oxygen K edge are, the line lies below three fifths of
    the way to the edge, and the maximum becomes 1.

    Parameters
    ----------
    spectrum : Spectrum
        Where it has no sigma, that is taken from the scatter of neighbours.
    e0 : float, optional
        Energy of the edge (eV); by default that of the steepest rise.
    pre, post : (float, float), optional
        Ranges (eV) of the line and of the level behind the edge.
    to : {"step", "maximum", "area", "none"}, optional
        What becomes 1: the step between line and level at the edge; the largest value, of
        a parabola through the points around it; the area from the line's end to the last point.

    Returns
    -------
    Normalised
        With warnings where there are too few points for the line, or a default was not possible.

    Raises
    ------
    ValueError
        Too few points, a range that is none, holds no points or lies on the other side of the
        edge, an unknown ``to``, or no step that stands out of the noise.

    References
    ----------
    M. Newville, J. Phys. Conf. Ser. 430, 012007 (2013), ``pre_edge``: the ranges and orders.
    """
    if to is not None and to not in SCALES:
        raise ValueError(
            f"to = {to!r:.40} must be one of {', '.join(SCALES)}{suggestion(to, SCALES)}"
        )
    known = spectrum.known
    if int(known.sum()) < LEAST_POINTS:
        raise ValueError(
            f"{spectrum.called} has {int(known.sum())} points; an edge needs at least "
            f"{LEAST_POINTS}"
        )
    spectrum = with_noise(spectrum)
    energy, value = spectrum.energy[known], spectrum.value[known]
    sigma = _usable(spectrum.sigma[known])
    first, last = float(energy[0]), float(energy[-1])
    at = edge_energy(spectrum) if e0 is None else as_number("e0", e0, "eV")
    if not first < at < last:
        raise ValueError(
            f"e0 = {at:g} eV must lie within {spectrum.called}, {first:g} to {last:g} eV"
        )
    far = last - at >= FAR_EV
    to = to or ("step" if far else "maximum")
    warnings: list[str] = []

    below = _range("pre", pre, spectrum)
    if below is not None and not below[1] < at:
        raise ValueError(
            f"pre = ({below[0]:g}, {below[1]:g}) eV must end below the edge of {spectrum.called}, "
            f"at {at:.1f} eV"
        )
    if below is None and far and first > at + K_PRE[1]:
        warnings.append(
            f"It begins {at - first:.0f} eV below the edge, where the edge has begun already: its "
            "background, and with it its positions, are doubtful."
        )
    below = below or _pre(energy, at, far)
    if below is None:
        warnings.append(
            f"There are fewer than 3 points below the edge at {at:.1f} eV, so no background was "
            "taken off."
        )
        line, cov = np.zeros(2), np.zeros((2, 2))
    else:
        line, cov = _polynomial(energy, value, sigma, below, at, 1)
    basis = np.vander(spectrum.energy - at, 2, increasing=True)
    background = basis @ line
    background_sigma = np.sqrt(np.einsum("ni,ij,nj->n", basis, cov, basis))
    flat = value - background[known]

    behind = _range("post", post, spectrum)
    if behind is not None and not behind[0] > at:
        raise ValueError(
            f"post = ({behind[0]:g}, {behind[1]:g}) eV must begin behind the edge of "
            f"{spectrum.called}, at {at:.1f} eV"
        )
    step, level_sigma, below_sigma = 1.0, 0.0, 0.0
    if to == "step":
        behind = behind or _post(energy, at, far)
        order = _order(behind, last)
        level, level_cov = _polynomial(energy, flat, sigma, behind, at, order)
        step = float(level[0])
        level_sigma, below_sigma = math.sqrt(level_cov[0, 0]), math.sqrt(cov[0, 0])
    elif to == "maximum":
        step, level_sigma, top = _maximum(energy, flat, sigma, below)
        if top >= last - blur_of(energy):
            warnings.append(
                f"Its largest value is its last, at {last:.1f} eV: it may end before its maximum, "
                "or hold no edge."
            )
        below_sigma = float(np.interp(top, spectrum.energy, background_sigma))
    elif to == "area":
        start = below[1] if below else first
        step, level_sigma = _area(energy, flat, sigma, start)
        inside = spectrum.energy >= start
        below_sigma = float(np.trapezoid(background_sigma[inside], spectrum.energy[inside]))
    step_sigma = math.hypot(level_sigma, below_sigma)
    if to != "none" and not step > 2 * step_sigma:
        raise ValueError(
            f"{spectrum.called}: its {to} is {step:.3g} ± {step_sigma:.2g} above the background, "
            "so there is no edge in it"
            + (
                "; it falls at the edge: transmitted intensity? An absorbance is -ln(I1/I0)"
                if step < -2 * step_sigma
                else ""
            )
        )
    return Normalised(
        spectrum.changed(value=(spectrum.value - background) / step, sigma=spectrum.sigma / step),
        at,
        to,
        step,
        step_sigma,
        level_sigma,
        below,
        behind,
        background,
        background_sigma,
        tuple(warnings),
    )


def _usable(sigma: Array) -> Array:
    """Sigma as weights can be made of it: no zeros, no NaN."""
    good = np.isfinite(sigma) & (sigma > 0)
    if not good.any():
        return np.ones(len(sigma))
    return np.where(good, sigma, np.median(sigma[good]))


def _range(what: str, given: Any, spectrum: Spectrum) -> tuple[float, float] | None:
    if given is None:
        return None
    pair = as_pair(what, given, "eV")
    low, high = (as_number(f"{what}[{i}]", each, "eV") for i, each in enumerate(pair))
    if not low < high:
        raise ValueError(f"{what} = ({low:g}, {high:g}) eV must rise")
    known = spectrum.known
    n = int(((spectrum.energy >= low) & (spectrum.energy <= high) & known).sum())
    if n < 2:
        inside = spectrum.energy[known]
        raise ValueError(
            f"{what} = ({low:g}, {high:g}) eV holds {n} points of {spectrum.called}, which has "
            f"{inside[0]:g} to {inside[-1]:g} eV; at least 2 are needed"
        )
    return low, high


def _pre(energy: Array, e0: float, far: bool) -> tuple[float, float] | None:
    first = float(energy[0])
    low, high = (e0 + K_PRE[0], e0 + K_PRE[1]) if far else (first, first + 0.6 * (e0 - first))
    low = max(low, first)
    if _inside(energy, low, high).sum() < 3:
        low, high = first, first + 0.6 * (e0 - first)
    return (low, high) if _inside(energy, low, high).sum() >= 3 else None


def _post(energy: Array, e0: float, far: bool) -> tuple[float, float]:
    last = float(energy[-1])
    if not far:
        length = 0.2 * (last - e0)
        at_least = float(energy[-3])
        return min(last - length, at_least), last
    high = min(last, e0 + K_POST[1])
    low = e0 + (K_POST[0] if high - e0 >= 2 * K_POST[0] else (high - e0) / 3)
    return (low, high) if _inside(energy, low, high).sum() >= 3 else (float(energy[-3]), last)


def _order(behind: tuple[float, float], last: float) -> int:
    length = min(behind[1], last) - behind[0]
    return 2 if length > 300 else 1 if length > 30 else 0


def _inside(energy: Array, low: float, high: float) -> NDArray[np.bool_]:
    return (energy >= low) & (energy <= high)


def _polynomial(
    energy: Array, value: Array, sigma: Array, within: tuple[float, float], e0: float, order: int
) -> tuple[Array, Array]:
    """Coefficients around e0, lowest first, and their covariance.

    Points count by the energy they stand for no more than by their sigma: the fit is not weighted,
    since neighbours' noise in it is small beside what a polynomial does not describe.
    """
    use = _inside(energy, *within)
    order = min(order, int(use.sum()) - 1)
    x = energy[use] - e0
    length = float(np.abs(x).max()) or 1.0
    basis = np.vander(x / length, order + 1, increasing=True)
    inverse = np.linalg.pinv(basis)
    scale = length ** -np.arange(order + 1.0)
    inverse = scale[:, None] * inverse
    return inverse @ value[use], (inverse * sigma[use] ** 2) @ inverse.T


def _maximum(
    energy: Array, value: Array, sigma: Array, below: tuple[float, float] | None
) -> tuple[float, float, float]:
    """Largest value, sigma and energy of a smooth curve through the points above the line's."""
    behind = energy > (below[1] if below else energy[0])
    if not behind.any():
        raise ValueError(
            f"it ends at {energy[-1]:g} eV, within the range below the edge, so it has no maximum"
        )
    # the parabola's top is where the points are high: the rest need not be looked at
    high = np.quantile(value[behind], HIGH)
    behind &= value >= high
    fit = local_fit(energy, value, energy[behind], blur_of(energy), 2)
    at = int(np.argmax(fit.coefficients[:, 0]))
    return float(fit.coefficients[at, 0]), float(fit.sigma(0, sigma)[at]), float(fit.at[at])


def _area(energy: Array, value: Array, sigma: Array, start: float) -> tuple[float, float]:
    use = energy >= start
    if use.sum() < 2:
        raise ValueError(
            f"it ends at {energy[-1]:g} eV, within the range below the edge, so it has no area"
        )
    width = np.gradient(energy[use])
    return float(width @ value[use]), float(np.sqrt(width**2 @ sigma[use] ** 2))
