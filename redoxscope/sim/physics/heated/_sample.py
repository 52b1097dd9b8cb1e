"""A charged electrode on a heating stage, from the first minute on."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._checks import finite
from ..rixs import EXCITATION_RANGE, PHASES
from ._kinetics import RELAXING, ROCK_SALT, SPINEL, ZERO_C, chain
from ._probes import electron_yield, fluorescence_yield

__all__ = ["GASES", "ON_STAGE", "HeatedSample"]

Array = NDArray[np.float64]

ON_STAGE = "lmr_charged"
"""Sample of the holder that stands on the heating stage."""

GASES = ("O2", "CO2")
"""What an electrode gives off."""

_METAL_MOL = 5.7e-6  # 0.5 mg of electrode
_PER_MOL = 2.48e4  # mbar L of gas at 25 °C
_O2_TO_SPINEL = 1 / 3  # 3 MO2 = M3O4 + O2, for each metal
_O2_TO_ROCK_SALT = 1 / 6  # 2 M3O4 = 6 MO + O2, for each metal
_CO2_SHARE = 0.02  # carbonate of the surface, for each metal; it goes with the oxygen
_HOTTEST = 2000.0  # °C


class HeatedSample:
    """Charged electrode with a memory of the temperatures that it has had.

    Told the time and the temperature; has no clock and draws nothing at random, so the same
    history gives the same sample. Mild heating moves lithium: metals at the surface are reduced
    and oxygen of the bulk is oxidised. From about 200 °C on it becomes spinel, from about 450 °C
    on rock salt, both with loss of oxygen; nothing comes back on cooling.
    """

    def __init__(self) -> None:
        self._relaxed = 0.0
        self._layered, self._spinel = 1.0, 0.0
        self._temperature = 25.0
        self._seen = lru_cache(8192)(_yields)

    def advance(self, seconds: float, temperature_c: float) -> None:
        """Let time pass at a temperature.

        Parameters
        ----------
        seconds : float
            Of the beamline; any step gives the same as many small ones.
        temperature_c : float

        Raises
        ------
        ValueError
            A value is NaN or out of range.
        """
        finite("heated.seconds", seconds, "s", 0, 1e9)
        finite("heated.temperature", temperature_c, "°C", -ZERO_C, _HOTTEST, open_low=True)
        self._relaxed = 1 - (1 - self._relaxed) * float(
            np.exp(-RELAXING.at(temperature_c) * seconds)
        )
        self._layered, self._spinel = chain(
            self._layered,
            self._spinel,
            SPINEL.at(temperature_c),
            ROCK_SALT.at(temperature_c),
            seconds,
        )
        self._temperature = temperature_c

    def phases(self) -> dict[str, float]:
        """Share of each structure: ``layered``, ``spinel``, ``rock_salt``; and ``relaxed``, how
        much of what mild heating does is done.
        """
        return {
            "layered": self._layered,
            "spinel": self._spinel,
            "rock_salt": max(1 - self._layered - self._spinel, 0.0),
            "relaxed": self._relaxed,
        }

    def parts(self) -> dict[str, float]:
        """Share of each of `redoxscope.sim.physics.rixs.PHASES`, to 0.001; none of them 0."""
        phases = self.phases()
        shares = (
            phases["layered"] * (1 - self._relaxed),
            phases["layered"] * self._relaxed,
            phases["spinel"],
            phases["rock_salt"],
        )
        rounded = zip(PHASES, (round(share, 3) for share in shares), strict=True)
        return {name: share for name, share in rounded if share > 0}

    def yields(self, energy: ArrayLike) -> dict[str, Any]:
        """What two detectors see of it, in electrons for each photon on the sample.

        Parameters
        ----------
        energy : float or array_like
            eV; rounded to 0.01 eV.

        Returns
        -------
        dict
            ``TEY`` (electrons that leave the surface) and ``TFY`` (electrons in a photodiode):
            floats for one energy, else arrays. Times charge and flux (1/s) each is a current (A).

        Raises
        ------
        ValueError
            An energy is NaN or out of range.
        """
        energies = np.round(np.asarray(energy, float), 2)
        low, high = EXCITATION_RANGE
        for one in energies.flat:
            finite("heated.energy", float(one), "eV", low, high)
        parts = self.parts()
        # one energy after another comes again and again, a line once
        each: Callable[..., Array] = self._seen if energies.ndim == 0 else _yields
        of = float(energies) if energies.ndim == 0 else energies
        tey, tfy = np.sum([share * each(name, of) for name, share in parts.items()], axis=0)
        return {"TEY": tey, "TFY": tfy} if energies.ndim else {"TEY": float(tey), "TFY": float(tfy)}

    def gas_rates(self) -> dict[str, float]:
        """What it gives off now (mbar L/s at 25 °C), by gas."""
        to_spinel = SPINEL.at(self._temperature) * self._layered
        to_rock_salt = ROCK_SALT.at(self._temperature) * self._spinel
        amount = _METAL_MOL * _PER_MOL
        return {
            "O2": amount * (_O2_TO_SPINEL * to_spinel + _O2_TO_ROCK_SALT * to_rock_salt),
            "CO2": amount * _CO2_SHARE * to_spinel,
        }


def _yields(phase: str, energies: Any) -> Array:
    return np.stack([electron_yield(phase, energies), fluorescence_yield(phase, energies)])
