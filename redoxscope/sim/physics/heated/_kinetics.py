"""How fast an electrode changes with temperature: first-order reactions after Arrhenius.

Everything here is a model choice, made so that a charged Li-rich oxide does what is reported of
it: at 100 °C for 5 h lithium moves and nothing structural happens; on the way to 600 °C at
2 °C/min the layered structure gives way to spinel from about 200 °C on and that to rock salt from
about 450 °C on, and oxygen leaves with each of the two.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

__all__ = ["RELAXING", "ROCK_SALT", "SPINEL", "Reaction", "chain"]

_BOLTZMANN = 8.617333e-5  # eV/K
ZERO_C = 273.15  # K
_RAMP = 2.0 / 60.0  # K/s, at which the structural reactions are described


@dataclass(frozen=True)
class Reaction:
    """A first-order reaction.

    Parameters
    ----------
    rate : float
        1/s at `temperature_c`.
    temperature_c : float
    barrier : float
        Activation energy (eV).
    """

    rate: float
    temperature_c: float
    barrier: float

    @classmethod
    def fastest_at(cls, temperature_c: float, barrier: float) -> Reaction:
        """A reaction that is fastest at a temperature where it is heated at 2 °C/min.

        Kissinger, Anal. Chem. 29, 1702 (1957): there the rate is Ea·β/(k·T²), β the ramp.
        """
        kelvin = temperature_c + ZERO_C
        return cls(barrier * _RAMP / (_BOLTZMANN * kelvin**2), temperature_c, barrier)

    def at(self, temperature_c: float) -> float:
        """Rate (1/s) at a temperature."""
        inverse = 1 / (temperature_c + ZERO_C) - 1 / (self.temperature_c + ZERO_C)
        return self.rate * exp(-self.barrier / _BOLTZMANN * inverse)


RELAXING = Reaction(rate=3.0 / 18000.0, temperature_c=100.0, barrier=1.0)
"""Lithium spreads from the bulk to the surface: 95 % after 5 h at 100 °C, 0.6 % after a day at
25 °C."""

SPINEL = Reaction.fastest_at(220.0, 2.0)
ROCK_SALT = Reaction.fastest_at(460.0, 3.0)


def chain(first: float, second: float, k1: float, k2: float, seconds: float) -> tuple[float, float]:
    """What is left of the first and second of three in a row after a time, exactly.

    Parameters
    ----------
    first, second : float
        Shares at the beginning.
    k1, k2 : float
        Rates (1/s) from the first to the second, and from there on.
    seconds : float
    """
    a, b = exp(-k1 * seconds), exp(-k2 * seconds)
    if abs(k1 - k2) * seconds < 1e-9:  # the difference quotient's limit
        grown = first * k1 * seconds * a
    else:
        grown = first * k1 * (b - a) / (k1 - k2)
    return first * a, second * b + grown
