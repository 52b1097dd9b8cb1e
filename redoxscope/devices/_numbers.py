"""Checks of what is set, by the contract's rule of what a number is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..inputs import plain_number

__all__ = ["finite", "flag", "number", "positive", "seconds", "zero_or_more"]


def number(name: str, value: Any, unit: str = "") -> float:
    """A plain float from any real number, numpy's and arrays of one element included.

    Raises
    ------
    ValueError
        No number: text, None, True or False, complex, an array of several. Names ``name``, the
        value and the unit. (NaN is a number; it is for limits to refuse it.)
    """
    try:
        return _plain(value)
    except ValueError as exc:
        raise ValueError(f"{name} = {value!r}{unit and ' '}{unit} {exc}") from exc


def _plain(value: Any) -> float:
    plain = plain_number(value)
    if plain is None:
        raise ValueError("is not one number")
    return plain


def finite(value: Any) -> float:
    """Check of a `Setting`: any finite number."""
    if not math.isfinite(got := _plain(value)):
        raise ValueError("must be finite")
    return got


def positive(value: Any) -> float:
    """Check of a `Setting`: a finite number above 0."""
    if not (got := finite(value)) > 0:
        raise ValueError("must be greater than 0")
    return got


def zero_or_more(value: Any) -> float:
    """Check of a `Setting`: a finite number, 0 or above."""
    if not (got := finite(value)) >= 0:
        raise ValueError("must not be negative")
    return got


def flag(value: Any) -> bool:
    """Check of a `Setting`: True or False, or 1 or 0 as a PV would say it."""
    if not (isinstance(value, (bool, np.bool_)) or (_plain(value) in (0.0, 1.0))):
        raise ValueError("must be True or False")
    return bool(value)


def seconds(name: str, value: Any) -> float:
    """A time limit (s): a number, infinite for none, but not NaN, which would never be over.

    Raises
    ------
    ValueError
    """
    limit = number(name, value, "s")
    if math.isnan(limit):
        raise ValueError(f"{name} = {value!r} s is not a time")
    return limit
