"""Which columns of a cycler's table are time, voltage and current, and in which units."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..formats import FormatError, Table
from ..inputs import printable

__all__ = ["Columns", "find_columns"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Quantity:
    """A quantity: which names mean it, the better ones first, and its units in SI."""

    names: tuple[str, ...]
    units: dict[str, float]
    example: str


_KINDS = {
    "time": _Quantity(
        (r"time|test time|total time|elapsed time|t|seconds|hours|minutes",),
        {"s": 1.0, "sec": 1.0, "seconds": 1.0, "second": 1.0, "ms": 1e-3, "min": 60.0,
         "minutes": 60.0, "h": 3600.0, "hr": 3600.0, "hours": 3600.0},
        "time_s",
    ),
    "voltage": _Quantity(
        (r"ewe", r"<ewe>", r"voltage|volts?|cell voltage|potential|e|u|v", r"ewe-ece|ecell"),
        {"v": 1.0, "volt": 1.0, "volts": 1.0, "mv": 1e-3, "uv": 1e-6},
        "voltage_V",
    ),
    "current": _Quantity(
        (r"<i>", r"current|amps?|amperes|i"),
        {"a": 1.0, "amp": 1.0, "amps": 1.0, "ma": 1e-3, "ua": 1e-6, "na": 1e-9},
        "current_A",
    ),
}  # fmt: skip
# "name/unit", "name (unit)", "name [unit]", "name_unit", or a name that is a unit.
_NAMED = re.compile(r"(?P<name>.+?)\s*(?:/\s*|\(|\[|_|,\s*|\s)(?P<unit>[a-zµμ]+)[)\]]?")


@dataclass(frozen=True)
class Columns:
    """Time, voltage and current.

    Attributes
    ----------
    time, voltage, current : numpy.ndarray of float64 [n]
        s, V, A; without rows in which one of them is lacking.
    names : dict of str to str
        The column of each.
    notes : tuple of str
        What was left out.
    """

    time: Array
    voltage: Array
    current: Array
    names: dict[str, str]
    notes: tuple[str, ...] = ()


def find_columns(table: Table, given: dict[str, str | None]) -> Columns:
    """Find the columns by their names, or take those that are given.

    Parameters
    ----------
    table : Table
    given : dict of str to str or None
        Columns named by the user; the unit, where the name has none, behind a colon: ``I:mA``.

    Raises
    ------
    FormatError
        There is none, there are several, or its unit is not known; says which columns there are.
    """
    found: dict[str, Array] = {}
    names: dict[str, str] = {}
    for kind, quantity in _KINDS.items():
        names[kind], factor = _choose(table, kind, quantity, given.get(kind))
        found[kind] = table.column(names[kind]) * factor
    whole = np.logical_and.reduce([np.isfinite(column) for column in found.values()])
    lacking = int((~whole).sum())
    notes = table.notes
    if lacking:
        notes += (f"{lacking} rows lack time, voltage or current and are left out",)
    kept = {kind: column[whole] for kind, column in found.items()}
    if not whole.any():
        raise FormatError(f"{table.path}: no row has time, voltage and current")
    falls = np.flatnonzero(np.diff(kept["time"]) < 0)
    if falls.size:
        k = int(falls[0])
        raise FormatError(
            f"{table.path}: the time falls from {kept['time'][k]:g} to {kept['time'][k + 1]:g} s "
            f"in row {int(np.flatnonzero(whole)[k + 1]) + 1} of the numbers"
        )
    return Columns(kept["time"], kept["voltage"], kept["current"], names, notes)


def _choose(table: Table, kind: str, quantity: _Quantity, given: str | None) -> tuple[str, float]:
    if given is not None:
        return _given(table, kind, quantity, given)
    for pattern in quantity.names:
        fitting = []
        for name in (*table.columns, *table.text_columns):
            base, unit = _parts(name, quantity)
            if re.fullmatch(pattern, base):
                fitting.append((name, unit))
        if len(fitting) > 1:
            several = ", ".join(repr(printable(name)) for name, _ in fitting)
            raise FormatError(
                f"{table.path}: {several} could each be the {kind}; say which with --{kind}"
            )
        if fitting:
            name, unit = fitting[0]
            table.column(name)
            if unit is None:
                raise FormatError(
                    f"{table.path}: column {printable(name)!r} does not say its unit; give it, "
                    f"as in --{kind} {printable(name)!r}:{quantity.example.rpartition('_')[2]}"
                )
            return name, quantity.units[unit]
    there = ", ".join(repr(printable(name)) for name in (*table.columns, *table.text_columns))
    raise FormatError(
        f"{table.path}: no column is the {kind} (as {quantity.example}); say which with --{kind}. "
        f"It has {there}"
    )


def _given(table: Table, kind: str, quantity: _Quantity, given: str) -> tuple[str, float]:
    name, colon, said = given.rpartition(":")
    if colon and given not in table.columns:
        unit = said.casefold().translate(_MICRO)
        if unit not in quantity.units:
            raise FormatError(
                f"--{kind} {printable(given)!r}: the unit must be one of "
                f"{', '.join(quantity.units)}"
            )
        table.column(name)
        return name, quantity.units[unit]
    table.column(given)
    found = _parts(given, quantity)[1]
    if found is None:
        raise FormatError(
            f"{table.path}: column {printable(given)!r} does not say its unit; give it, as in "
            f"--{kind} {printable(given)!r}:{quantity.example.rpartition('_')[2]}"
        )
    return given, quantity.units[found]


_MICRO = str.maketrans({"µ": "u", "μ": "u"})


def _parts(name: str, quantity: _Quantity) -> tuple[str, str | None]:
    """Name without unit, and the unit; both in small letters."""
    text = name.strip().casefold().translate(_MICRO)
    match = _NAMED.fullmatch(text)
    if match is not None and match["unit"] in quantity.units:
        return match["name"].replace("_", " ").strip(), match["unit"]
    whole = text.replace("_", " ")
    # "Seconds" and "Volts" are units by themselves; of letters alone nobody can tell.
    return whole, whole if len(whole) > 1 and whole in quantity.units else None
