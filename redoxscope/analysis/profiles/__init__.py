"""How far a change has gone into particles: profiles from the edge, diffusion or core and shell."""

from ._fit import Limits, fit_profiles
from ._models import chord, core_shell, diffusion
from ._outlines import outline, outlines
from ._profile import profile
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
    "Limits",
    "Outline",
    "Outlines",
    "ParticleFits",
    "Profile",
    "chord",
    "core_shell",
    "diffusion",
    "fit_profiles",
    "outline",
    "outlines",
    "profile",
]
