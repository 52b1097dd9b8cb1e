"""Refraction of the sample by Kramers-Kronig, from the same spectra that give its absorption.

Tabulated scattering factors are those of free atoms: no white line, and a step where the oxide
has none. At the Mn L3 line of the oxide they miss the refraction by more than its size. So the
imaginary part is built from the model's own absorption within its range and from the tables
outside, and the real part follows from it.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from ....data import DENSITY, EDGES, ENERGY_RANGE, FORMULA, continuum, edge_absorption
from ....optics import HC_EV_NM

__all__ = ["absorption", "refraction"]

Array = NDArray[np.float64]

_R0_NM = 2.8179403205e-6  # classical electron radius (nm), CODATA 2022
_STEP = 2e-4  # of ln E: 0.13 eV at 640 eV
_LOW, _HIGH = 12.0, 4e5  # eV, what the tables cover


def absorption(part: str, energies: Array) -> Array:
    """Absorption coefficient (1/µm), shape [n].

    Parameters
    ----------
    part : str
        ``"total"``, the oxide with each edge fully oxidised; or the name of an edge, what it
        absorbs more when oxidised than when reduced.
    energies : ndarray
        eV.
    """
    if part != "total":
        phases = edge_absorption(part, energies)
        return np.asarray(phases[0] - phases[-1])
    shipped = [name for name, edge in EDGES.items() if edge.species]
    return continuum(energies) + sum(edge_absorption(name, energies)[0] for name in shipped)


@cache
def _density() -> float:
    """Formula units per nm³."""
    import xraydb  # a second to import

    mass = sum(n * xraydb.atomic_mass(el) for el, n in xraydb.chemparse(FORMULA).items())
    return float(DENSITY * 6.02214076e23 / mass * 1e-21)


def _unit(energies: Array) -> Array:
    """β over f2, and δ over f1 (no unit): r0 λ² n / 2π."""
    return np.asarray(_R0_NM * (HC_EV_NM / energies) ** 2 * _density() / (2 * np.pi))


def _f2(part: str, energies: Array) -> Array:
    """Imaginary scattering factor of a formula unit (electrons)."""
    import xraydb

    inside = (energies > ENERGY_RANGE[0]) & (energies < ENERGY_RANGE[1])
    out = np.zeros_like(energies)
    mu = absorption(part, energies[inside])  # 1/µm
    wavelength = HC_EV_NM / energies[inside]  # nm
    out[inside] = mu * 1e-3 * wavelength / (4 * np.pi) / _unit(energies[inside])
    if part == "total":
        for element, n in xraydb.chemparse(FORMULA).items():
            # the tables are coarse and cost much per energy: lines between 1000 points
            grid = np.geomspace(_LOW, _HIGH, 1000)
            f2 = np.interp(
                np.log(energies[~inside]), np.log(grid), xraydb.f2_chantler(element, grid)
            )
            out[~inside] += n * f2
    return out


@cache
def _f1(part: str) -> tuple[Array, Array]:
    """Ln E and the real scattering factor (electrons) there, over the model's range.

    f1(E) = Z* + 2/π P∫ ε f2(ε) / (E² − ε²) dε. In u = ln ε the integral is a convolution with
    1/(exp(2w) − 1), w = ln E − u; taken half way between the points of a uniform grid, the
    principal value needs nothing more.
    """
    import xraydb

    count = int(np.log(_HIGH / _LOW) / _STEP)
    u = np.log(_LOW) + _STEP * np.arange(count)
    w = _STEP * (np.arange(-count, count) + 0.5)
    kernel = 1 / np.expm1(2 * w)
    total = fftconvolve(_f2(part, np.exp(u)), kernel)[count : 2 * count] * _STEP
    at = u + _STEP / 2
    charge = 0.0
    if part == "total":
        for element, n in xraydb.chemparse(FORMULA).items():
            z = xraydb.atomic_number(element)
            charge += n * (z - (z / 82.5) ** 2.37)  # relativistic correction, Henke (1993)
    keep = (at > np.log(ENERGY_RANGE[0])) & (at < np.log(ENERGY_RANGE[1]))
    return at[keep], charge + 2 / np.pi * total[keep]


def refraction(part: str, energies: Array) -> Array:
    """Phase per thickness k δ (rad/µm), shape [n]; the wave is retarded by minus this.

    Parameters
    ----------
    part : str
        As :func:`absorption`.
    energies : ndarray
        eV.
    """
    delta = _unit(energies) * np.interp(np.log(energies), *_f1(part))
    return np.asarray(delta * 2 * np.pi / (HC_EV_NM / energies) * 1e3)
