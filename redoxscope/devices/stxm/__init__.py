"""The scanning transmission X-ray microscope: the whole, made of its parts, and its interlock."""

from ._interlock import Placement
from ._stxm import STXM

__all__ = ["STXM", "Placement"]
