"""What changed between two spectra, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, special, stats

from redoxscope.inputs import as_number, as_pair, as_whole

from ._local import local_fit, running_mean, with_noise
from ._merge import NEAR, slope_at
from ._normalise import HARD_EV, blur_of
from ._spectrum import Array, Comparison, Spectrum

__all__ = ["compare"]

FEWEST = 10
"""Fewest energies that both must have."""
SMOOTH = 4
"""Variances are averaged with so many neighbours on both sides: a point that has few counts by
chance must not count more for it."""
MOST_HATS = 150
ROUNDS = 5
LEAST_LOG = -700.0
"""Smallest logarithm of a probability that is told: what is beyond is as certain."""
FIRST_ORDER = 0.2
"""Shifts up to this part of the smoothing width are found exactly by a straight line."""


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two spectra on the same energies, with the covariance of their difference."""

    energy: Array
    before: Array
    after: Array
    before_var: Array
    after_var: Array
    root: Array | None  # Cholesky factor of the covariance where it is no diagonal
    dof: tuple[float, float]  # of the sigma of each

    @property
    def free(self) -> float:
        """Degrees of freedom of the difference's variance (Welch, Satterthwaite)."""
        parts = float(self.before_var.mean()), float(self.after_var.mean())
        inverse = sum(part**2 / dof for part, dof in zip(parts, self.dof, strict=True))
        return sum(parts) ** 2 / inverse if inverse > 0 else math.inf

    @property
    def variance(self) -> Array:
        return self.before_var + self.after_var

    def whiten(self, columns: Array) -> Array:
        """What has this difference's covariance, to unit covariance."""
        if self.root is None:
            scale = np.sqrt(self.variance)
            return columns / (scale if columns.ndim == 1 else scale[:, None])
        return linalg.solve_triangular(self.root, columns, lower=True)


def compare(
    before: Spectrum,
    after: Spectrum,
    *,
    window: Any = None,
    scale: bool = True,
    background: bool = True,
    energy_sigma: float = 0.0,
    limit: float = 3.0,
    trials: int = 1,
) -> Comparison:
    """Compare two spectra: the difference, one number for it, and its significance.

    What two measurements of the same sample may differ in is fitted and taken out first: scale,
    constant and slope. Then two questions are asked. Without a window: did the spectrum move
    (``change``, eV; positive where the second lies at higher energy), and did its shape
    change in any other way? The second is a chi-square of the difference on hat functions as
    wide as the structures there can be (0.5 eV, 2 eV for hard X-rays, at least two points). The
    smaller of both probabilities counts, twice, since two were looked at. With a window: one
    question, whether the area in it changed (``change``, %, of the first's), scale and background
    then being those of what lies outside it.

    The templates (the mean of both, weighted with the inverse variance, and its slope) are
    independent of the difference, so noise in them makes nothing significant.

    Parameters
    ----------
    before, after : Spectrum
        With their sigma; where it is not known it is taken from the scatter of neighbours.
    window : (float, float), optional
        Energies (eV) of a feature.
    scale, background : bool
        Whether scale, and constant and slope, are free.
    energy_sigma : float
        How well both share an energy scale (standard deviation, eV): what a monochromator
        reproduces. It enters the sigma of the change, and no shift counts as significant that it
        explains.
    limit : float
        Significance (standard deviations) from which on the difference is significant.
    trials : int
        Number of comparisons made together, of which each may be found by chance: probabilities
        are multiplied by it.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        Spectra of different edges or modes, fewer than 10 energies in common, a window that holds
        too few points or leaves too few outside, or a limit that is none; with value and limit.
    """
    limit = as_number("limit", limit, above=0)
    energy_sigma = as_number("energy_sigma", energy_sigma, "eV", at_least=0)
    trials = as_whole("trials", trials, at_least=1)
    for what in ("edge", "mode"):
        one, other = getattr(before, what), getattr(after, what)
        if one and other and one != other:
            raise ValueError(
                f"{before.called} and {after.called} differ in {what} ({one}, {other}); compare "
                "like with like"
            )
    before, after = with_noise(before), with_noise(after)
    pair = _pair(before, after)
    if scale:
        pair = _to_scale(pair, before, after, background, window)
    if window is not None:
        inside = _window(window, pair.energy)
        found = _area(pair, inside, scale, background, energy_sigma)
    else:
        found = _shift(pair, scale, background, energy_sigma)
    log_p = min(0.0, found.log_p + math.log(trials))
    significance = max(0.0, -float(special.ndtri_exp(log_p - math.log(2))))
    return Comparison(
        energy=pair.energy,
        difference=found.difference,
        sigma=np.sqrt(pair.variance),
        change=found.change,
        change_sigma=found.sigma,
        unit="eV" if window is None else "%",
        significance=significance,
        p=math.exp(log_p),
        significant=significance >= limit,
        limit=limit,
        name=after.name if after.name == before.name else "",
        mode=after.mode or before.mode,
        edge=after.edge or before.edge,
        chi2=found.chi2,
        dof=found.dof,
    )


@dataclass(frozen=True, eq=False)
class _Found:
    difference: Array
    change: float
    sigma: float
    log_p: float
    chi2: float = math.nan
    dof: int = 0


def _to_scale(
    pair: _Pair, before: Spectrum, after: Spectrum, background: bool, window: Any
) -> _Pair:
    """Both on the scale of the first, so that mean and difference are in its units."""
    for _ in range(ROUNDS):
        mean, slope = _templates(pair, pair.after)
        columns = [mean, -slope, _shared(pair.energy, mean, False, background)]
        if window is not None:  # what lies in it may differ, and says nothing of the scale
            columns.append(np.eye(len(mean))[:, _window(window, pair.energy)])
        left, _, _ = _solve(pair, np.column_stack(columns), pair.after - pair.before)
        # after = before + d * mean, and the mean is that of both
        factor = float((1 + left[0] / 2) / (1 - left[0] / 2))
        if not 0.01 < factor < 100:
            break
        after = after.changed(value=after.value / factor, sigma=after.sigma / factor)
        pair = _pair(before, after)
        if abs(factor - 1) < 1e-3:
            break
    return pair


def _shift(pair: _Pair, scale: bool, background: bool, energy_sigma: float) -> _Found:
    """Shift of the whole, and any other change of shape."""
    difference = pair.after - pair.before
    basis = _basis(pair.energy, pair, pair.after, scale, background)
    left, cov, rest = _solve(pair, basis, difference)
    change = float(left[0])
    sigma = math.hypot(math.sqrt(cov[0, 0]), energy_sigma)
    chi2, dof = _shape(pair, basis, rest)
    log_p = math.log(2) + min(_two_sided(change / sigma, pair.free), _beyond(chi2, dof, pair.free))
    taken = basis[:, 1:] @ left[1:]
    if abs(change) > max(3 * sigma, FIRST_ORDER * blur_of(pair.energy)):
        change = _large_shift(pair, change, scale, background)
    return _Found(difference - taken, change, sigma, log_p, chi2, dof)


def _large_shift(pair: _Pair, moved: float, scale: bool, background: bool) -> float:
    """Shift (eV) beyond what the first order describes: the second is moved back, and again."""
    for _ in range(ROUNDS):
        back = np.interp(pair.energy + moved, pair.energy, pair.after)
        basis = _basis(pair.energy, pair, back, scale, background)
        left, _, _ = _solve(pair, basis, back - pair.before)
        moved += float(left[0])
        if abs(left[0]) < 0.01 * FIRST_ORDER * blur_of(pair.energy):
            break
    return moved


def _basis(energy: Array, pair: _Pair, after: Array, scale: bool, background: bool) -> Array:
    """What the difference may be made of: a shift first, then what both need not share.

    After(E) = before(E - s): to first order the difference is -s times the slope.
    """
    mean, slope = _templates(pair, after)
    return np.column_stack([-slope, _shared(energy, mean, scale, background)])


def _area(
    pair: _Pair, inside: NDArray[np.bool_], scale: bool, background: bool, energy_sigma: float
) -> _Found:
    """Area in a window, with what is outside for scale and background."""
    mean, slope = _templates(pair, pair.after)
    shared = _shared(pair.energy, mean, scale, background)
    difference = pair.after - pair.before
    width = np.gradient(pair.energy) * inside
    # one free value for each point inside: only the points outside fix the shared terms
    free = np.eye(len(inside))[:, inside]
    outside = np.column_stack([shared, free])
    left, cov, _ = _solve(pair, outside, difference)
    n = shared.shape[1]
    taken = shared @ left[:n]
    weight = width[inside]
    area = float(weight @ left[n:])
    variance = float(weight @ cov[n:, n:] @ weight)
    variance += (energy_sigma * float(width @ slope)) ** 2
    whole = float(width @ pair.before)
    change, sigma = 100 * area / whole, 100 * math.sqrt(variance) / abs(whole)
    return _Found(difference - taken, change, sigma, _two_sided(change / sigma, pair.free))


def _two_sided(z: float, free: float) -> float:
    """Logarithm of the probability of a deviate so large or larger, of either sign.

    ``free``: degrees of freedom of its sigma.
    """
    one = stats.norm.logsf(abs(z)) if math.isinf(free) else stats.t.logsf(abs(z), free)
    return max(math.log(2) + float(one), LEAST_LOG)


def _beyond(chi2: float, dof: int, free: float) -> float:
    """Logarithm of the probability of such a chi-square or a larger one; ``free`` as above."""
    if not dof:
        return 0.0
    found = (
        stats.chi2.logsf(chi2, dof) if math.isinf(free) else stats.f.logsf(chi2 / dof, dof, free)
    )
    return max(float(found), LEAST_LOG)


def _templates(pair: _Pair, after: Array) -> tuple[Array, Array]:
    """Mean of both, weighted with the inverse variance, and its slope, smoothed."""
    weight = 1 / np.stack([pair.before_var, pair.after_var])
    mean = (weight[0] * pair.before + weight[1] * after) / weight.sum(axis=0)
    fit = local_fit(pair.energy, mean, pair.energy, blur_of(pair.energy))
    return mean, fit.coefficients[:, 1]


def _shared(energy: Array, mean: Array, scale: bool, background: bool) -> Array:
    x = energy - energy.mean()
    columns = []
    if background:
        columns += [np.ones(len(x)), x / np.abs(x).max()]
    if scale:
        columns.append(mean)
    return np.column_stack(columns) if columns else np.empty((len(x), 0))


def _solve(pair: _Pair, basis: Array, values: Array) -> tuple[Array, Array, Array]:
    """Weighted least squares: coefficients, covariance, whitened rest."""
    a, b = pair.whiten(basis), pair.whiten(values)
    q, r = np.linalg.qr(a)
    inverse = np.linalg.pinv(r)
    left = inverse @ (q.T @ b)
    return left, inverse @ inverse.T, b - a @ left


def _shape(pair: _Pair, basis: Array, rest: Array) -> tuple[float, int]:
    """Chi-square of what hat functions find in the whitened rest, and its degrees of freedom."""
    fitted, _ = np.linalg.qr(pair.whiten(basis))
    hats = pair.whiten(_hats(pair.energy))
    own = hats - fitted @ (fitted.T @ hats)
    u, size, _ = np.linalg.svd(own, full_matrices=False)
    kept = size > 1e-8 * size.max(initial=0.0)
    return float(((u[:, kept].T @ rest) ** 2).sum()), int(kept.sum())


def _hats(energy: Array) -> Array:
    """Hat functions, each at least as wide as a structure can be and two points."""
    wide = 2.0 if energy[0] > HARD_EV else 0.5
    knots = [0]
    for i in range(1, len(energy)):
        if energy[i] - energy[knots[-1]] >= wide * (1 - 1e-6) and i - knots[-1] >= 2:
            knots.append(i)
    most = MOST_HATS
    if len(knots) > most:
        knots = [knots[i] for i in np.linspace(0, len(knots) - 1, most).astype(int)]
    at = energy[knots]
    return np.stack([np.interp(energy, at, row) for row in np.eye(len(at))], axis=1)


def _window(given: Any, energy: Array) -> NDArray[np.bool_]:
    low, high = (as_number("window", each, "eV") for each in as_pair("window", given, "eV"))
    if not low < high:
        raise ValueError(f"window = ({low:g}, {high:g}) eV must rise")
    inside = (energy >= low) & (energy <= high)
    span = f"{energy[0]:g} to {energy[-1]:g} eV"
    if inside.sum() < 2:
        raise ValueError(
            f"window = ({low:g}, {high:g}) eV holds {inside.sum()} points of spectra over {span}; "
            "at least 2 are needed"
        )
    if (~inside).sum() < FEWEST // 2:
        raise ValueError(
            f"window = ({low:g}, {high:g}) eV leaves {(~inside).sum()} points of spectra over "
            f"{span} outside; at least {FEWEST // 2} are needed for scale and background"
        )
    return inside


def _pair(before: Spectrum, after: Spectrum) -> _Pair:
    """Both at the energies of that with fewer points in what they have in common.

    Raises
    ------
    ValueError
        They have too little in common.
    """
    first, second = (each.known & np.isfinite(each.sigma) for each in (before, after))
    low = max(
        before.energy[first].min(initial=math.inf), after.energy[second].min(initial=math.inf)
    )
    high = min(
        before.energy[first].max(initial=-math.inf), after.energy[second].max(initial=-math.inf)
    )
    a, b = (_cut(each, use, low, high) for each, use in ((before, first), (after, second)))
    if min(len(a[0]), len(b[0])) < FEWEST:
        raise ValueError(
            f"{before.called} has {before.energy[0]:g} to {before.energy[-1]:g} eV and "
            f"{after.called} has {after.energy[0]:g} to {after.energy[-1]:g} eV: "
            f"{max(min(len(a[0]), len(b[0])), 0)} points in common, at least {FEWEST} are needed"
        )
    dof = before.dof, after.dof
    if len(a[0]) == len(b[0]):
        step = np.gradient(a[0])
        if (np.abs(a[0] - b[0]) <= NEAR * step).all():
            moved = b[1] + (a[0] - b[0]) * slope_at(after, b[0])
            return _Pair(a[0], a[1], moved, a[2], b[2], None, dof)
    swapped = len(a[0]) > len(b[0])
    few, many = (b, a) if swapped else (a, b)
    inside = (few[0] >= many[0][0]) & (few[0] <= many[0][-1])
    energy, value, var = (each[inside] for each in few)
    matrix = _interpolation(many[0], energy)
    other = matrix @ many[1]
    cov = (matrix * many[2]) @ matrix.T
    root = linalg.cholesky(cov + np.diag(var), lower=True)
    other_var = np.diag(cov).copy()
    if swapped:
        return _Pair(energy, other, value, other_var, var, root, dof)
    return _Pair(energy, value, other, var, other_var, root, dof)


def _cut(
    spectrum: Spectrum, use: NDArray[np.bool_], low: float, high: float
) -> tuple[Array, Array, Array]:
    """Energies, values and smoothed variances between two energies and one point beyond."""
    energy, value = spectrum.energy[use], spectrum.value[use]
    variance = running_mean(spectrum.sigma[use] ** 2, SMOOTH)
    positive = variance > 0
    if len(variance) and not positive.any():
        raise ValueError(f"{spectrum.called} has sigma = 0 at every point, which nothing can have")
    if len(variance):
        variance = np.where(positive, variance, variance[positive].min())
    slack = 1e-6 + NEAR * (float(np.median(np.diff(energy))) if len(energy) > 1 else 0.0)
    inside = (energy >= low - slack) & (energy <= high + slack)
    return energy[inside], value[inside], variance[inside]


def _interpolation(of: Array, to: Array) -> Array:
    """Matrix that interpolates between points."""
    right = np.clip(np.searchsorted(of, to), 1, len(of) - 1)
    part = (to - of[right - 1]) / (of[right] - of[right - 1])
    matrix = np.zeros((len(to), len(of)))
    rows = np.arange(len(to))
    matrix[rows, right - 1] = 1 - part
    matrix[rows, right] += part
    return matrix
