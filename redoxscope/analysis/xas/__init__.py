"""Absorption spectra: averaged, normalised, compared, with their standard deviations."""

from ._spectrum import Comparison, Spectrum

__all__ = ["Comparison", "Spectrum"]
