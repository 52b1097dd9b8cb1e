"""The shift of a measured spectrum against references, with its σ, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import minimize_scalar, nnls

from ...inputs import as_number, as_numbers, axis_problem

__all__ = ["EnergyShift", "energy_shift"]

Array = NDArray[np.float64]

FEWEST = 8
STEP = 0.05
"""Of the search (eV)."""
STRUCTURE = 25.0
"""Least that the references must take off χ², beside a straight line."""
UNALIKE = 0.05
"""Largest part of the spectrum's structure that may be left over, in squares."""
AS_GOOD = 9.0
"""What another shift must be worse by, in χ² scaled to 1."""
UNSURE = 0.2
"""Largest sigma (eV) with which a shift is taken for one."""


@dataclass(frozen=True, eq=False)
class EnergyShift:
    """What has to be added to the energies of a spectrum so that they are true.

    Attributes
    ----------
    shift, sigma : float
        eV; sigma is of noise and of what the fit leaves over, of the mixture of the references
        (which is fitted too), and of the references' own energies.
    names : tuple of str
        Of the references.
    amounts : tuple of float
        Of each in the spectrum, in their unit.
    chi2 : float
        Reduced. Where it is above 1, sigma is larger by its root; NaN where the noise was not
        given, and taken from what the fit leaves over.
    left_over : float
        Part of the spectrum's structure that the references do not explain, in squares.
    energies, values, values_sigma, fitted : numpy.ndarray [n]
        What was compared: energies as read (eV), spectrum, its sigma, and the references moved.
    tried, misfit : numpy.ndarray [m]
        Shifts that were tried (eV), and χ² of each.
    """

    shift: float
    sigma: float
    names: tuple[str, ...]
    amounts: tuple[float, ...]
    chi2: float
    left_over: float
    energies: Array
    values: Array
    values_sigma: Array
    fitted: Array
    tried: Array
    misfit: Array

    def __str__(self) -> str:
        return f"{self.shift:+.3f} ± {self.sigma:.3f} eV"


def energy_shift(
    energies: Any,
    values: Any,
    references: tuple[Any, Any],
    *,
    sigma: Any = None,
    names: Sequence[str] | None = None,
    search: float = 3.0,
    reference_sigma: float = 0.0,
) -> EnergyShift:
    """Find by how much the energies of a spectrum are off.

    Parameters
    ----------
    energies : array_like [n]
        As read (eV), in any order.
    values : array_like [n]
        Optical density or absorption; NaN where there is none.
    references : (array_like [m], array_like [K, m] or [m])
        True energies (eV), rising, and the spectra of which the measured one is a sum, none of
        them negatively, with a straight line besides.
    sigma : array_like [n], optional
        Standard deviation of the values; by default from what the fit leaves over.
    names : sequence of str, optional
        Of the references.
    search : float
        Largest shift either way (eV).
    reference_sigma : float
        Standard deviation of the references' own energies (eV).

    Returns
    -------
    EnergyShift

    Raises
    ------
    ValueError
        Wrong shapes; too few energies within the references; no structure in the spectrum; the
        references do not look like it; two shifts fit it equally well; the best one is at the end
        of the search, or known to 0.2 eV only.

    Notes
    -----
    At each shift δ, ``Σ cₖ rₖ(E + δ)`` and a straight line are fitted with non-negative cₖ, by
    weighted least squares; the shift is where χ² is least. Its variance is that of the full fit
    of shift, amounts and line together, times χ² where that exceeds 1, and times
    (1 + ρ)/(1 - ρ) where what is left over has the correlation ρ from one energy to the next: then
    the spectra differ, and fewer energies than there are say something on their own.
    """
    read, value, noise = _measured(energies, values, sigma)
    known, spectra = _references(references)
    search = as_number("search", search, "eV", above=0, at_most=20)
    own = as_number("reference_sigma", reference_sigma, "eV", at_least=0)
    called = tuple(names) if names is not None else tuple(f"{k + 1}" for k in range(len(spectra)))
    if len(called) != len(spectra):
        raise ValueError(f"{len(called)} names for {len(spectra)} references")
    inside = (read >= known[0] + search) & (read <= known[-1] - search)
    if inside.sum() < max(FEWEST, len(spectra) + 4):
        raise ValueError(
            f"{inside.sum()} of {len(read)} energies, {read[0]:g} to {read[-1]:g} eV, lie within "
            f"the references ({known[0]:g} to {known[-1]:g} eV) for shifts up to {search:g} eV; at "
            f"least {max(FEWEST, len(spectra) + 4)} are needed"
        )
    fit = _Fit(read[inside], value[inside], None if noise is None else noise[inside],
               PchipInterpolator(known, spectra, axis=1))  # fmt: skip
    tried = np.linspace(-search, search, 2 * math.ceil(search / STEP) + 1)
    misfit = np.array([fit.at(float(shift))[1] for shift in tried])
    at = int(np.argmin(misfit))
    if at in (0, len(tried) - 1):
        raise ValueError(
            f"the spectrum fits best at {tried[at]:+g} eV, the end of the search: the references "
            "are of something else, or search= must be larger"
        )
    found = minimize_scalar(
        lambda shift: fit.at(shift)[1],
        bounds=(float(tried[at - 1]), float(tried[at + 1])),
        method="bounded",
        options={"xatol": 1e-5},
    )
    return fit.judged(float(found.x), called, own, tried, misfit)


class _Fit:
    """A spectrum, and references that are moved beneath it."""

    def __init__(self, energies: Array, values: Array, sigma: Array | None, spectra: Any):
        self.energies, self.values, self.spectra = energies, values, spectra
        self.given = sigma is not None
        self.sigma = np.ones(len(values)) if sigma is None else sigma
        middle = (energies - energies.mean()) / max(float(np.ptp(energies)), 1e-9)
        self.line = np.column_stack([np.ones(len(energies)), middle])

    def basis(self, shift: float) -> Array:
        return np.column_stack([*self.spectra(self.energies + shift), self.line])

    def at(self, shift: float) -> tuple[Array, float]:
        """Amounts, and χ²; the line may have either sign."""
        basis = self.basis(shift)
        both = np.column_stack([basis, -self.line]) / self.sigma[:, None]
        size = np.linalg.norm(both, axis=0)
        size[size == 0] = 1.0
        amounts, root = nnls(both / size, self.values / self.sigma)
        amounts = amounts / size
        amounts[-4:-2] -= amounts[-2:]
        return amounts[:-2], float(root) ** 2

    def judged(
        self, shift: float, names: tuple[str, ...], own: float, tried: Array, misfit: Array
    ) -> EnergyShift:
        """The shift with its sigma.

        Raises
        ------
        ValueError
            What speaks against it.
        """
        amounts, chi2 = self.at(shift)
        straight = self.values - self.line @ np.linalg.lstsq(
            self.line / self.sigma[:, None], self.values / self.sigma, rcond=None
        )[0]  # fmt: skip
        bare = float(((straight / self.sigma) ** 2).sum())
        used = np.flatnonzero(amounts[:-2] > 0)
        spare = max(len(self.values) - len(used) - 3, 1)
        scale = chi2 / spare
        if not self.given:
            bare, chi2, misfit = bare / scale, chi2 / scale, misfit / scale
        excess = max(scale, 1.0) if self.given else 1.0
        where = f"from {self.energies[0]:g} to {self.energies[-1]:g} eV"
        if not len(used) or not (bare - chi2) / excess > STRUCTURE:
            raise ValueError(
                f"there is no edge in the spectrum {where} that stands out of its noise, so it "
                "says nothing of the energy"
            )
        # Of noise alone as much would be left over as there are energies to spare.
        noise = spare if self.given else 0.0
        left = max(chi2 - noise, 0.0) / max(bare - noise, 1e-300)
        if not left <= UNALIKE:
            raise ValueError(
                f"{', '.join(names)} do not look like the spectrum {where}: {100 * left:.0f} % of "
                f"its structure is left over at the best shift ({shift:+.2f} eV), and at most "
                f"{100 * UNALIKE:g} % may be"
            )
        sigma = math.hypot(self._sigma(shift, amounts, used, scale), own)
        self._only(shift, sigma, excess, tried, misfit)
        if not sigma <= UNSURE:
            raise ValueError(
                f"the shift is {shift:+.2f} ± {sigma:.2f} eV, and above {UNSURE:g} eV it is none: "
                "count longer, or take more energies on the slopes of the edge"
            )
        return EnergyShift(
            shift, sigma, names, tuple(float(a) for a in amounts[:-2]),
            scale if self.given else math.nan, left, self.energies, self.values,
            self.sigma if self.given else np.full(len(self.values), math.sqrt(scale)),
            self.basis(shift) @ amounts, tried, misfit,
        )  # fmt: skip

    def _sigma(self, shift: float, amounts: Array, used: NDArray[np.intp], scale: float) -> float:
        slope = self.spectra(self.energies + shift, 1).T @ amounts[:-2]
        free = np.column_stack([slope, self.basis(shift)[:, [*used, -2, -1]]]) / self.sigma[:, None]
        size = np.linalg.norm(free, axis=0)
        inverse = np.linalg.pinv((free / size).T @ (free / size))
        variance = float(inverse[0, 0]) / float(size[0]) ** 2
        rest = (self.values - self.basis(shift) @ amounts) / self.sigma
        if self.given and scale <= 1:
            return math.sqrt(variance)
        alike = float(rest[1:] @ rest[:-1]) / max(float(rest @ rest), 1e-300)
        alike = min(max(alike, 0.0), 0.95)
        return math.sqrt(variance * scale * (1 + alike) / (1 - alike))

    def _only(self, shift: float, sigma: float, excess: float, tried: Array, misfit: Array) -> None:
        """Refuse a shift beside which another fits as well."""
        lows = np.flatnonzero((misfit[1:-1] <= misfit[:-2]) & (misfit[1:-1] <= misfit[2:])) + 1
        for k in lows:
            apart = abs(float(tried[k]) - shift)
            worse = (float(misfit[k]) - float(misfit.min())) / excess
            if apart > max(3 * sigma, 2 * STEP) and worse < AS_GOOD:
                raise ValueError(
                    f"shifts of {shift:+.2f} and {tried[k]:+.2f} eV fit the spectrum equally well: "
                    "take more energies, or make search= smaller if one of them cannot be"
                )


def _measured(energies: Any, values: Any, sigma: Any) -> tuple[Array, Array, Array | None]:
    read = np.array(as_numbers("energies", energies, "eV", above=0))
    value = np.asarray(values, dtype=float)
    noise = None if sigma is None else np.asarray(sigma, dtype=float)
    for name, each in (("values", value), ("sigma", noise)):
        if each is not None and each.shape != read.shape:
            raise ValueError(f"{name} has shape {each.shape}; expected ({len(read)},), as energies")
    known = np.isfinite(value)
    if noise is not None:
        known &= np.isfinite(noise)
        if not (noise[known] > 0).all():
            raise ValueError(f"sigma holds {noise[known].min():g}; it must be greater than 0")
    order = np.flatnonzero(known)[np.argsort(read[known], kind="stable")]
    if not len(order):
        raise ValueError("values has no finite number: nothing was measured")
    return read[order], value[order], None if noise is None else noise[order]


def _references(references: Any) -> tuple[Array, Array]:
    energies, spectra = references
    known = np.array(as_numbers("reference energies", energies, "eV", above=0))
    problem = axis_problem(known, "eV")
    if problem is not None:
        raise ValueError(f"reference energies: {problem[1]}")
    rows = np.atleast_2d(np.asarray(spectra, dtype=float))
    if rows.shape[1] != len(known):
        raise ValueError(f"references have shape {rows.shape}; expected (K, {len(known)})")
    if not np.isfinite(rows).all():
        raise ValueError("references hold values that are not finite")
    return known, rows
