"""Absorption of the electrode, shell by shell, in one valence state of each element."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ....data import DENSITY, EDGES, ENERGY_RANGE, FORMULA, continuum, edge_absorption

__all__ = ["METALS", "Shells", "electrode_shells", "yield_of"]

Array = NDArray[np.float64]

METALS = ("Mn", "Co", "Ni")


def _table() -> Array:
    """Energies of the tables (eV): fine where an edge has structure."""
    coarse = np.arange(200.0, 2650.0, 0.5)
    fine = [np.arange(*e.window_ev, 0.05) for e in EDGES.values() if e.species]
    return np.unique(np.round(np.concatenate([coarse, *fine]), 3))


TABLE = _table()
_OXIDE_SHARE = 0.63
"""Volume of the oxide in the solid part of the electrode: 80 % by weight, with 10 % carbon and
10 % polyvinylidene fluoride."""
_BINDER = (("C", 1.8, 0.184), ("C2H2F2", 1.78, 0.186))  # formula, g/cm3, volume
_C_K_EDGE, _F_K_EDGE = 284.2, 696.7  # eV
_L2_SHARE_AT = 0.55  # of the way from the L3 to the L2 maximum lies the valley between them


@dataclass(frozen=True, eq=False)
class Shells:
    """Absorption of a material, and the part of it that empties each shell.

    Attributes
    ----------
    total : ndarray [len(TABLE)]
        Absorption coefficient (1/µm) at the energies of the table.
    parts : mapping of str to ndarray
        The part of each shell (1/µm), e.g. ``"Mn L3"``, ``"O K"``.
    maxima : mapping of str to float
        Energy of the white line of each metal's L3 and L2 edge (eV).
    """

    total: Array
    parts: Mapping[str, Array]
    maxima: Mapping[str, float] = field(default_factory=dict)

    def absorption(self, energies: ArrayLike) -> Array:
        """Absorption coefficient (1/µm), shape of `energies`."""
        return np.asarray(np.interp(np.asarray(energies, float), TABLE, self.total))

    def part(self, shell: str, energies: ArrayLike) -> Array:
        """Part of a shell (1/µm), shape of `energies` (eV)."""
        return np.asarray(np.interp(np.asarray(energies, float), TABLE, self.parts[shell]))


@cache
def yield_of(shell: str) -> float:
    """Radiative yield of a shell, e.g. ``"Mn L3"`` (xraydb)."""
    import xraydb

    element, level = shell.split()
    return float(xraydb.xray_edges(element)[level].fyield)


def _smooth(energies: Array, values: Array) -> Array:
    """A curve without structure, at the energies of the table."""
    return np.asarray(np.interp(TABLE, energies, values))


def _coarse() -> Array:
    # xraydb takes 20 µs per energy; nothing but the K edges of the binder has structure here
    edges = [np.arange(e - 3, e + 3, 0.25) for e in (_C_K_EDGE, _F_K_EDGE)]
    return np.unique(np.concatenate([np.arange(200.0, 2660.0, 5.0), *edges]))


@cache
def _material(formula: str, density: float) -> Array:
    import xraydb

    e = _coarse()
    return _smooth(e, np.asarray(xraydb.material_mu(formula, e, density=density), float) * 1e-4)


@cache
def _element(name: str) -> Array:
    import xraydb

    e = _coarse()
    return _smooth(e, np.asarray(xraydb.mu_elam(name, e), float))


def _core() -> NDArray[np.bool_]:
    return (ENERGY_RANGE[0] <= TABLE) & (ENERGY_RANGE[1] >= TABLE)


@cache
def _phases(edge: str) -> Array:
    return edge_absorption(edge, TABLE[_core()])


@cache
def _continuum() -> Array:
    e = np.linspace(*ENERGY_RANGE, 701)
    return _smooth(e, continuum(e))[_core()]


def _extended(values: Array, element: str) -> Array:
    """A shell's absorption, nothing below the model's range, the element's shape above it."""
    out = np.zeros(len(TABLE))
    out[_core()] = values
    above = ENERGY_RANGE[1] < TABLE
    shape = _element(element)
    out[above] = values[-1] * shape[above] / shape[_core()][-1]
    return out


def _binder_k(element: str, edge_ev: float) -> Array:
    """K part of carbon or fluorine in carbon black and binder (1/µm of electrode)."""
    import xraydb

    out = np.zeros(len(TABLE))
    for formula, density, volume in _BINDER:
        counts = xraydb.chemparse(formula)
        weight = sum(n * xraydb.atomic_mass(el) for el, n in counts.items())
        share = counts.get(element, 0) * xraydb.atomic_mass(element) / weight
        out += volume * density * share * 1e-4 * _element(element)
    return np.where(edge_ev < TABLE, 0.95 * out, 0.0)


@cache
def electrode_shells(fractions: tuple[tuple[str, float], ...]) -> Shells:
    """Absorption of the electrode.

    Parameters
    ----------
    fractions : tuple of (str, float)
        Edge of :mod:`redoxscope.data` and the share of its oxidised phase (0..1).

    Notes
    -----
    The oxide is that of :func:`redoxscope.data.phase_absorption`; within 400..1100 eV the total
    is exactly its mixture plus carbon and binder. Above, the tables of xraydb.
    """
    parts: dict[str, Array] = {}
    maxima: dict[str, float] = {}
    core = _continuum().copy()
    for name, share in fractions:
        edge = EDGES[name]
        oxidised, reduced = _phases(name)
        mixed = share * oxidised + (1 - share) * reduced
        core += mixed
        whole = _OXIDE_SHARE * _extended(mixed, edge.element)
        if edge.element not in METALS:
            parts[name] = whole
            continue
        tops = [s.maximum_ev or 0.0 for s in edge.species]
        l3 = share * tops[0] + (1 - share) * tops[1]
        split = edge.edge_ev[1] - edge.edge_ev[0]
        valley = l3 + _L2_SHARE_AT * split
        at_valley = float(np.interp(valley, TABLE, whole))
        below = np.where(valley > TABLE, whole, at_valley * (TABLE / valley) ** -2.5)
        parts[f"{edge.element} L3"] = np.minimum(below, whole)
        parts[f"{edge.element} L2"] = whole - parts[f"{edge.element} L3"]
        maxima[f"{edge.element} L3"], maxima[f"{edge.element} L2"] = l3, l3 + split
    oxide = _material(FORMULA, DENSITY).copy()
    oxide[_core()] = core
    total = _OXIDE_SHARE * oxide
    for formula, density, volume in _BINDER:
        total = total + volume * _material(formula, density)
    parts["C K"] = _binder_k("C", _C_K_EDGE)
    parts["F K"] = _binder_k("F", _F_K_EDGE)
    return Shells(total, parts, maxima)
