"""Which energies say most of the fraction, and so come first."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...inputs import as_number
from ._checks import check_design

__all__ = ["ENERGY_SIGMA", "informative_order"]

Array = NDArray[np.float64]
FRACTIONS = (0.25, 0.5, 0.75)
DENSITIES = (0.5, 1.0)
"""The samples that an order is good for on average: fractions of the first species, and optical
densities at the strongest line."""
COUNTS = 1000.0
"""Counts of a pixel without a sample, where nothing is known of them."""
ENERGY_SIGMA = 0.1
"""eV by which an energy may be off. On a slope this makes an optical density uncertain, however
many photons are counted: without it, all would be measured there."""
PRIOR = 1e-4
"""Information that is taken to be there before the first energy, in counts: it makes a variance
finite that is not determined yet, and is far below any measurement."""


def informative_order(
    design: ArrayLike,
    species: int,
    energies: ArrayLike,
    *,
    time: ArrayLike = 1.0,
    travel: Callable[[Array], Array] | None = None,
    counts: float = COUNTS,
    energy_sigma: float = ENERGY_SIGMA,
) -> list[int]:
    """Energies in the order in which they lower the variance of the fraction most.

    Greedy: the next energy is the one by which the variance of the fraction, as a mean over
    several samples, falls by the largest factor per second. For Poisson counts the information
    of an energy on the coefficients is ``a a^T / V`` with ``V = 1 / N + (dOD/dE σ_E)^2`` and
    ``N = N_0 exp(-OD)``; the variance of ``f = c_0 / S`` is ``g^T F^-1 g`` with
    ``g = ((1 - f), -f, ...) / S`` (c-optimal design, e.g. Pukelsheim, *Optimal Design of
    Experiments*, 1993). An energy is added by the formula of Sherman and Morrison.

    Parameters
    ----------
    design : array_like [nE, K+1]
        Absorption of the species, in columns, then a constant.
    species : int
        Number of leading columns that are species, at least two.
    energies : array_like [nE]
        eV, in any order, each once.
    time : float or array_like [nE]
        Of an image at each energy (s); information grows with it.
    travel : callable, optional
        Seconds of a move by so many eV (negative: down, where an approach from one side costs
        more), of an array. By default moves cost nothing.
    counts : float
        Of a pixel without a sample, in an image of mean time.
    energy_sigma : float
        Uncertainty of an energy (eV).

    Returns
    -------
    list of int
        Each index once.

    Raises
    ------
    ValueError
        The design matrix cannot be fitted or has fewer than two species, shapes differ, or a value
        is not positive.
    """
    a = np.array(design, dtype=np.float64)
    if species < 2:  # a design without any fits, as images alone, but has no order
        raise ValueError(
            f"design has {species} species: an order of energies that tells a fraction needs two"
        )
    check_design(a, species)
    e = np.array(energies, dtype=np.float64)
    if e.shape != (len(a),) or not np.isfinite(e).all() or len(np.unique(e)) != len(e):
        raise ValueError(
            f"energies must be {len(a)} different numbers in eV, one per row of design"
        )
    seconds = np.array(np.broadcast_to(np.asarray(time, dtype=np.float64), e.shape))
    if not (np.isfinite(seconds) & (seconds > 0)).all():
        raise ValueError("time must be greater than 0 s at each energy")
    counts = as_number("counts", counts, above=0)
    sigma = as_number("energy_sigma", energy_sigma, "eV", at_least=0)
    populations = list(_samples(a, species, e, counts * seconds / seconds.mean(), sigma))
    chosen: list[int] = []
    left = np.arange(len(a))
    while left.size:
        before = sum(p.variance for p in populations)
        after = np.sum([p.variance_with(left) for p in populations], axis=0)
        cost = seconds[left]
        if travel is not None and chosen:
            cost = cost + travel(e[left] - e[chosen[-1]])
        best = int(np.argmax(np.log(before / after) / cost))
        chosen.append(int(left[best]))
        for one in populations:
            one.add(left[best])
        left = np.delete(left, best)
    return chosen


def _samples(a: Array, species: int, e: Array, counts: Array, sigma: float) -> list[_Sample]:
    """Mixtures that may be there: the first species against even parts of the others."""
    rising = np.argsort(e)
    slope = np.empty((len(a), species))
    if len(a) > 1:
        slope[rising] = np.gradient(a[rising, :species], e[rising], axis=0)
    else:
        slope[:] = 0.0
    strongest = float(np.abs(a[:, :species]).max())
    found = []
    for f, density in product(FRACTIONS, DENSITIES):
        total = density / strongest
        c = total * np.array([f, *[(1.0 - f) / (species - 1)] * (species - 1)])
        variance = np.exp(a[:, :species] @ c) / counts + (slope @ c * sigma) ** 2
        g = np.zeros(a.shape[1])
        g[:species] = -f
        g[0] = 1.0 - f  # variance of f times S^2: thin samples count no more than thick ones
        found.append(_Sample(a, 1.0 / variance, g, PRIOR * counts.mean()))
    return found


class _Sample:
    """What is known of one sample: the inverse of its information."""

    def __init__(self, a: Array, weight: Array, g: Array, prior: float) -> None:
        self._a, self._weight, self._g = a, weight, g
        self._inverse = np.eye(a.shape[1]) / prior

    @property
    def variance(self) -> float:
        return float(self._g @ self._inverse @ self._g)

    def variance_with(self, which: NDArray[np.intp]) -> Array:
        """The variance that each of these energies would leave."""
        rows, w = self._a[which], self._weight[which]
        to = rows @ self._inverse
        gain = w * (to @ self._g) ** 2 / (1.0 + w * (to * rows).sum(axis=1))
        return np.asarray(self.variance - gain)

    def add(self, k: int) -> None:
        to = self._inverse @ self._a[k]
        w = self._weight[k]
        self._inverse = self._inverse - np.outer(to, to) * (w / (1.0 + w * self._a[k] @ to))
