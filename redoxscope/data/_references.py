"""Reference spectra: what a linear combination fit is made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.inputs import as_number, as_numbers, axis_problem

from ._absorption import phase_absorption
from ._edges import EDGES, get_edge

__all__ = [
    "CONDITION_LIMIT",
    "MIN_THICKNESS",
    "References",
    "UndeterminedError",
    "load_references",
]

Array = NDArray[np.float64]

#: Largest condition number of the column-normalised design matrix. Beyond it relative noise of
#: 0.1 % in the optical density is of the order of the coefficients themselves.
CONDITION_LIMIT = 1000.0

#: Thickness below which a fraction is not worth showing, per unit of the references: 0.02 µm, or
#: 0.3 of an end member's thickness.
MIN_THICKNESS = {"1/µm": 0.02, "OD": 0.3}

_TOLERANCE = 1e-3  # eV, what a monochromator readback may lie outside the references


class UndeterminedError(ValueError):
    """So few or such energies that they do not tell the references apart."""


def _listing(values: ArrayLike) -> str:
    shown = [f"{v:g}" for v in np.ravel(np.asarray(values, dtype=float))]
    more = f" and {len(shown) - 5} more" if len(shown) > 5 else ""
    return ", ".join(shown[:5]) + more


@dataclass(frozen=True, eq=False)
class References:
    """Reference spectra of pure phases, the most oxidised first.

    Attributes
    ----------
    names : tuple of str
        K names.
    energies : ndarray [n]
        eV, strictly increasing.
    spectra : ndarray [K, n]
        Absorption coefficient (1/µm) or optical density (OD).
    unit : {"1/µm", "OD"}
        With 1/µm the coefficients of a fit are thicknesses in µm; with OD they are in units of
        the end members' thickness.
    source : str
        Where the spectra come from.
    valences : tuple of float or None
        One per name, where they are known.
    min_thickness : float or None
        Thickness below which a fraction is not shown, in the unit of the coefficients; by default
        0.02 µm or 0.3 end members.

    Raises
    ------
    ValueError
        Shapes disagree, a value is not finite, energies do not increase, names repeat.
    """

    names: tuple[str, ...]
    energies: Array
    spectra: Array
    unit: str
    source: str
    valences: tuple[float, ...] | None = None
    min_thickness: float | None = None

    def __post_init__(self) -> None:
        if self.unit not in MIN_THICKNESS:
            raise ValueError(f"references.unit = {self.unit!r} is not one of {list(MIN_THICKNESS)}")
        if isinstance(self.names, str):
            raise ValueError(f"references.names = {self.names!r} must be a list of names")
        names = tuple(str(n) for n in self.names)
        if not names or "" in names or len(set(names)) != len(names):
            raise ValueError(f"references.names = {names} must be present and differ")
        energies = np.array(as_numbers("references.energies", self.energies, "eV", what="energies"))
        if energies.size < 2:
            raise ValueError(f"references.energies has {energies.size} values; at least 2 needed")
        problem = axis_problem(energies, "eV")
        if problem is not None:
            raise ValueError(f"references.energies {problem[1]}")
        try:
            spectra = np.array(self.spectra, dtype=float)
        except (TypeError, ValueError) as exc:
            raise ValueError(f"references.spectra is no table of numbers: {exc}") from None
        if spectra.shape != (len(names), energies.size):
            raise ValueError(
                f"references.spectra has shape {spectra.shape}; expected "
                f"({len(names)}, {energies.size}): one row per name, one column per energy"
            )
        for name, row in zip(names, spectra, strict=True):
            if not np.all(np.isfinite(row)):
                where = _listing(energies[~np.isfinite(row)])
                raise ValueError(f"reference {name!r} is not finite at {where} eV")
        valences = self.valences
        if valences is not None:
            valences = tuple(as_numbers("references.valences", valences, "e"))
            if len(valences) != len(names):
                raise ValueError(f"references.valences = {valences}: expected {len(names)} values")
        least = MIN_THICKNESS[self.unit] if self.min_thickness is None else self.min_thickness
        least = as_number("references.min_thickness", least, at_least=0)
        energies.setflags(write=False)
        spectra.setflags(write=False)
        for field, value in (
            ("names", names),
            ("energies", energies),
            ("spectra", spectra),
            ("valences", valences),
            ("min_thickness", least),
        ):
            object.__setattr__(self, field, value)

    @property
    def shipped(self) -> bool:
        """Whether they are those that come with this package: computed, not measured."""
        return self.source in {edge.source for edge in EDGES.values()}

    def design(self, energies: ArrayLike) -> Array:
        """Design matrix of a fit at given energies.

        Parameters
        ----------
        energies : array_like
            eV, [nE].

        Returns
        -------
        ndarray [nE, K+1]
            Each spectrum, interpolated linearly (never extrapolated), and a constant.

        Raises
        ------
        UndeterminedError
            Fewer energies than unknowns, or the spectra are too alike at these energies to be
            told apart.
        ValueError
            An energy is NaN or outside the references.
        """
        e = np.asarray(energies, dtype=float)
        if e.ndim != 1:
            raise ValueError(f"energies has shape {e.shape}; expected [nE]")
        if not np.all(np.isfinite(e)):
            raise ValueError(f"energies[{int(np.argmin(np.isfinite(e)))}] is not finite (eV)")
        unknowns = len(self.names) + 1
        if e.size < unknowns:
            raise UndeterminedError(
                f"{e.size} {'energy' if e.size == 1 else 'energies'} cannot fit {unknowns} "
                f"unknowns ({', '.join(self.names)} and a constant)"
            )
        low, high = float(self.energies[0]), float(self.energies[-1])
        outside = (e < low - _TOLERANCE) | (e > high + _TOLERANCE)
        if outside.any():
            raise ValueError(
                f"energies {_listing(e[outside])} eV are outside {low:g}..{high:g} eV, the range "
                f"of the references {', '.join(self.names)}"
            )
        columns = [np.interp(e, self.energies, row) for row in self.spectra]
        matrix = np.column_stack([*columns, np.ones_like(e)])
        condition = condition_number(matrix)
        if not condition <= CONDITION_LIMIT:
            raise UndeterminedError(
                f"references {', '.join(self.names)} and a constant cannot be told apart at these "
                f"{e.size} energies: condition number {condition:.3g} is above {CONDITION_LIMIT:g} "
                "(columns normalised)"
            )
        return matrix

    def at(self, energies: ArrayLike) -> dict[str, Any]:
        """The form in which a start document carries references: at a stack's own energies.

        Parameters
        ----------
        energies : array_like
            eV, [nE], in the order of the stack.

        Returns
        -------
        dict
            JSON-safe; `from_document` reads it back. ``digest`` is that of the whole tables.
        """
        return {
            "names": list(self.names),
            "valences": None if self.valences is None else list(self.valences),
            "unit": self.unit,
            "source": self.source,
            "min_thickness": self.min_thickness,
            "digest": self.digest(),
            "energies": [float(e) for e in np.asarray(energies, dtype=float)],
            "spectra": self.design(energies)[:, :-1].T.tolist(),
        }

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> References:
        """References that a start document carries (see `at`)."""
        order = np.argsort(document["energies"])
        valences = document.get("valences")
        return cls(
            names=tuple(document["names"]),
            energies=np.asarray(document["energies"], dtype=float)[order],
            spectra=np.asarray(document["spectra"], dtype=float)[:, order],
            unit=document["unit"],
            source=document["source"],
            valences=None if valences is None else tuple(valences),
            min_thickness=document.get("min_thickness"),
        )

    def digest(self) -> str:
        """SHA-256 (hex) of names, unit, energies and spectra: what makes a map repeatable."""
        h = hashlib.sha256()
        h.update(repr((self.names, self.unit)).encode())
        for array in (self.energies, self.spectra):
            h.update(np.ascontiguousarray(array, dtype="<f8").tobytes())
        return h.hexdigest()


def condition_number(matrix: Array) -> float:
    """Condition number of a matrix whose columns are first scaled to unit length."""
    norm = np.linalg.norm(matrix, axis=0)
    if not np.all(norm > 0):
        return float("inf")
    return float(np.linalg.cond(matrix / norm))


def load_references(edge: str) -> References:
    """Load the shipped references of an edge (1/µm of the Li-rich oxide).

    Computed spectra, for simulation and for a first look: see ``PROVENANCE.md``. Each
    is the absorption coefficient of the oxide with all atoms of the element in one valence,
    continuum and edge step included.

    Parameters
    ----------
    edge : str
        For instance ``"Mn L3"``.

    Raises
    ------
    ValueError
        The edge is unknown, or no reference is shipped for it.
    """
    return _shipped(get_edge(edge).name)


@cache
def _shipped(edge: str) -> References:
    found = get_edge(edge)
    if not found.species:
        shipped = ", ".join(e.name for e in EDGES.values() if e.species)
        raise ValueError(
            f"edge = {edge!r} has no shipped references (shipped: {shipped}); "
            "give your own standards with references_from_csv"
        )
    low, high = found.window_ev
    energies = np.round(np.arange(round((high - low) / 0.05) + 1) * 0.05 + low, 3)
    known = [s.valence for s in found.species if s.valence is not None]
    return References(
        names=tuple(s.name for s in found.species),
        energies=energies,
        spectra=phase_absorption(edge, energies),
        unit="1/µm",
        source=found.source,
        valences=tuple(known) if len(known) == len(found.species) else None,
    )
