"""Ptychography: blocks of overlapping frames, at one energy after the other."""

from ._ptychography import ptychography

__all__ = ["ptychography"]
