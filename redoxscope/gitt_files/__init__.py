"""Files of a cycler: diffusion coefficients from titration pulses, with pictures and a summary."""

from ._process import process

__all__ = ["process"]
