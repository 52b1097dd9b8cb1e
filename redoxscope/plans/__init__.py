"""Bluesky plans."""

from ._energy_stack import check_energies, energy_stack
from ._protocols import LineScanner, Microscope

__all__ = ["LineScanner", "Microscope", "check_energies", "energy_stack"]
