"""Absorption spectra: currents and counts at points, and the station that measures them."""

from ._flown import Flown
from ._quadem import QuadEM
from ._station import XASStation
from ._sweep import EnergySweep, FlownLine, SweepLine

__all__ = ["EnergySweep", "Flown", "FlownLine", "QuadEM", "SweepLine", "XASStation"]
