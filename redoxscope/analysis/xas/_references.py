"""A spectrum as a sum of references."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize, stats

from redoxscope.inputs import as_number, as_pair

from ._local import with_noise
from ._merge import on_energies
from ._spectrum import Array, Spectrum

__all__ = ["ReferenceFit", "fit_references"]

ALIKE = 1e4
"""References whose condition number is larger cannot be told apart."""
MISFIT_P = 0.01
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class ReferenceFit:
    """Parts of references in a spectrum.

    Attributes
    ----------
    names : tuple of str
    fractions, sigma : numpy.ndarray [r]
        Part of each in the sum of all, 0 to 1, and its standard deviation, the misfit
        included: multiplied with the root of chi-square per degree of freedom where that is
        larger than chance allows.
    covariance : numpy.ndarray [r, r]
        Of the fractions.
    total, total_sigma : float
        The sum of all: 1 where spectrum and references are normalised alike.
    chi2, dof, p : float, int, float
        How well it fits: the probability of such a chi-square, or a larger one, where the
        spectrum is such a sum.
    energy, fitted, rest : numpy.ndarray [n]
        Energies used (eV), the sum there, and what is left.
    warnings : tuple of str
    """

    names: tuple[str, ...]
    fractions: Array
    sigma: Array
    covariance: Array
    total: float
    total_sigma: float
    chi2: float
    dof: int
    p: float
    energy: Array
    fitted: Array
    rest: Array
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        parts = zip(self.names, self.fractions, self.sigma, strict=True)
        return ", ".join(f"{name} {value:.3f} ± {sigma:.3f}" for name, value, sigma in parts)


def fit_references(
    spectrum: Spectrum, references: Sequence[Spectrum], *, window: Any = None
) -> ReferenceFit:
    """Fit a spectrum as a sum of references with parts that are not negative.

    Weighted least squares; the noise of the references counts with that of the spectrum. Spectrum
    and references have to be normalised alike.

    Parameters
    ----------
    spectrum : Spectrum
    references : sequence of Spectrum
        Interpolated to the energies of the spectrum.
    window : (float, float), optional
        Energies (eV) to fit; by default all of the spectrum.

    Raises
    ------
    ValueError
        No references, two of one name, one that does not cover the energies to be fitted, fewer
        points than references, or references that cannot be told apart; names the reference.
    """
    references = list(references)
    if not references:
        raise ValueError("no references given; at least one is needed")
    names = tuple(each.name or f"reference {k + 1}" for k, each in enumerate(references))
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"two references are called {twice[0]!r}; each needs a name of its own")
    spectrum = with_noise(spectrum)
    use = spectrum.known & np.isfinite(spectrum.sigma)
    if window is not None:
        low, high = (as_number("window", each, "eV") for each in as_pair("window", window, "eV"))
        use &= (spectrum.energy >= low) & (spectrum.energy <= high)
    energy = spectrum.energy[use]
    if len(energy) <= len(references):
        raise ValueError(
            f"{spectrum.called} has {len(energy)} points to be fitted with {len(references)} "
            "references; more are needed"
        )
    table, noise = np.empty((2, len(references), len(energy)))
    for k, (name, each) in enumerate(zip(names, references, strict=True)):
        given = each.energy[each.known]
        if not len(given) or given[0] > energy[0] or given[-1] < energy[-1]:
            span = f"{given[0]:g} to {given[-1]:g} eV" if len(given) else "no points"
            raise ValueError(
                f"reference {name!r} has {span}, but {spectrum.called} is fitted from "
                f"{energy[0]:g} to {energy[-1]:g} eV: it does not cover it"
            )
        whole = each.changed(
            energy=given, value=each.value[each.known], sigma=each.sigma[each.known]
        )
        table[k], noise[k] = on_energies(whole, energy)
    value, own = spectrum.value[use], spectrum.sigma[use]
    size = np.sqrt((table**2).sum(axis=1))
    if (size == 0).any():
        raise ValueError(f"reference {names[int(np.argmin(size))]!r} is 0 everywhere")
    if np.linalg.cond((table / size[:, None]).T) > ALIKE:
        raise ValueError(f"the references {', '.join(names)} are too alike to be told apart")
    noise = np.nan_to_num(noise)
    smallest = own[own > 0].min() if (own > 0).any() else 1.0
    own = np.maximum(own, smallest)
    parts = np.zeros(len(references))
    for _ in range(ROUNDS):  # the references' noise counts by their parts
        scale = np.sqrt(own**2 + parts**2 @ noise**2)
        new, _ = optimize.nnls((table / scale).T, value / scale)
        done = np.abs(new - parts).max() < 1e-9 * max(new.max(), 1e-300)
        parts = new
        if done:
            break
    scale = np.sqrt(own**2 + parts**2 @ noise**2)
    a = (table / scale).T
    free = parts > 0
    covariance = np.zeros((len(parts), len(parts)))
    # A part at 0 is known as well as it would be if it were free: its sigma is not 0.
    covariance[:] = np.linalg.pinv(a.T @ a)
    rest = value - parts @ table
    dof = len(energy) - int(free.sum())
    chi2 = float(((rest / scale) ** 2).sum())
    p = float(stats.chi2.sf(chi2, dof))
    warnings = []
    if p < MISFIT_P:
        covariance *= chi2 / dof
        warnings.append(
            f"The references do not describe the spectrum: chi-square {chi2 / dof:.1f} per degree "
            "of freedom; sigma has been made larger by its root."
        )
    total = float(parts.sum())
    if not total > 0:
        raise ValueError(f"{spectrum.called}: no reference has a part in it")
    fractions = parts / total
    turn = (np.eye(len(parts)) - fractions[:, None]) / total
    of_fractions = turn @ covariance @ turn.T
    return ReferenceFit(
        names,
        fractions,
        np.sqrt(np.diag(of_fractions)),
        of_fractions,
        total,
        math.sqrt(max(float(covariance.sum()), 0.0)),
        chi2,
        dof,
        p,
        energy,
        parts @ table,
        rest,
        tuple(warnings),
    )
