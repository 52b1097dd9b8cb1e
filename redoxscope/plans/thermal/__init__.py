"""Heating: ramps, soaks, and experiments before and after them."""

from ._ramp_and_soak import ramp_and_soak

__all__ = ["ramp_and_soak"]
