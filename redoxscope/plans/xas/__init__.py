"""Absorption spectra."""

from ._xas import xas

__all__ = ["xas"]
