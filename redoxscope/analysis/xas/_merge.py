"""Repeats, averaged; those that do not belong to the others, named."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from redoxscope.inputs import as_number

from ._local import NORMAL, local_fit, noise_shape, running_mean
from ._normalise import blur_of
from ._spectrum import Array, Spectrum

__all__ = ["Merged", "merge"]

SAME_POINT = 1e-4
"""Energies that differ by less than this part of a step are the same."""
NEAR = 0.75
"""A point farther away than this part of a step says nothing of an energy."""
SLOPE_POINTS = 6
SLOPE_WIDTH = 0.5
"""Width of the smoothing for slopes, in that for edges."""
DEGREES = 80
"""The scatter at an energy is taken together with that of neighbours, until it has so many degrees
of freedom."""
MOST_HALF = 30
LEAST_SPREAD = 0.1
"""Scans' scatter differs by so much (of its logarithm) without one of them being wrong."""
GLITCH = 8.0
"""A single point so many standard deviations off makes a scan an outlier."""
LEAST_SCANS = 3
"""With fewer nobody can say which one is wrong."""
MISFIT_P = 1e-3


@dataclass(frozen=True, eq=False)
class Merged:
    """The mean of repeats.

    Attributes
    ----------
    spectrum : Spectrum
        Mean and its sigma, from the scatter of the repeats; of those that are no outliers.
    outliers : tuple of str
        Names of the repeats left out.
    reasons : dict of str to str
        Why, by name.
    factor : float
        Scatter found over sigma given, 1 for agreement; NaN where no sigma was given or there is
        one repeat only.
    scatter : numpy.ndarray [n]
        Standard deviation of one repeat at each energy; NaN with one repeat.
    warnings : tuple of str
    """

    spectrum: Spectrum
    outliers: tuple[str, ...]
    reasons: dict[str, str]
    factor: float
    scatter: Array
    warnings: tuple[str, ...] = ()


def merge(spectra: Sequence[Spectrum], *, limit: float = 5.0) -> Merged:
    """Average repeats; leave out and name those that scatter more than the others.

    Each repeat is compared with the median of all, once scale, constant and slope are fitted: what
    repeats may differ in (a beam that decays, a gain that drifts) makes no outlier and does not
    enter sigma, since all points share it. Its root mean square is compared with that of the
    others, robustly: outside ``limit`` times their spread (median absolute deviation, at least
    that of chance, at least 10 %) it is an outlier, and so is one with a single point 8 standard
    deviations off.

    The sigma of the mean is the scatter of the repeats, taken together with neighbours until there
    are 80 degrees of freedom. Where the repeats have a sigma of their own (counting), it keeps
    that one's course over the energy and is made larger where they scatter more than it says.

    Parameters
    ----------
    spectra : sequence of Spectrum
        Of one sample, edge and mode. Those whose energies are not those of the first are
        interpolated to them.
    limit : float
        Standard deviations from which on a repeat is an outlier.

    Raises
    ------
    ValueError
        There is none, two have the same name while one has to be named, or their energies do not
        overlap.
    """
    limit = as_number("limit", limit, above=0)
    spectra = list(spectra)
    if not spectra:
        raise ValueError("no spectra given; at least one is needed")
    energy = spectra[0].energy
    names = _names(spectra)
    values, sigmas = np.empty((2, len(spectra), len(energy)))
    for k, each in enumerate(spectra):
        values[k], sigmas[k] = on_energies(each, energy)
    good = np.ones(len(spectra), bool)
    reasons: dict[str, str] = {}
    warnings: list[str] = []
    rest = _residuals(values, energy)
    if len(spectra) >= LEAST_SCANS:
        for k, why in _outliers(rest, energy, values, limit).items():
            good[k] = False
            reasons[names[k]] = why
        if reasons:
            rest = _residuals(values[good], energy)
        else:
            rest = rest[good]
    kept_values, kept_sigmas = values[good], sigmas[good]
    count = np.isfinite(kept_values).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(count > 0, np.nansum(kept_values, axis=0) / count, np.nan)
        # a value whose sigma is not known is as good as the others there; NaN where none is known
        ok = np.isfinite(kept_sigmas) & np.isfinite(kept_values)
        given = np.sqrt(np.where(ok, kept_sigmas**2, 0).sum(axis=0) / ok.sum(axis=0) / count)
    sigma, scatter, factor, dof = _sigma(energy, mean, rest, given, count)
    if int(good.sum()) == 2 and factor > 2:
        warnings.append(
            f"The two repeats differ {factor:.1f} times as much as their noise says; with two, "
            "nobody can say which one is wrong."
        )
    merged = spectra[0].changed(
        value=mean,
        sigma=sigma,
        name=_common(names),
        dof=min(dof, *(each.dof for each in spectra)),
        n=int(sum(s.n for s, g in zip(spectra, good, strict=True) if g)),
    )
    return Merged(merged, tuple(reasons), reasons, factor, scatter, tuple(warnings))


def on_energies(spectrum: Spectrum, energy: Array) -> tuple[Array, Array]:
    """Values and sigma at other energies; NaN where no point is near.

    Each is that of the nearest point, moved along the slope there: neighbours' noise stays
    independent, which interpolating would not leave it.

    Raises
    ------
    ValueError
        They do not overlap.
    """
    own = spectrum.energy
    step = np.gradient(energy) if len(energy) > 1 else np.ones(1)
    if len(own) == len(energy) and (np.abs(own - energy) <= SAME_POINT * step).all():
        return spectrum.value, spectrum.sigma
    if own[-1] < energy[0] or own[0] > energy[-1]:
        raise ValueError(
            f"{spectrum.called} has {own[0]:g} to {own[-1]:g} eV, which does not overlap with "
            f"{energy[0]:g} to {energy[-1]:g} eV"
        )
    right = np.clip(np.searchsorted(own, energy), 1, max(len(own) - 1, 1))
    left = right - 1
    right = np.minimum(right, len(own) - 1)
    near = np.where(energy - own[left] < own[right] - energy, left, right)
    away = energy - own[near]
    reach = np.gradient(own)[near] if len(own) > 1 else np.full(len(energy), SAME_POINT)
    close = np.abs(away) <= NEAR * np.maximum(reach, step)
    value = spectrum.value[near] + away * slope_at(spectrum, own[near])
    return np.where(close, value, np.nan), np.where(close, spectrum.sigma[near], np.nan)


def slope_at(spectrum: Spectrum, at: Array) -> Array:
    """Slope of a spectrum (per eV), smoothed a little; 0 where there are too few points."""
    known = spectrum.known
    if known.sum() <= SLOPE_POINTS:
        return np.zeros(len(at))
    energy = spectrum.energy[known]
    fit = local_fit(energy, spectrum.value[known], at, SLOPE_WIDTH * blur_of(energy))
    return fit.coefficients[:, 1]


def _names(spectra: Sequence[Spectrum]) -> list[str]:
    names = [each.name or f"repeat {k + 1}" for k, each in enumerate(spectra)]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(
            f"{names.count(twice[0])} spectra are called {twice[0]!r}: each needs a name"
        )
    return names


def _common(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else ""


def _residuals(values: Array, energy: Array) -> Array:
    """What is left of each repeat [k, n] beside the median once scale and a line are fitted."""
    middle = np.full(len(energy), np.nan)
    some = np.isfinite(values).any(axis=0)
    middle[some] = np.nanmedian(values[:, some], axis=0)
    x = energy - energy.mean()
    basis = np.stack([middle, np.ones(len(x)), x / (np.abs(x).max() or 1.0)], axis=1)
    rest = np.full(values.shape, np.nan)
    for k, each in enumerate(values):
        use = np.isfinite(each) & some
        if use.sum() > basis.shape[1]:
            left, *_ = np.linalg.lstsq(basis[use], each[use], rcond=None)
            rest[k, use] = each[use] - basis[use] @ left
    return rest


def _outliers(rest: Array, energy: Array, values: Array, limit: float) -> dict[int, str]:
    """Why, by index of the repeat."""
    size = np.abs(rest)
    usual = np.full(rest.shape[1], np.nan)
    some = np.isfinite(size).any(axis=0)
    # the scatter of one repeat beside the median of n of them
    usual[some] = np.nanmedian(size[:, some], axis=0) / NORMAL
    usual = np.sqrt(running_mean(usual**2, 10))
    usual = np.where(usual > 0, usual, np.nan)
    z = rest / usual
    measured = np.isfinite(z).sum(axis=1)
    if measured.max(initial=0) < 5:
        return {}
    with np.errstate(invalid="ignore", divide="ignore"):
        height = np.log(np.sqrt(np.nansum(z**2, axis=1) / measured))
    known = np.isfinite(height)
    if known.sum() < LEAST_SCANS:
        return {}
    centre = float(np.median(height[known]))
    apart = float(np.median(np.abs(height[known] - centre))) / NORMAL
    chance = 1 / math.sqrt(2 * max(float(np.median(measured)), 1.0))
    spread = max(apart, chance, LEAST_SPREAD)
    found: dict[int, str] = {}
    for k in np.flatnonzero(known):
        times = math.exp(height[k] - centre)
        worst = int(np.nanargmax(np.abs(z[k])))
        if (height[k] - centre) / spread > limit:
            found[int(k)] = f"it scatters {times:.1f} times as much as the others"
            moved, sigma = _moved(values, rest, int(k), energy)
            if abs(moved) > 5 * sigma:
                where = "higher" if moved > 0 else "lower"
                found[int(k)] += f" and lies {abs(moved):.2f} eV {where}"
        elif abs(z[k, worst]) > GLITCH * max(math.exp(centre), 1.0):
            found[int(k)] = (
                f"its point at {energy[worst]:.2f} eV is {abs(z[k, worst]):.0f} standard "
                "deviations off"
            )
    return found if len(found) <= len(values) // 2 else {}


def _moved(values: Array, rest: Array, k: int, energy: Array) -> tuple[float, float]:
    """How far a repeat lies from the median (eV), from what is left of it."""
    others = np.nanmedian(np.delete(values, k, axis=0), axis=0)
    use = np.isfinite(rest[k]) & np.isfinite(others)
    if use.sum() < 7:
        return 0.0, math.inf
    slope = local_fit(energy[use], others[use], energy[use], blur_of(energy)).coefficients[:, 1]
    power = float(slope @ slope)
    moved = -float(slope @ rest[k, use]) / power
    left = rest[k, use] + moved * slope
    return moved, float(np.std(left)) / math.sqrt(power)


def _sigma(
    energy: Array, mean: Array, rest: Array, given: Array, count: NDArray[np.intp]
) -> tuple[Array, Array, float, float]:
    """Sigma of the mean, scatter of one repeat, scatter found over that given, its dof."""
    n, points = rest.shape
    nothing = np.full(points, np.nan)
    if n < 2:
        return given, nothing, math.nan, math.inf
    known = np.isfinite(rest)
    n_known = known.sum(axis=0)
    centred = rest - np.where(known, rest, 0).sum(axis=0) / np.maximum(n_known, 1)
    free = np.maximum(n_known - 1, 0)
    # scale, constant and slope of each repeat were fitted: they took their part of the scatter
    taken = 1 - 3 / max(points, 4)
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = np.where(free > 0, np.nansum(centred**2, axis=0) / free, np.nan) / taken
    half = min(max(math.ceil(DEGREES / (n - 1) / 2), 3), MOST_HALF)
    dof = max(float((n - 1) * min(2 * half + 1, points)), 1.0)
    if np.isfinite(given).all():
        ratio = running_mean(variance / (given**2 * count), half)
        whole = float(np.nanmean(variance / (given**2 * count)))
        total = float(free.sum())
        # what the repeats say may not be less than what counting says, but for chance
        if whole <= 1 + 4 * math.sqrt(2 / max(total, 1.0)):
            return given, given * np.sqrt(count), math.sqrt(whole), math.inf
        scatter = given * np.sqrt(count * np.maximum(ratio, 1.0))
        return scatter / np.sqrt(count), scatter, math.sqrt(whole), dof
    with np.errstate(invalid="ignore", divide="ignore"):
        level = mean - np.nanmin(mean)
        slope = np.gradient(np.nan_to_num(mean), energy)
        shape = noise_shape(variance, np.ones(points), *np.nan_to_num([level, level**2, slope**2]))
        ratio = running_mean(variance / shape, half)
        scatter = np.sqrt(shape * ratio)
        return np.where(count > 0, scatter / np.sqrt(count), np.nan), scatter, math.nan, dof
