"""Absorption coefficient of the Li-rich oxide, phase by phase.

The tables are atomic: a sharp step at each edge and no white line. For each edge that
:mod:`redoxscope.data` describes, the tabulated step is therefore taken out (the element's
absorption below the edge continued as a power law of energy) and put back, smoothed and at the
energy it has in the oxide, together with the white lines. So nothing is counted twice, and far
from an edge the sum is the tabulated value.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from math import erf

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._edges import EDGES, Edge, Species, get_edge

__all__ = ["DENSITY", "ENERGY_RANGE", "FORMULA", "continuum", "edge_absorption", "phase_absorption"]

FORMULA = "Li1.18Ni0.21Mn0.53Co0.08O2"
DENSITY = 4.2  # g/cm3, assumed

Array = NDArray[np.float64]

#: Energies the absorption model covers (eV).
ENERGY_RANGE = (400.0, 1100.0)
_FIT = 40.0  # eV, length of the pre- and post-edge fits
# eV kept clear below and above the tabulated edges; the tables overshoot up to 20 eV above L2
_GUARD = (5.0, 25.0)
_STEP_SIGMA = 1.0  # eV, width of an edge step in the oxide

_erf = np.vectorize(erf, otypes=[float])


def _check(energies: ArrayLike) -> Array:
    e = np.atleast_1d(np.asarray(energies, dtype=float))
    if not (np.all(e >= ENERGY_RANGE[0]) and np.all(e <= ENERGY_RANGE[1])):  # NaN fails too
        worst = e[~((e >= ENERGY_RANGE[0]) & (e <= ENERGY_RANGE[1]))][0]
        raise ValueError(
            f"energy = {worst:g} eV is outside {ENERGY_RANGE[0]:g}..{ENERGY_RANGE[1]:g} eV, the "
            "range of the absorption model"
        )
    return e


def _xraydb_mu(energies: Array) -> Array:
    import xraydb  # a second to import, and needless for a user's own references

    if not energies.size:
        return np.empty(0)
    mu = xraydb.material_mu(FORMULA, energies, density=DENSITY)  # 1/cm
    return np.asarray(mu, dtype=float) * 1e-4


def _element_mu(name: str, energies: Array) -> Array:
    """What the element of an edge gives to the tabulated absorption (1/µm)."""
    import xraydb

    if not energies.size:
        return np.empty(0)
    element = EDGES[name].element
    counts = xraydb.chemparse(FORMULA)
    total = sum(n * xraydb.atomic_mass(el) for el, n in counts.items())
    share = counts[element] * xraydb.atomic_mass(element) / total
    return np.asarray(xraydb.mu_elam(element, energies), dtype=float) * share * DENSITY * 1e-4


def _power_law(start: float, energies: Array, mu: Array) -> Array:
    """Coefficients ``log a, p`` of ``a * E**p`` through `mu`, exact at `start`."""
    p = float(np.polyfit(np.log(energies), np.log(mu), 1)[0])
    return np.array([np.log(np.interp(start, energies, mu)) - p * np.log(start), p])


@cache
def _pre_law(name: str) -> Array:
    end = EDGES[name].edge_ev[0] - _GUARD[0]
    e = np.linspace(end - _FIT, end, 20)
    return _power_law(end, e, _element_mu(name, e))


@cache
def _jump_law(name: str) -> Array:
    start = EDGES[name].edge_ev[-1] + _GUARD[1]
    e = np.linspace(start, start + _FIT, 20)
    return _power_law(start, e, _element_mu(name, e) - _below(name, e))


def _below(name: str, energies: Array) -> Array:
    """The element's absorption below its edge, continued above it (1/µm)."""
    a, p = _pre_law(name)
    return np.asarray(np.exp(a + p * np.log(energies)))


def _jump(name: str, energies: Array) -> Array:
    """Height of the edge step (1/µm): tabulated beyond the edge, continued down to it."""
    a, p = _jump_law(name)
    out = np.asarray(np.exp(a + p * np.log(energies)))
    far = energies > EDGES[name].edge_ev[-1] + _GUARD[1]
    out[far] = _element_mu(name, energies[far]) - _below(name, energies[far])
    return np.asarray(out, dtype=float)


def _shipped() -> list[Edge]:
    return [e for e in EDGES.values() if e.species]


def continuum(energies: ArrayLike) -> Array:
    """Absorption without the edges that have references (1/µm), shape [n].

    Parameters
    ----------
    energies : array_like
        eV, within 400..1100.

    Raises
    ------
    ValueError
        An energy is NaN or outside the range.

    Notes
    -----
    xraydb (Elam tables), Li1.18Ni0.21Mn0.53Co0.08O2 at an assumed 4.2 g/cm3, less the O K and
    the Mn, Co and Ni L2,3 steps.
    """
    e = _check(energies)
    out = _xraydb_mu(e)
    for edge in _shipped():
        above = e > edge.edge_ev[0] - _GUARD[0]
        out[above] += _below(edge.name, e[above]) - _element_mu(edge.name, e[above])
    return out


@cache
def _curve(file: str) -> tuple[Array, Array]:
    path = resources.files(__package__).joinpath("spectra", file)
    with path.open("r", encoding="utf-8") as f:
        table = np.loadtxt(f, delimiter=",")
    return table[:, 0], table[:, 1]


def _line(file: str, relative: Array) -> Array:
    """A computed curve, continued outside its range as the tail of a Lorentzian."""
    x, y = _curve(file)
    out = np.interp(relative, x, y)
    for end, outside in ((0, relative < x[0]), (-1, relative > x[-1])):
        out[outside] = y[end] * (x[end] / relative[outside]) ** 2
    return out


def _smooth_step(energies: Array, centre: float) -> Array:
    return np.asarray(0.5 * (1 + _erf((energies - centre) / (np.sqrt(2) * _STEP_SIGMA))))


def _species(edge: Edge, species: Species, energies: Array) -> Array:
    jump = _jump(edge.name, energies)
    if species.curve is None or species.maximum_ev is None:
        out = jump * _smooth_step(energies, species.step_ev)
        for centre, sigma, height in species.peaks:
            out += height * np.exp(-0.5 * ((energies - centre) / sigma) ** 2)
        return np.asarray(out)
    l3 = species.maximum_ev + species.step_ev
    l2 = l3 + edge.edge_ev[1] - edge.edge_ev[0]

    def step(e: Array) -> Array:  # 2:1, the numbers of 2p3/2 and 2p1/2 electrons
        return (2 * _smooth_step(e, l3) + _smooth_step(e, l2)) / 3

    top = np.array([species.maximum_ev])
    height = edge.peak_per_um - float((_jump(edge.name, top) * step(top))[0])
    return jump * step(energies) + height * _line(species.curve, energies - species.maximum_ev)


def edge_absorption(edge: str, energies: ArrayLike) -> Array:
    """What an edge adds to the continuum in each pure phase (1/µm), shape [K, n].

    Parameters
    ----------
    edge : str
        An edge with shipped references.
    energies : array_like
        eV.

    Raises
    ------
    ValueError
        Unknown edge, one without shipped references, or an energy out of range.
    """
    found = get_edge(edge)
    if not found.species:
        raise ValueError(
            f"edge = {edge!r} has no shipped references; "
            f"shipped: {', '.join(e.name for e in _shipped())}"
        )
    e = _check(energies)
    return np.stack([_species(found, s, e) for s in found.species])


def phase_absorption(edge: str, energies: ArrayLike) -> Array:
    """Absorption coefficient of the oxide in each pure phase of an edge (1/µm), shape [K, n].

    The other edges stand at the mean of their phases, which differ only within their own
    near-edge structure.

    Raises
    ------
    ValueError
        As :func:`edge_absorption`.
    """
    e = _check(energies)
    own = edge_absorption(edge, e)
    other = [edge_absorption(o.name, e).mean(axis=0) for o in _shipped() if o.name != edge]
    return np.asarray(own + continuum(e) + np.sum(other, axis=0))
