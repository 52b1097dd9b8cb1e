"""Numbers as one reads them: times, and values with a prefix of their unit."""

from __future__ import annotations

import math

__all__ = ["duration", "with_prefix"]


def duration(seconds: float) -> str:
    """A time as one reads it: 12.3 s, 4 min 05 s, 2 h 07 min."""
    if not math.isfinite(seconds):
        return "unknown"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def with_prefix(value: float | None, unit: str) -> str:
    """A number with the unit's prefix: 1.23 MGy."""
    if value is None or not math.isfinite(value):
        return "unknown"
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
