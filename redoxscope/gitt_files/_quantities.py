"""Numbers with units, as a command line has them."""

from __future__ import annotations

import re

from ..inputs import as_number, printable

__all__ = ["AREA", "CAPACITY", "LENGTH", "MASS", "MOLAR_MASS", "MOLAR_VOLUME", "quantity"]

LENGTH = {"m": 1.0, "cm": 1e-2, "mm": 1e-3, "um": 1e-6, "nm": 1e-9}
MASS = {"kg": 1.0, "g": 1e-3, "mg": 1e-6, "ug": 1e-9}
CAPACITY = {"Ah": 3600.0, "mAh": 3.6, "uAh": 3.6e-3, "C": 1.0}
MOLAR_VOLUME = {"cm3/mol": 1e-6, "m3/mol": 1.0}
MOLAR_MASS = {"g/mol": 1e-3, "kg/mol": 1.0}
AREA = {f"{unit}2": factor**2 for unit, factor in LENGTH.items()}
AREA |= {f"{area}/g": factor * 1e3 for area, factor in tuple(AREA.items())}

_FORM = re.compile(r"\s*(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(?P<unit>\S*)\s*")
_WRITTEN = str.maketrans({"µ": "u", "μ": "u", "²": "2", "³": "3", "^": None})


def quantity(name: str, text: str, units: dict[str, float]) -> tuple[float, str]:
    """A number in SI units and the unit in which it was given.

    Parameters
    ----------
    name : str
        What it is, for the error.
    text : str
        As in ``1.8um``; blanks between do no harm.
    units : dict of str to float
        Units that are taken, and what one is in SI units.

    Raises
    ------
    ValueError
        It is no number with one of these units, or is not positive.
    """
    match = _FORM.fullmatch(text)
    shown = printable(text)
    known = ", ".join(unit.replace("um", "µm").replace("ug", "µg") for unit in units)
    if match is None:
        raise ValueError(f"{name} = {shown!r} must be a number with its unit, one of {known}")
    unit = match["unit"].translate(_WRITTEN)
    if not unit:
        raise ValueError(f"{name} = {shown!r} has no unit; it must have one of {known}")
    if unit not in units:
        raise ValueError(f"{name} = {shown!r}: the unit must be one of {known}")
    number = as_number(name, float(match["number"]), unit, above=0)
    return number * units[unit], unit
