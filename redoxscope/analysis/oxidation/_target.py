"""Good enough: how many pixels are as sure as was asked for, and when they will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...inputs import as_number, check_keys, is_number
from ._result import OxidationResult
from ._solve import Solver
from ._stack import StackFit

__all__ = ["Forecast", "Target", "as_target", "forecast"]

Array = NDArray[np.float64]
PIXELS = 1000
"""So many pixels are looked at to foretell: more say the same."""
STEPS = 30
"""So many numbers of energies are tried before the one is looked for exactly."""
FREEDOM = 2
"""Energies more than coefficients that a target needs: without them chi-square says nothing."""
HIGHEST = 4.0
"""Optical densities beyond this are not foretold: they are noise of a fit of few energies."""


@dataclass(frozen=True)
class Target:
    """What a map is to reach.

    Parameters
    ----------
    sigma : float
        Standard deviation of the fraction, above 0 and below 1.
    share : float
        Share of the pixels of the mask that are to reach it, above 0 and at most 1.

    Raises
    ------
    ValueError
        Outside of these.
    """

    sigma: float
    share: float = 0.9

    def __post_init__(self) -> None:
        sigma = as_number("until sigma", self.sigma, above=0, at_most=1)
        share = as_number("until share", self.share, above=0, at_most=1)
        object.__setattr__(self, "sigma", sigma)
        object.__setattr__(self, "share", share)

    def __str__(self) -> str:
        return f"σ ≤ {self.sigma:g} in {100 * self.share:g} % of the pixels"

    def as_dict(self) -> dict[str, float]:
        """As JSON has it."""
        return asdict(self)

    def reached(self, result: OxidationResult) -> float:
        """Share of the pixels of the mask that have reached it; 0 without any."""
        if not result.n_mask:
            return 0.0
        return float((result.sigma[result.mask] <= self.sigma).mean())


def as_target(value: Any) -> Target:
    """A target from what a user gives: `Target`, a number (σ) or ``{"sigma": 0.05, "share": 0.9}``.

    Raises
    ------
    ValueError
        It is none of these, or a value makes no sense.
    """
    if isinstance(value, Target):
        return value
    if isinstance(value, Mapping):
        check_keys("until", value, ("sigma", "share"), needed=1)
        return Target(**value)
    if is_number(value):
        return Target(float(value))
    raise ValueError(
        f"until = {value!r:.80} must be a σ of the fraction, as 0.05, or "
        "{'sigma': 0.05, 'share': 0.9}"
    )


@dataclass(frozen=True)
class Forecast:
    """How far a stack is from its target.

    Attributes
    ----------
    share : float
        Share of the pixels that have reached it.
    pixels : int
        In the mask.
    done, total : int
        Energies measured, and of the scan.
    needed : int or None
        Energies after which it will be reached; None where the scan will not reach it.
    final_share : float
        Share that will have reached it at the end of the scan; NaN where nothing can be said.
    """

    share: float
    pixels: int
    done: int
    total: int
    needed: int | None
    final_share: float

    @property
    def enough(self) -> bool:
        """Whether it is reached."""
        return self.needed is not None and self.needed <= self.done


def forecast(fit: StackFit, result: OxidationResult, target: Target) -> Forecast:
    """Foretell when a stack will reach its target.

    Not by extrapolating: from the coefficients that a pixel has now follow its optical densities
    at the energies to come, from these its counts, and from these the covariance of a fit that
    will have them. I0 of energies to come is that of the nearest ones measured. Rows that lack
    an energy measured so far are taken to stay as they are.

    Parameters
    ----------
    fit : StackFit
        Whose energies are in the order in which they are measured.
    result : OxidationResult
        Its maps as they are.
    target : Target

    Returns
    -------
    Forecast
    """
    present = fit.lines_present
    come = present.any(axis=1)
    measured = np.flatnonzero(come & np.isfinite(result.ln_i0))
    done, total = int(come.sum()), len(fit.design)
    share, least = target.reached(result), fit.design.shape[1] + FREEDOM
    whole = np.logical_and.reduce(present[measured], axis=0)
    known = np.isfinite(result.thickness) & whole[:, None]
    if not len(measured) or not known.any():
        enough = share >= target.share and len(measured) >= least
        return Forecast(share, result.n_mask, done, total, done if enough else None, float("nan"))
    line, column = (axis[:: max(1, len(axis) // PIXELS)] for axis in np.nonzero(known))
    rest = np.flatnonzero(~come)
    order = np.r_[measured, rest]
    weight = np.ones(total) if fit.dwell is None else fit.dwell / fit.dwell.max()
    c = _physical(np.asarray(result.coefficients[:, line, column], dtype=np.float64), fit.species)
    variance, shared = _noise(fit, result, measured, (line, column), c)
    pairs = np.triu_indices(len(c))
    rows = fit.design * weight[:, None]
    second = np.einsum("kp,kn->kpn", rows[:, pairs[0]] * rows[:, pairs[1]], variance)[order]
    second = np.cumsum(second, axis=0)
    apart = result.mask & ~whole[:, None]  # stay as they are
    as_it_is = float((result.sigma[apart] <= target.sigma).sum())
    weight_of_rest = float(apart.sum()) / max(result.n_mask, 1)
    share_of_rest = as_it_is / max(result.n_mask, 1)
    names = ("fraction", "sigma", "thickness", "thickness_sigma")
    maps = {name: np.empty(c.shape[1]) for name in names}

    def share_after(n: int) -> float:
        k = order[:n]
        solver = Solver(fit.design[k], fit.species, shared[k], weight[k])
        if n < least or not solver.solvable:
            return 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            solver.maps(c, second[n - 1], maps)
            floor = np.fmax(5.0 * maps["thickness_sigma"], fit.min_thickness)
            mask = maps["thickness"] > floor
            if not mask.any():
                return 0.0
            sure = float((maps["sigma"][mask] <= target.sigma).mean())
            return (1.0 - weight_of_rest) * sure + share_of_rest

    here = len(measured)
    if share >= target.share and here >= least:
        return Forecast(share, result.n_mask, done, total, done, share_after(total))
    stride = max(1, (total - here) // STEPS)
    needed, tried = None, here
    for n in sorted({*range(here + stride, total, stride), total} - {here}):
        if share_after(n) >= target.share:
            finer = [m for m in range(tried + 1, n) if share_after(m) >= target.share]
            needed = min([*finer, n]) + done - here
            break
        tried = n
    return Forecast(share, result.n_mask, done, total, needed, share_after(total))


def _physical(c: Array, species: int) -> Array:
    """The mixture nearest to a pixel's coefficients [K+1, P], of the same thickness.

    Noise of few energies spreads fractions far beyond 0 and 1, where their variance is larger.
    """
    total = c[:species].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip(c[:species] / total, 0.0, 1.0)
        share /= share.sum(axis=0)
    usable = np.isfinite(share).all(axis=0)
    found = c.copy()
    found[:species, usable] = (share * total)[:, usable]
    return found


def _noise(
    fit: StackFit,
    result: OxidationResult,
    measured: NDArray[np.intp],
    pixels: tuple[NDArray[np.intp], NDArray[np.intp]],
    c: Array,
) -> tuple[Array, Array]:
    """Variance of the optical density [nE, pixels] to come, counting, and I0's share [nE]."""
    line, column = pixels
    od = np.clip(fit.design @ c, 0.0, HIGHEST)
    lines, row = np.unique(line, return_inverse=True)
    times = np.ones(len(fit.design)) if fit.dwell is None else fit.dwell
    bright = np.empty(len(measured))  # variance of a pixel without a sample, times the dwell
    for i, k in enumerate(measured):
        counting = fit.logarithm(int(k), lines)[1][row, column]
        bright[i] = np.nanmedian(counting * np.exp(-od[k])) * times[k]
    i0 = np.square(result.ln_i0_sigma[measured]) * times[measured]
    e = np.arange(len(fit.design)) if np.isnan(fit.energies).any() else fit.energies
    rising = np.argsort(e[measured])
    at = e[measured][rising]
    level = np.interp(e, at, bright[rising]) / times
    shared = np.interp(e, at, i0[rising]) / times
    return level[:, None] * np.exp(od), shared
