"""Values of a beamline file: numbers with units, text, PV names."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any

from pydantic import BeforeValidator

from ..inputs import as_number, as_whole, proxy_address

__all__ = [
    "PV",
    "Micrometres",
    "Prefix",
    "ProxyAddress",
    "Text",
    "Truth",
    "port_below",
    "quantity",
    "text",
]

# The validators' errors start with " = ": the loader puts the key's whole path before them.


def _number(
    value: Any, unit: str, above: float | None = None, at_least: float | None = None
) -> float:
    try:
        return as_number("", value, unit, above=above, at_least=at_least)
    except ValueError as exc:
        if isinstance(value, str) and _is_float(value):
            raise ValueError(
                f"{exc}. To YAML this is text: numbers stand without quotes, and 1e3 is written "
                "1.0e+3 or 1000"
            ) from None
        raise _yes(exc, value) from None


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _yes(exc: ValueError, value: Any) -> ValueError:
    if isinstance(value, bool):
        return ValueError(f"{exc}. YAML takes yes, no, on and off for true and false: quote names")
    return exc


def _whole(value: Any, low: int, high: int) -> int:
    return as_whole("", value, at_least=low, at_most=high)


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f" = {value!r} must be true or false")
    return value


def text(value: Any, *, empty: bool = False) -> str:
    """Text that is not empty, unless it may be."""
    if not isinstance(value, str):
        raise _yes(ValueError(f" = {value!r} must be text, in quotes"), value)
    if not (value.strip() or (empty and not value)):
        raise ValueError(f" = {value!r} must not be empty")
    return value


def _pv(value: Any, *, empty: bool = False) -> str:
    name = text(value, empty=empty)
    if re.search(r"[\s\x00-\x1f\x7f]", name):
        raise ValueError(f" = {name!r}: a PV name has no blanks")
    return name


def quantity(
    unit: str, above: float | None = None, at_least: float | None = None
) -> BeforeValidator:
    """A number in a unit."""
    return BeforeValidator(partial(_number, unit=unit, above=above, at_least=at_least))


Micrometres = Annotated[float, quantity("µm", above=0)]
Text = Annotated[str, BeforeValidator(text)]
Truth = Annotated[bool, BeforeValidator(_truth)]
Prefix = Annotated[str, BeforeValidator(partial(_pv, empty=True))]
PV = Annotated[str, BeforeValidator(_pv)]
ProxyAddress = Annotated[str, BeforeValidator(partial(proxy_address, ""))]


def port_below(high: int) -> BeforeValidator:
    """A port, at most so high."""
    return BeforeValidator(partial(_whole, low=1, high=high))
