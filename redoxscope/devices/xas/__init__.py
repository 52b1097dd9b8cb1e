"""Absorption spectra: currents and counts at points, and the station that measures them."""

from ._quadem import QuadEM
from ._station import XASStation
from ._sweep import EnergySweep, SweepLine

__all__ = ["EnergySweep", "QuadEM", "SweepLine", "XASStation"]
