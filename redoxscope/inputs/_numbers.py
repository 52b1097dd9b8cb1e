"""Numbers, pairs and lists of them, as users write them.

A number is any of Python's or numpy's, of whatever width, or an array of one; a truth value,
text, a complex number and a quantity that carries a unit of its own are none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Set
from decimal import Decimal
from itertools import islice
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._shown import shown

__all__ = [
    "MAX_VALUES",
    "as_number",
    "as_numbers",
    "as_pair",
    "as_whole",
    "axis_problem",
    "is_number",
    "plain_number",
]

MAX_VALUES = 100_000
"""Longest list taken; a generator without an end must not hang the prompt."""


def is_number(value: Any) -> bool:
    """Whether it is one real number, NaN and infinity included."""
    return plain_number(value) is not None


def plain_number(value: Any) -> float | None:
    """The float that it is, infinite where it is too large; None where it is no single number."""
    if isinstance(value, (bool, np.bool_, np.timedelta64)) or _has_unit(value):
        return None
    if hasattr(type(value), "__array__") and not isinstance(value, np.generic):
        if np.ma.is_masked(value):
            return None
        value = np.asarray(value)  # one value of a dataset, too
        if value.size != 1 or value.dtype.kind not in "iuf":
            return None
        value = value.item()
    elif not isinstance(value, (Real, Decimal)):
        return None
    try:
        return float(value)
    except OverflowError:  # a whole number of more than 308 digits
        return math.inf if value > 0 else -math.inf
    except ValueError:  # Decimal("sNaN")
        return math.nan


def as_number(
    name: str,
    value: Any,
    unit: str = "",
    *,
    above: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
    finite: bool = True,
) -> float:
    """One number as a plain float.

    Parameters
    ----------
    name : str
        What it is, for the error.
    value : object
        What was given.
    unit : str
        Of value and limits.
    above, at_least, at_most : float, optional
        Limits.
    finite : bool
        Whether infinity is refused; NaN always is.

    Raises
    ------
    ValueError
        Names what was given, limit and unit.
    """
    unit = unit and f" {unit}"
    number = plain_number(value)
    if number is None:
        raise ValueError(f"{name} = {shown(value)} must be one number{unit and f' in{unit}'}")
    wanted = []
    if above is not None:
        wanted.append(f"greater than {above:g}{unit}")
    if at_least is not None:
        wanted.append(f"at least {at_least:g}{unit}")
    if at_most is not None:
        wanted.append(f"at most {at_most:g}{unit}")
    good = (
        not math.isnan(number)
        and (not finite or math.isfinite(number))
        and (above is None or number > above)
        and (at_least is None or number >= at_least)
        and (at_most is None or number <= at_most)
    )
    if not good:
        if finite and not math.isfinite(number):
            wanted.append("finite")
        raise ValueError(
            f"{name} = {shown(value)}{unit} must be {' and '.join(wanted) or 'a number'}"
        )
    return number


def as_whole(
    name: str,
    value: Any,
    *,
    at_least: int = 0,
    at_most: int | None = None,
    meaning: str = "",
) -> int:
    """One whole number as a plain int; 6.0 is one. `meaning` ends the error.

    Raises
    ------
    ValueError
        Names what was given and the limits.
    """
    number = plain_number(value)
    whole: int | None = None
    if number is not None and math.isfinite(number) and number == math.floor(number):
        whole = int(value) if isinstance(value, Integral) else int(number)
    if whole is None or whole < at_least or (at_most is not None and whole > at_most):
        limits = f">= {at_least}" if at_most is None else f">= {at_least} and <= {at_most}"
        raise ValueError(
            f"{name} = {shown(value)} must be a whole number {limits}{meaning and f' ({meaning})'}"
        )
    return whole


def as_pair(name: str, value: Any, unit: str = "", *, single: bool = False) -> tuple[Any, Any]:
    """Two values from a list of two; with ``single`` also one number, for both.

    Raises
    ------
    ValueError
        It is something else.
    """
    if single and is_number(value):
        return value, value
    items = _items(value, 3)
    if items is None or len(items) != 2:
        either = "one number or " if single else ""
        raise ValueError(
            f"{name} = {shown(value)} must be {either}a pair (x, y){unit and f' in {unit}'}"
        )
    return items[0], items[1]


def as_numbers(
    name: str, values: Any, unit: str, *, what: str = "numbers", above: float | None = None
) -> list[float]:
    """A list of finite numbers as plain floats: from any sequence, array, column or generator.

    Parameters
    ----------
    name, unit, above
        As for `as_number`.
    what : str
        What the list holds, for the error.

    Raises
    ------
    ValueError
        It is no list, has no order (a set), is too long, or holds something else.
    """
    items = _items(values, MAX_VALUES + 1)
    if items is None:
        raise ValueError(f"{name} = {shown(values)} must be a list of {what} in {unit}")
    if len(items) > MAX_VALUES:
        raise ValueError(f"{name} has more than {MAX_VALUES} values; at most so many can be taken")
    return [as_number(f"{name}[{i}]", item, unit, above=above) for i, item in enumerate(items)]


def axis_problem(values: Any, unit: str) -> tuple[int, str] | None:
    """Why an axis does not rise strictly: index and words, None where it does.

    Parameters
    ----------
    values : array_like of float [n]
    unit : str
    """
    axis = np.asarray(values, dtype=float)
    finite = np.isfinite(axis)
    if not finite.all():
        at = int(np.argmin(finite))
        return at, f"is not finite at index {at}: {axis[at]:g} {unit}"
    steps = np.diff(axis)
    if (steps > 0).all():
        return None
    if (steps < 0).all():
        return 1, (
            f"falls from {axis[0]:g} to {axis[-1]:g} {unit} and must rise: turn it round, and what "
            "belongs to it"
        )
    at = int(np.argmin(steps > 0)) + 1
    if axis[at] == axis[at - 1]:
        return at, f"has {axis[at]:g} {unit} twice, at index {at - 1} and {at}"
    return at, f"must rise, but {axis[at]:g} comes after {axis[at - 1]:g} {unit}, at index {at}"


def _items(values: Any, most: int) -> list[Any] | None:
    """The first ``most`` members of something with an order, else None."""
    if isinstance(values, (str, bytes, bytearray, Mapping, Set)) or _has_unit(values):
        return None
    if hasattr(type(values), "__array__") and not isinstance(values, np.ma.MaskedArray):
        values = np.asarray(values)  # a column of a table, or of a dataset
    if getattr(values, "ndim", 1) != 1 or not isinstance(values, Iterable):
        return None
    return list(islice(values, most))


def _has_unit(value: Any) -> bool:
    """Whether a quantity carries a unit; taking its number alone could be wrong a thousandfold."""
    return any(hasattr(type(value), name) for name in ("unit", "units"))
