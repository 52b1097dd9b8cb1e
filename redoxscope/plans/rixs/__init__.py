"""RIXS maps and emission spectra."""

from ._rixs import rixs_map, xes

__all__ = ["rixs_map", "xes"]
