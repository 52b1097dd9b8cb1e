"""One check for numbers a user sets."""

from __future__ import annotations

import math


def finite(
    label: str, value: float, unit: str, low: float, high: float, *, open_low: bool = False
) -> None:
    """Raise ValueError unless ``low <= value <= high`` (``low < value`` with `open_low`)."""
    inside = (value > low if open_low else value >= low) and value <= high
    if not (math.isfinite(value) and inside):  # NaN fails every comparison
        sign = "above" if open_low else "at least"
        raise ValueError(
            f"{label} = {value:g} {unit} must be {sign} {low:g} and at most {high:g} {unit}"
        )
