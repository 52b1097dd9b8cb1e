"""How far an energy scale is off, from a spectrum whose true energies are known."""

from ._shift import EnergyShift, energy_shift
from ._spectrum import mean_spectrum

__all__ = ["EnergyShift", "energy_shift", "mean_spectrum"]
