"""Absorption spectra: points in, averaged and normalised spectra with their edges out."""

from ._batch import xas_from_run
from ._draw import draw_xas
from ._reader import XasOptions
from ._snapshot import ModeSpectrum, XasSnapshot

__all__ = ["ModeSpectrum", "XasOptions", "XasSnapshot", "draw_xas", "xas_from_run"]
