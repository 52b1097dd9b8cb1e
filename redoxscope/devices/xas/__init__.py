"""Absorption spectra: currents and counts at points, and the station that measures them."""

from ._quadem import QuadEM
from ._station import XASStation

__all__ = ["QuadEM", "XASStation"]
