"""Good enough: how many pixels are as sure as was asked for, and when they will be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
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
UNSURE = 0.06
"""Part of itself by which a σ may come out smaller or larger than foretold."""
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
    earliest, latest : int or None
        The same as ``needed`` if σ will be smaller, or larger, by 6 %: where the share
        rises slowly, that makes many energies.
    """

    share: float
    pixels: int
    done: int
    total: int
    needed: int | None
    final_share: float
    earliest: int | None = None
    latest: int | None = None

    @property
    def enough(self) -> bool:
        """Whether it is reached."""
        return self.needed is not None and self.needed <= self.done

    def in_words(self, target: Target, *, of: str = "", left: str = "", over: bool = False) -> str:
        """How far it is, in one line: ``62 % of 412 pixels have σ ≤ 0.05 after 9 of 59 energies,
        wished 90 %: about 14 more (12 to 17), 6 min left``.

        Parameters
        ----------
        target : Target
        of : str
            Whose pixels, e.g. the region's name.
        left : str
            How long it will take.
        over : bool
            Whether no more will come.
        """
        said = (
            f"{100 * self.share:.0f} % of {self.pixels} pixels{of and f' of {of}'} have σ ≤ "
            f"{target.sigma:g} after {self.done} of {self.total} energies, wished "
            f"{100 * target.share:g} %"
        )
        if over or self.enough or self.done == self.total:
            return said
        if np.isnan(self.final_share):
            return f"{said}: it is too early to say more"
        if self.needed is None:
            end = f"{said}: {100 * self.final_share:.0f} % at the end"
            if self.earliest is None:
                return f"{end}, so it will not be reached"
            return f"{end}, so it may just be missed (or {self.earliest - self.done} more)"
        first = (self.earliest or self.needed) - self.done
        last = "the end or never" if self.latest is None else f"{self.latest - self.done}"
        more = f"{self.needed - self.done}"
        between = "" if f"{first}" == more == last else f" ({first} to {last})"
        return f"{said}: about {more} more{between}{left and f', {left} left'}"


def forecast(
    fit: StackFit,
    result: OxidationResult,
    target: Target,
    rows: NDArray[np.bool_] | None = None,
) -> Forecast:
    """Foretell when a stack will reach its target.

    Not by extrapolating: from the coefficients that a pixel has now follow its optical densities
    at the energies to come, from these its counts, and from these the covariance of a fit that
    will have them. I0 of energies to come is that of the nearest ones measured. By how much the
    same formula misses the share there is now is added, less and less as energies come.

    Parameters
    ----------
    fit : StackFit
        Whose energies are in the order in which they are measured.
    result : OxidationResult
        Its maps as they are.
    target : Target
    rows : numpy.ndarray of bool [ny], optional
        Those that are flown at the energies to come, by default all. The others stay as they are.

    Returns
    -------
    Forecast
    """
    come = fit.lines_present.any(axis=1)
    measured = np.flatnonzero(come & np.isfinite(result.ln_i0))
    here, done, total = len(measured), int(come.sum()), len(fit.design)
    share, least = target.reached(result), fit.design.shape[1] + FREEDOM
    flown = np.ones(len(result.mask), dtype=bool) if rows is None else rows
    known = np.isfinite(result.thickness) & flown[:, None]
    enough = share >= target.share and here >= least
    if not here or not known.any():
        needed = done if enough else None
        return Forecast(share, result.n_mask, done, total, needed, float("nan"), needed, needed)
    line, column = (axis[:: max(1, len(axis) // PIXELS)] for axis in np.nonzero(known))
    # without those that are there but for their I0: neither measured nor to come
    order = np.r_[measured, np.flatnonzero(~come)]
    last = len(order)
    weight = np.ones(total) if fit.dwell is None else fit.dwell / fit.dwell.max()
    c = _physical(np.asarray(result.coefficients[:, line, column], dtype=np.float64), fit.species)
    variance, shared = _noise(fit, result, measured, (line, column), c)
    pairs = np.triu_indices(len(c))
    weighted = fit.design * weight[:, None]
    second = np.einsum("kp,kn->kpn", weighted[:, pairs[0]] * weighted[:, pairs[1]], variance)[order]
    second = np.cumsum(second, axis=0)
    apart = result.mask & ~flown[:, None]  # stay as they are
    as_it_is = float((result.sigma[apart] <= target.sigma).sum()) / max(result.n_mask, 1)
    moving = 1.0 - float(apart.sum()) / max(result.n_mask, 1)
    names = ("fraction", "sigma", "thickness", "thickness_sigma")
    maps = {name: np.empty(c.shape[1]) for name in names}
    wished = target.sigma * np.array([1.0 + UNSURE, 1.0, 1.0 - UNSURE])

    @cache
    def computed(n: int) -> tuple[float, ...]:
        """Share of the pixels that are so sure after ``n`` energies, if σ is smaller, as is,
        larger.
        """
        k = order[:n]
        solver = Solver(fit.design[k], fit.species, shared[k], weight[k])
        if n < least or not solver.solvable:
            return 0.0, 0.0, 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            solver.maps(c, second[n - 1], maps)
            floor = np.fmax(5.0 * maps["thickness_sigma"], fit.min_thickness)
            mask = maps["thickness"] > floor
            if not mask.any():
                return 0.0, 0.0, 0.0
            sure = (maps["sigma"][mask, None] <= wished).mean(axis=0)
        return tuple((moving * sure + as_it_is).tolist())

    now = computed(here)[1]
    missing = share - now if now else 0.0

    def share_after(n: int, which: int) -> float:
        return computed(n)[which] + missing * (here / n) ** 2

    def first(which: int) -> int | None:
        tried = here
        for n in sorted({*range(here + stride, last, stride), last} - {here}):
            if share_after(n, which) >= target.share:
                between = range(tried + 1, n)
                return (
                    done
                    - here
                    + next((m for m in between if share_after(m, which) >= target.share), n)
                )
            tried = n
        return None

    end = float(np.clip(share_after(last, 1), 0.0, 1.0))
    if enough:
        return Forecast(share, result.n_mask, done, total, done, end, done, done)
    stride = max(1, (last - here) // STEPS)
    earliest, needed, latest = (first(which) for which in range(3))
    return Forecast(share, result.n_mask, done, total, needed, end, earliest, latest)


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
    od = np.clip(fit.design @ c, 0.0, HIGHEST)
    times = np.ones(len(fit.design)) if fit.dwell is None else fit.dwell
    # Variance of a pixel without a sample, times the dwell.
    counting = fit.variance_at(measured, pixels)
    bright = np.nanmedian(counting * np.exp(-od[measured]), axis=1) * times[measured]
    i0 = np.square(result.ln_i0_sigma[measured]) * times[measured]
    e = np.arange(len(fit.design)) if np.isnan(fit.energies).any() else fit.energies
    rising = np.argsort(e[measured])
    at = e[measured][rising]
    level = np.interp(e, at, bright[rising]) / times
    shared = np.interp(e, at, i0[rising]) / times
    return level[:, None] * np.exp(od), shared
