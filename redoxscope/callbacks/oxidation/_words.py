"""Numbers of things, and energies, in words."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["listed", "several"]


def several(number: int, one: str, more: str = "") -> str:
    """``1 line``, ``5 lines``."""
    return f"{number} {one if number == 1 else more or one + 's'}"


def listed(energies: NDArray[np.float64]) -> str:
    """``641.8, 643.2 eV``; of many the first two and the last."""
    values = [f"{e:g}" for e in np.sort(energies)]
    if len(values) > 4:
        return f"{values[0]}, {values[1]} … {values[-1]} eV"
    return ", ".join(values) + " eV"
