"""What a user gave, in an error."""

from __future__ import annotations

from numbers import Real
from typing import Any
from unicodedata import category

import numpy as np

__all__ = ["printable", "shown"]


def shown(value: Any) -> str:
    """In one line of at most 80 characters."""
    text = str(value) if isinstance(value, (Real, np.number, np.bool_)) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str, *, keep: str = "") -> str:
    """Text from elsewhere without what a terminal would obey or a font does not have.

    Spaces of every width stay: thousands are set apart by a thin one.

    Parameters
    ----------
    text : str
    keep : str
        Characters that stay all the same, as line breaks.
    """
    return "".join(
        c if c.isprintable() or c in keep or category(c) == "Zs" else "\N{REPLACEMENT CHARACTER}"
        for c in text
    )
