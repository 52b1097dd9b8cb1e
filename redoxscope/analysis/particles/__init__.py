"""Particles on a coarse map: where they are, how large and thick, and how sure that is."""

from ._find import Particle, absorbance, find_particles

__all__ = ["Particle", "absorbance", "find_particles"]
