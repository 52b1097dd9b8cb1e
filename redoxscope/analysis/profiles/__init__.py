"""How far a change has gone into particles: profiles from the edge, diffusion or core and shell."""

from ._types import (
    CORE_SHELL,
    DIFFUSION,
    Fit,
    Fits,
    LeftOut,
    Outline,
    Outlines,
    ParticleFits,
    Profile,
)

__all__ = [
    "CORE_SHELL",
    "DIFFUSION",
    "Fit",
    "Fits",
    "LeftOut",
    "Outline",
    "Outlines",
    "ParticleFits",
    "Profile",
]
