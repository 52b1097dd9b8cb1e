"""What electrons and fluorescence tell of an electrode: its surface and its bulk."""

from __future__ import annotations

from functools import cache
from math import radians, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from ..rixs import PHASES, Electrode

__all__ = ["electron_yield", "fluorescence_yield"]

Array = NDArray[np.float64]

_ESCAPE = 0.005  # µm, depth from which electrons come: about 5 nm
_LAYER = 0.010  # µm, depth over which the reduction of the surface falls to 1/e: about 10 nm
_SINE = sin(radians(30.0))  # of the angle between beam and surface
_PER_ELECTRON = 700.0  # eV absorbed in the escape depth for each electron that leaves
_PER_PAIR = 3.66  # eV for each electron in a silicon diode
_SEEN = 0.01  # share of the full solid angle that the diode sees

_RELAXED_SURFACE = {"Mn L3": 0.24, "Co L3": 0.30, "Ni L3": 0.45}
"""By how much heating to 100 °C lowers the oxidised share of a metal at the very surface."""


@cache
def _surface(phase: str) -> Electrode:
    """The electrode that electrons see: its surface, the deeper the fainter."""
    bulk = PHASES[phase]
    if phase != "lmr_heated":
        return bulk
    # mean of exp(-z/layer) with weights exp(-z/escape)
    seen = 1 / (1 + _ESCAPE / _LAYER)
    shares = tuple(
        (e, max(s - seen * _RELAXED_SURFACE.get(e, 0.0), 0.0)) for e, s in bulk.fractions
    )
    return Electrode(shares, bulk.feature)


def electron_yield(phase: str, energies: ArrayLike) -> Array:
    """Electrons that leave the surface for each photon (TEY).

    With saturation where light does not go much deeper than electrons come from: Nakajima, Stöhr
    and Idzerda, Phys. Rev. B 59, 6421 (1999).

    Parameters
    ----------
    phase : str
        Of `redoxscope.sim.physics.rixs.PHASES`.
    energies : array_like
        eV.
    """
    energies = np.asarray(energies, float)
    within = _ESCAPE * _surface(phase).shells.absorption(energies) / _SINE
    return np.asarray(energies / _PER_ELECTRON * within / (1 + within))


def fluorescence_yield(phase: str, energies: ArrayLike) -> Array:
    """Electrons in a photodiode for each photon on the sample (TFY).

    Every photon that leaves the thick, flat electrode counts with its energy; light in and out
    at 45°, so strong edges are flattened by self-absorption as they are in the spectrometer's
    model. The layer at the surface is left out: it is a few per cent of the depth.
    """
    energies = np.asarray(energies, float)
    electrode = PHASES[phase]
    shells = electrode.shells
    inside = shells.absorption(energies)
    out = np.zeros(energies.shape)
    for centre, sigma, area in electrode.peaks(energies):
        # what is emitted cannot have more energy than what came in
        possible = np.where(centre == energies, 1.0, ndtr((energies - centre) / sigma))
        out += possible * area * centre / (inside + shells.absorption(centre))
    return np.asarray(_SEEN / _PER_PAIR * out)
