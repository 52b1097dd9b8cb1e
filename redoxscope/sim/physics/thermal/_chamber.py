"""The vacuum around a heated sample: what comes off, and what a gas analyser sees of it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

__all__ = ["GASES", "Chamber", "Outgassing"]

GASES = ("H2", "CH4", "H2O", "N2", "CO", "O2", "Ar", "CO2", "HF")

_BOLTZMANN_EV = 8.617333e-5
_ATTEMPTS = 1e13
"""Per s: first-order desorption (P. A. Redhead, Vacuum 12 (1962) 203)."""
_BINDING_EV = (1.05, 1.15, 1.25, 1.35, 1.45, 1.55, 1.65)
_EACH = 0.02
"""mbar l of each binding energy on a stage that was never hot."""
_OF_WALLS = {"H2O": 0.7, "H2": 0.15, "CO": 0.1, "CO2": 0.05}
_AT_REST = {"H2": 0.75, "H2O": 0.12, "CO": 0.08, "CH4": 0.03, "CO2": 0.02}
_OF_AIR = {"N2": 0.78, "O2": 0.21, "Ar": 0.01}
_REST_MBAR = 2e-9
_PUMPS_L_S = 300.0
_NOISE = 0.02


class Outgassing:
    """What a stage gives off as it gets hot: every binding energy in its turn, until it is gone."""

    def __init__(self) -> None:
        self._left = np.full(len(_BINDING_EV), _EACH)

    def advance(self, seconds: float, temperature_c: float) -> float:
        """Let time pass at a temperature (degC); mean flow of gas (mbar l/s)."""
        if seconds <= 0:
            return 0.0
        thermal = _BOLTZMANN_EV * (temperature_c + 273.15)
        rates = _ATTEMPTS * np.exp(-np.asarray(_BINDING_EV) / thermal)
        left = self._left * np.exp(-rates * seconds)
        gone = float((self._left - left).sum())
        self._left = left
        return gone / seconds


class Chamber:
    """Partial pressures (mbar) of what flows into a pumped chamber.

    Parameters
    ----------
    seed : int
        Of the noise.

    Attributes
    ----------
    leak : float
        Air that leaks in, as a multiple of the pressure at rest.
    """

    def __init__(self, seed: int = 1):
        self.leak = 0.0
        self.partial_mbar = dict.fromkeys(GASES, 0.0)
        self._noise = np.random.default_rng(seed)
        self.update(0.0, {})

    @property
    def pressure_mbar(self) -> float:
        """What a gauge shows."""
        return math.fsum(self.partial_mbar.values())

    def update(self, walls: float, sample: Mapping[str, float]) -> None:
        """Take flows (mbar l/s): from warm walls in all, and from the sample by gas."""
        for gas in GASES:
            flow = walls * _OF_WALLS.get(gas, 0.0) + sample.get(gas, 0.0)
            air = self.leak * _REST_MBAR * _OF_AIR.get(gas, 0.0)
            rest = _REST_MBAR * _AT_REST.get(gas, 1e-4)
            noise = 1 + _NOISE * self._noise.standard_normal()
            self.partial_mbar[gas] = (rest + air + flow / _PUMPS_L_S) * float(noise)
