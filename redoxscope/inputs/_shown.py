"""What a user gave, in an error."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

__all__ = ["shown"]


def shown(value: Any) -> str:
    """In one line of at most 80 characters."""
    text = str(value) if isinstance(value, (Real, np.number, np.bool_)) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."
