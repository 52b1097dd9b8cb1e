"""When a stack will be good enough, foretold from its fit."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ._result import OxidationResult
from ._solve import Solver
from ._stack import StackFit
from ._target import FREEDOM, Forecast, Target

__all__ = ["forecast"]

Array = NDArray[np.float64]
Pixels = tuple[NDArray[np.intp], NDArray[np.intp]]
PIXELS = 800
"""So many pixels of the mask, and half as many that may come into it, are looked at: they are
taken evenly by their thickness, so that they stand for the others."""
DRAWS = 2
"""Samples that each of them may be, and counts that each may give."""
LOOKED = 50_000
"""They are taken of every second, third, ... line where an image has more pixels than this."""
STEPS = 40
"""So many numbers of energies are tried before the one is looked for exactly."""
WINDOW = 2
"""Pixels to each side whose mean says what a pixel's noise does not."""
LEAST_NEIGHBOURS = 3
MAY_COME = 3.0
"""Standard deviations by which a pixel too thin for the mask may be thicker than it seems."""
UNSURE = 0.07
"""Part of itself by which a σ may come out smaller or larger than foretold, where all energies
that make it are to come; less where some are there."""
SCATTER = 0.2, 4.0
"""Between these chi-square is believed to say by how much more or less pixels scatter."""
HIGHEST = 4.0
"""Optical densities beyond this are not foretold: they are noise of a fit of few energies."""


def forecast(
    fit: StackFit,
    result: OxidationResult,
    target: Target,
    rows: NDArray[np.bool_] | None = None,
) -> Forecast:
    """Foretell when a stack will reach its target.

    Not by extrapolating a curve: what a pixel is made of (its coefficients, less their noise, see
    `_truth`) says what it will count at the energies to come; these, with what it has counted,
    are fitted as the map will be, and the σ and the mask of that fit are looked at.

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
    present, pixels = fit.lines_present, result.n_mask
    come = present.any(axis=1)
    there = fit.lines_on_grid & np.isfinite(result.ln_i0)[:, None]  # where images were moved to
    done, total = int(come.sum()), len(fit.design)
    share, least = target.reached(result), fit.design.shape[1] + FREEDOM
    enough = share >= target.share and int(there.any(axis=1).sum()) >= least
    needed = done if enough else None
    flown = np.ones(len(result.mask), dtype=bool) if rows is None else rows
    ahead = _Ahead.of(fit, result, there, np.flatnonzero(~come), flown)
    if ahead is None:
        return Forecast(share, pixels, done, total, needed, float("nan"), needed, needed)
    apart = result.mask[~flown]  # stay as they are
    as_it_is = np.count_nonzero(result.sigma[~flown][apart] <= target.sigma) / max(pixels, 1)
    moving = 1.0 - np.count_nonzero(apart) / max(pixels, 1)
    here, last = ahead.here, ahead.last

    @cache
    def shares(n: int) -> tuple[float, float, float]:
        """Share of the pixels that are so sure after ``n`` energies: at most, likely, at least."""
        if n < least:
            return 0.0, 0.0, 0.0
        off = UNSURE * (1.0 - here / n)
        found, noise = ahead.shares(n, target.sigma * np.array([1.0 + off, 1.0, 1.0 - off]))
        noise *= moving
        high, likely, low = (moving * found + as_it_is).tolist()
        return high + noise, likely, low - noise

    now = shares(here)[1]
    missing = share - now if now else 0.0  # of the pixels that are not looked at

    def reached(n: int, which: int) -> bool:
        return shares(n)[which] + missing >= target.share

    def first(which: int) -> int | None:
        before = here
        for n in tried:
            if reached(n, which):
                between = range(before + 1, n)
                return done - here + next((m for m in between if reached(m, which)), n)
            before = n
        return None

    end = float(np.clip(shares(last)[1] + missing, 0.0, 1.0))
    if enough:
        return Forecast(share, pixels, done, total, done, end, done, done)
    stride = max(1, (last - here) // STEPS)
    tried = sorted({*range(here + stride, last, stride), last} - {here})
    earliest, needed, latest = (first(which) for which in range(3))
    return Forecast(share, pixels, done, total, needed, end, earliest, latest)


class _Ahead:
    """What some pixels will be known to be, after more energies.

    Parameters
    ----------
    fit : StackFit
    result : OxidationResult
    measured, to_come : numpy.ndarray of int
        Energies that these pixels have, and will have, in order.
    pixels : tuple of numpy.ndarray
        Lines and columns.
    weight : numpy.ndarray [P]
        Pixels that each of them stands for.
    """

    def __init__(
        self,
        fit: StackFit,
        result: OxidationResult,
        measured: NDArray[np.intp],
        to_come: NDArray[np.intp],
        pixels: Pixels,
        weight: Array,
    ) -> None:
        self._fit, self._order = fit, np.r_[measured, to_come]
        self.here, self.last = len(measured), len(measured) + len(to_come)
        self.pixels = len(weight)
        a, dwell = fit.design, fit.dwell
        self._weight = np.ones(len(a)) if dwell is None else dwell / dwell.max()
        self._weighted = a * self._weight[:, None]
        first, second = np.triu_indices(a.shape[1])
        self._products = self._weighted[:, first] * self._weighted[:, second]
        self._by_pixel = np.tile(weight, DRAWS)
        c = np.asarray(result.coefficients[:, pixels[0], pixels[1]], dtype=np.float64)
        counting = np.asarray(fit.variance_at(measured, pixels), dtype=np.float64)
        sums = self._products[measured].T @ counting
        rng = np.random.default_rng(0)
        scatter = _scatter(result, pixels)
        truth = _truth(fit, result, pixels, c, scatter * self._covariance(sums), rng)
        truth = _physical(truth, fit.species)
        od = np.clip(a @ truth, 0.0, HIGHEST)
        bright = counting * np.exp(-od[measured, : len(weight)])
        level, self._i0 = _light(fit, result, measured, bright)
        later = level[to_come, None] * np.exp(od[to_come])
        self._later = later * (1.0 + later)  # of 1/N, which is larger than 1/(mean N)
        self._noise = np.sqrt(scatter * self._later)
        self._noise *= rng.standard_normal(later.shape, dtype=np.float32)
        self._c, self._truth = np.tile(c, DRAWS), truth
        # Sums of variances, and what the noise to come adds to the fit, after so many energies.
        self._at = {self.here: (np.tile(sums, DRAWS), np.zeros_like(truth))}
        names = ("fraction", "sigma", "thickness", "thickness_sigma")
        self._maps = {name: np.empty(truth.shape[1]) for name in names}

    @classmethod
    def of(
        cls,
        fit: StackFit,
        result: OxidationResult,
        there: NDArray[np.bool_],
        to_come: NDArray[np.intp],
        flown: NDArray[np.bool_],
    ) -> _Ahead | None:
        """Of the pixels of rows that are flown; None where nothing is known of them.

        Rows that have the same energies as most: those of others are few, or not flown any more.
        """
        nx = result.mask.shape[1]
        lines = np.flatnonzero(flown)
        lines = lines[:: max(1, len(lines) * nx // LOOKED)]
        if not lines.size:
            return None
        able = _able(fit, result, lines)
        number = able.sum(axis=1)
        if not number.any():
            return None
        kinds, kind = np.unique(there[:, lines], axis=1, return_inverse=True)
        most = int(np.argmax(np.bincount(kind.ravel(), number)))
        usual = kinds[:, most]
        able &= (kind.ravel() == most)[:, None]
        measured = np.flatnonzero(usual)
        thickness, mask = result.thickness[lines].ravel(), result.mask[lines]
        stands = np.count_nonzero(flown) / len(lines)
        found, weight = [], []
        for which, many in ((able & mask, PIXELS), (able & ~mask, PIXELS // 2)):
            at = np.flatnonzero(which)
            if at.size:
                at = at[np.argsort(thickness[at], kind="stable")]
                some = at[np.linspace(0, len(at) - 1, min(many, len(at))).astype(np.intp)]
                found.append(some)
                weight.append(np.full(len(some), stands * len(at) / len(some)))
        line, column = np.divmod(np.concatenate(found), nx)
        pixels = lines[line], column
        # An image that was moved ends within a line, too.
        whole = np.isfinite(fit.variance_at(measured, pixels)).all(axis=0)
        if not whole.any():
            return None
        pixels = pixels[0][whole], pixels[1][whole]
        return cls(fit, result, measured, to_come, pixels, np.concatenate(weight)[whole])

    def _covariance(self, sums: Array) -> Array:
        """Of the coefficients [P, K+1, K+1] now."""
        k = self._order[: self.here]
        inverse = np.linalg.inv(self._weighted[k].T @ self._fit.design[k])
        first, second = np.triu_indices(len(inverse))
        full = np.empty((sums.shape[1], *inverse.shape))
        full[:, first, second] = full[:, second, first] = sums.T
        return np.asarray(inverse @ full @ inverse)

    def _sums(self, n: int) -> tuple[Array, Array]:
        """Those after ``n`` energies, from the nearest before."""
        if n not in self._at:
            before = max(m for m in self._at if m < n)
            k, at = self._order[before:n], slice(before - self.here, n - self.here)
            sums, noise = self._at[before]
            self._at[n] = (
                sums + self._products[k].T @ self._later[at],
                noise + self._weighted[k].T @ self._noise[at],
            )
        return self._at[n]

    def shares(self, n: int, wished: Array) -> tuple[Array, float]:
        """Share of the mask with each of these σ after ``n`` energies, and its noise.

        The noise follows from how many pixels are sure in one draw and not in the other.
        """
        k, fit = self._order[:n], self._fit
        solver = Solver(fit.design[k], fit.species, self._i0[k], self._weight[k])
        if not solver.solvable:
            return np.zeros(len(wished)), 0.0
        sums, noise = self._sums(n)
        c = self._c
        if n > self.here:
            of_later = self._weighted[k[self.here :]].T @ fit.design[k[self.here :]]
            gram = self._weighted[k].T @ fit.design[k]
            c = c + np.linalg.solve(gram, of_later @ (self._truth - c) + noise)
        maps = self._maps
        with np.errstate(divide="ignore", invalid="ignore"):
            solver.maps(c, sums, maps)
            floor = np.fmax(5.0 * maps["thickness_sigma"], fit.min_thickness)
            mask = maps["thickness"] > floor
            if not mask.any():
                return np.zeros(len(wished)), 0.0
            weight = self._by_pixel * mask
            sure = (maps["sigma"] <= wished[:, None]) & mask
        number = weight.sum()
        draws = sure[1].reshape(DRAWS, -1)
        differ = (draws[0] != draws[1]) @ self._by_pixel[: self.pixels] / number
        noise = np.sqrt(0.5 * DRAWS * differ * (DRAWS / number + DRAWS / mask.sum()))
        return sure @ weight / number, float(noise)


def _able(fit: StackFit, result: OxidationResult, where: Any) -> NDArray[np.bool_]:
    """Whether lines, or pixels, are in the mask or may come into it."""
    thickness = result.thickness[where]
    with np.errstate(invalid="ignore"):  # what is not known is not
        return np.asarray(thickness + MAY_COME * result.thickness_sigma[where] > fit.min_thickness)


def _scatter(result: OxidationResult, pixels: Pixels) -> float:
    """By how much the variance of what pixels count differs from what counting says.

    Images moved or smoothed beforehand scatter less. Their σ says nothing of it, nor does that
    which is foretold; but how far a pixel may be from what it seems does.
    """
    chi2 = result.chi2[pixels]
    chi2 = chi2[np.isfinite(chi2)]
    return float(np.clip(chi2.mean(), *SCATTER)) if chi2.size else 1.0


def _truth(
    fit: StackFit,
    result: OxidationResult,
    pixels: Pixels,
    c: Array,
    covariance: Array,
    rng: np.random.Generator,
) -> Array:
    """What pixels may be made of [K+1, DRAWS x P]: drawn from what is known of them.

    The coefficients of few energies scatter more than those of the map will: taken as they are,
    thin and thick pixels would be foretold where there are none. So each is moved towards the mean
    of its neighbours, by as much as all of them scatter less than their noise says (empirical
    Bayes; with a scalar it is the filter of J.-S. Lee, IEEE PAMI 2, 165 (1980)).
    """
    (line, column), (ny, nx), size = pixels, result.mask.shape, len(c)
    dy, dx = (v.ravel() for v in np.mgrid[-WINDOW : WINDOW + 1, -WINDOW : WINDOW + 1])
    beside = (dy != 0) | (dx != 0)
    y, x = line[:, None] + dy[beside], column[:, None] + dx[beside]
    held = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
    y, x = np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)
    held &= _able(fit, result, (y, x))
    number = held.sum(axis=1)
    some = number >= LEAST_NEIGHBOURS
    centre, root = c.copy(), np.zeros_like(covariance)
    if some.any():
        near = np.where(held[some], result.coefficients[:, y[some], x[some]], 0.0)
        mean = near.sum(axis=2, dtype=np.float64) / number[some]
        off, own = c[:, some] - mean, covariance[some]
        noise = (own * (1.0 + 1.0 / number[some])[:, None, None]).mean(axis=0)
        # In units of the noise, what is beyond it is the sample's; it cannot be negative.
        unit = np.linalg.cholesky(noise)
        back = np.linalg.inv(unit)
        value, vector = np.linalg.eigh(back @ (off @ off.T / off.shape[1]) @ back.T)
        turned = unit @ vector
        sample = (turned * np.clip(value - 1.0, 0.0, None)) @ turned.T
        gain = sample @ np.linalg.inv(sample + own)
        centre[:, some] = mean + np.einsum("pij,jp->ip", gain, off)
        left = (np.eye(size) - gain) @ sample
        value, vector = np.linalg.eigh(0.5 * (left + left.transpose(0, 2, 1)))
        root[some] = vector * np.sqrt(np.clip(value, 0.0, None))[:, None, :]
    drawn = rng.standard_normal((DRAWS, size, len(number)))
    found = centre + np.einsum("pij,djp->dip", root, drawn)
    return np.asarray(np.concatenate(found, axis=1))


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


def _light(
    fit: StackFit, result: OxidationResult, measured: NDArray[np.intp], bright: Array
) -> tuple[Array, Array]:
    """Variance of a pixel without a sample, counting, and I0's share of it, at all energies [nE].

    Of energies to come it is that of the nearest ones measured.

    Parameters
    ----------
    bright : numpy.ndarray [n, P]
        What pixels say of the first at the energies measured.
    """
    times = np.ones(len(fit.design)) if fit.dwell is None else fit.dwell
    e = np.arange(len(fit.design)) if np.isnan(fit.energies).any() else fit.energies
    rising = np.argsort(e[measured])
    at, found = e[measured][rising], []
    for values in (np.nanmedian(bright, axis=1), np.square(result.ln_i0_sigma[measured])):
        found.append(np.interp(e, at, (values * times[measured])[rising]) / times)
    return found[0], found[1]
