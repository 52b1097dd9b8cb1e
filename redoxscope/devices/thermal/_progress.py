"""How far a ramp or a soak is, and how long it takes yet, as the heater knows it now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._watched import Way

__all__ = ["LeftWay"]


@dataclass(frozen=True)
class LeftWay(Way):
    """As `Way`, but what is left is asked for: a ramp that lags takes longer than declared.

    Parameters
    ----------
    left : callable
        Time (s) that it takes yet.
    """

    left: Callable[[], float] = lambda: 0.0

    def report(self, elapsed: float) -> dict[str, Any]:
        left = max(self.left(), 0.0)
        whole = elapsed + left
        share = elapsed / whole if whole > 0 else 1.0
        return {**super().report(elapsed), "fraction": share, "time_remaining": left}
