"""A spectrum with its standard deviations, and the difference of two."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.inputs import as_number, as_whole, axis_problem

__all__ = ["Array", "Comparison", "Spectrum"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Absorption (or a yield) over the photon energy; arrays [n].

    Attributes
    ----------
    energy : numpy.ndarray
        Photon energies (eV), rising strictly.
    value : numpy.ndarray
        Absorption or yield, in any unit; NaN where there is none.
    sigma : numpy.ndarray
        Standard deviation of each value, independent of those of its neighbours; NaN where it is
        not known. What all points share (scale, background) is not in it. None may be given: all
        are unknown then.
    name : str
        Of a file, a sample, a run; it stands in messages.
    mode : str
        How it was taken: ``"TEY"``, ``"TFY"``, ``"PFY"``, ``"transmission"``.
    edge : str
        ``"Mn L"``; empty where it is not known.
    n : int
        Repeats that were averaged.
    dof : float
        Degrees of freedom that sigma rests on where the spectrum is steep or flat alike: infinite
        where it is known (counting), a few tens where it is the scatter of few repeats.

    Raises
    ------
    ValueError
        An array has another length or is not of numbers, the energies do not rise strictly, or
        a sigma is negative; names the spectrum.
    """

    energy: Array
    value: Array
    sigma: Array
    name: str = ""
    mode: str = ""
    edge: str = ""
    n: int = 1
    dof: float = math.inf

    def __post_init__(self) -> None:
        who = self.called
        energy = _column(f"{who}: energy", self.energy)
        value = _column(f"{who}: value", self.value)
        sigma = (
            np.full(len(value), np.nan)
            if self.sigma is None
            else _column(f"{who}: sigma", self.sigma)
        )
        for what, array in (("value", value), ("sigma", sigma)):
            if len(array) != len(energy):
                raise ValueError(
                    f"{who}: {len(array)} points in {what}, but {len(energy)} in energy"
                )
        if not len(energy):
            raise ValueError(f"{who} has no points")
        problem = axis_problem(energy, "eV")
        if problem is not None:
            raise ValueError(f"{who}: energy {problem[1]}")
        if (sigma < 0).any():
            at = int(np.argmax(sigma < 0))
            raise ValueError(
                f"{who}: sigma = {sigma[at]:g} at {energy[at]:g} eV, but must be at least 0"
            )
        for what, array in (("energy", energy), ("value", value), ("sigma", sigma)):
            object.__setattr__(self, what, array)
        object.__setattr__(self, "n", as_whole(f"{who}: n", self.n, at_least=1))
        dof = as_number(f"{who}: dof", self.dof, above=0, finite=False)
        object.__setattr__(self, "dof", dof)

    @property
    def called(self) -> str:
        """What it is called in messages."""
        parts = " ".join(part for part in (self.edge, self.mode) if part)
        return " ".join(part for part in ("spectrum", self.name, parts and f"({parts})") if part)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Points that have a value."""
        return np.isfinite(self.value)

    def __len__(self) -> int:
        return len(self.energy)

    def __repr__(self) -> str:
        span = f"{self.energy[0]:g} to {self.energy[-1]:g} eV"
        return f"<Spectrum {self.called[9:]}: {len(self)} points, {span}, {self.n} averaged>"

    def changed(self, **fields: Any) -> Spectrum:
        """A copy with other fields."""
        return replace(self, **fields)

    def shifted(self, by: float) -> Spectrum:
        """A copy whose energies are higher by this (eV)."""
        return replace(self, energy=self.energy + by)


@dataclass(frozen=True, eq=False)
class Comparison:
    """What changed from one spectrum to another; arrays [n]. See `compare`.

    Attributes
    ----------
    energy : numpy.ndarray
        Photon energies (eV) at which both have values.
    difference, sigma : numpy.ndarray
        After less before, and its standard deviation; what the two may differ in without
        anything having changed (scale, background) is taken out first.
    change, change_sigma : float
        One number for it, and its standard deviation: how far the spectrum moved (eV), or by how
        much the area in a window grew (%).
    unit : str
        Of `change`: ``"eV"`` or ``"%"``.
    significance : float
        How significant the difference of the spectra is, as standard deviations of a normal
        distribution (two-sided): 3 means that of 370 pairs of equal spectra one differs so much.
    p : float
        The probability of such a difference, or a larger one, where nothing changed.
    significant : bool
        Whether `significance` reaches the limit.
    limit : float
        That limit (standard deviations).
    name, mode, edge : str
        Of the spectra.
    chi2, dof : float, int
        Of the difference that is left once `change` is taken out as well.
    reason : str
        Why there is nothing to be said, in words; empty where there is.
    """

    energy: Array
    difference: Array
    sigma: Array
    change: float
    change_sigma: float
    unit: str
    significance: float
    p: float
    significant: bool
    limit: float = 3.0
    name: str = ""
    mode: str = ""
    edge: str = ""
    chi2: float = float("nan")
    dof: int = 0
    reason: str = ""

    def __str__(self) -> str:
        what = " ".join(part for part in (self.name, self.edge, self.mode) if part) or "spectrum"
        if self.reason:
            return f"{what}: {self.reason}"
        seen = "changed" if self.significant else "no change seen"
        return (
            f"{what}: {seen}, {self.change:+.3g} ± {self.change_sigma:.2g} {self.unit}, "
            f"{self.significance:.1f} sigma (limit {self.limit:g})"
        )


def _column(what: str, values: ArrayLike) -> Array:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "iuf":
        kind = f"array of {array.dtype} with {array.ndim} dimensions"
        raise ValueError(f"{what} must be a list of numbers, not an {kind}")
    return np.array(array, dtype=np.float64)
