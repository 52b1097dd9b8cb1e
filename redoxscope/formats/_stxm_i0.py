"""A table of I0: energies, and counts per pixel without a sample."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ._errors import FormatError
from ._stxm import ELECTRONVOLTS, LEAST_EV, counts_per_second
from ._stxm_hdf5 import SECONDS
from ._table import Table, read_table

__all__ = ["I0Table", "read_i0_table"]

Array = NDArray[np.float64]
BRACKETS = re.compile(r"[(\[]\s*([^)\]]*?)\s*[)\]]\s*$")
ENERGY = re.compile(r"energ|^\s*e\b|(?<![a-z])k?ev\b", re.I)
SIGMA = re.compile(r"(?<![a-z])(sigma|σ|err|std|stdev|standard.?dev|uncertain)", re.I)
DWELL = re.compile(r"^\s*(dwell|count(ing)?.?time|integration|exposure)", re.I)
TIME = re.compile(r"time|date|elapsed", re.I)
RATE = re.compile(r"(?<![a-z])rate(?![a-z])|(?<![a-z])per.?s(ec|econd)?(?![a-z])|/\s*s", re.I)
NUMBER = re.compile(r"^\s*(point|index|row|nr|no|number|#)(?![a-z])", re.I)
COUNTS = re.compile(r"^\s*(i[_ ]?0|izero|counts?|cts)(?![a-z0-9])", re.I)
"""What columns are called: SIGMA before ENERGY, RATE before TIME."""
CURRENTS = ("v", "mv", "uv", "a", "ma", "ua", "na", "pa")


@dataclass(frozen=True)
class I0Table:
    """What a table says of the beam without a sample.

    Attributes
    ----------
    energies : numpy.ndarray [n]
        eV.
    values, sigma : numpy.ndarray [n]
        Counts per pixel, or per s where ``per_second``, and their standard deviation.
    per_second : bool
        Else they are of the stack's dwell.
    """

    energies: Array
    values: Array
    sigma: Array
    per_second: bool


def read_i0_table(path: str | os.PathLike[str]) -> I0Table:
    """Read I0 from a table with named columns, units in their names.

    A column of energies (``energy_eV``, ``Energy (keV)``), and one of counts (``counts``) or of a
    rate (``I0 (Hz)``). ``dwell_s`` or ``dwell (ms)`` says how long was counted, ``sigma`` how large
    the standard deviation is; that of counts is their root.

    Raises
    ------
    FormatError
        It is no table, lacks a column, or has several that may be it, has a unit that is none of
        these, rates whose sigma follows from nothing, or values that are no counts above zero.
        Names file and column.
    """
    table = read_table(path)
    name = Path(path).name
    found = _columns(name, list(table.columns))
    numbers = {kind: _positive(name, table, column) for kind, column in found.items()}
    unit = _unit(found["energy"], ELECTRONVOLTS)
    if unit not in ELECTRONVOLTS:
        raise FormatError(f"{name}: column {found['energy']!r} is in {unit!r}, not in eV")
    energies = numbers["energy"] * ELECTRONVOLTS[unit]
    if energies.min() < LEAST_EV:
        raise FormatError(
            f"{name}: column {found['energy']!r} begins at {energies.min():g} eV; it must be above "
            f"{LEAST_EV:g} eV"
        )
    unit = _unit(found["counts"], CURRENTS, counts=True)
    rate = counts_per_second(unit)
    if rate is None:
        raise FormatError(
            f"{name}: column {found['counts']!r} is in {unit!r}, which are neither counts nor a "
            "rate of them"
        )
    if RATE.search(found["counts"]) and not rate:
        raise FormatError(
            f"{name}: column {found['counts']!r} is called a rate, but not in which unit: name it "
            "as in: I0 (Hz)"
        )
    if "sigma" in found:
        unit = _unit(found["sigma"], CURRENTS, counts=True)
        if unit and counts_per_second(unit) != rate:
            raise FormatError(
                f"{name}: column {found['sigma']!r} is in {unit!r}, and not in the unit of "
                f"{found['counts']!r}"
            )
    values, sigma = numbers["counts"] * (rate or 1.0), numbers.get("sigma")
    dwell = _seconds(name, found["dwell"], numbers["dwell"]) if "dwell" in found else None
    if sigma is not None:
        sigma = sigma * (rate or 1.0)
    elif rate and dwell is None:
        raise FormatError(
            f"{name}: column {found['counts']!r} is a rate, and neither a column 'dwell_s' nor "
            "'sigma' says how sure it is"
        )
    else:
        sigma = np.sqrt(values / dwell) if rate and dwell is not None else np.sqrt(values)
    if not rate and dwell is not None:
        values, sigma = values / dwell, sigma / dwell
    return I0Table(energies, values, sigma, bool(rate) or dwell is not None)


def _columns(name: str, columns: list[str]) -> dict[str, str]:
    """The columns that are used, by what they are."""
    kinds: dict[str, list[str]] = {kind: [] for kind in ("energy", "counts", "sigma", "dwell")}
    times = []
    for column in columns:
        if SIGMA.search(column):
            if not ENERGY.search(column):  # how sure the energy is, is not asked
                kinds["sigma"].append(column)
        elif ENERGY.search(column):
            kinds["energy"].append(column)
        elif DWELL.search(column):
            kinds["dwell"].append(column)
        elif RATE.search(column):
            kinds["counts"].append(column)
        elif TIME.search(column) or _unit(column, SECONDS) in SECONDS:
            times.append(column)
        elif not NUMBER.search(column):
            kinds["counts"].append(column)
    if len(kinds["counts"]) > 1:  # of detectors, currents, positions: that which says so
        kinds["counts"] = [c for c in kinds["counts"] if COUNTS.search(c)] or kinds["counts"]
    for kind, found in kinds.items():
        if not found and kind in ("energy", "counts"):
            raise FormatError(
                f"{name} has no column of {kind}, only {', '.join(map(repr, columns))}: "
                "I0 needs two, as in: energy_eV,counts"
            )
        if len(found) > 1:
            raise FormatError(
                f"{name} has several columns that may be {kind}: {', '.join(map(repr, found))}; "
                "leave one of them"
            )
    if times and not kinds["dwell"] and not counts_per_second(_unit(kinds["counts"][0], (), True)):
        raise FormatError(
            f"{name}: column {times[0]!r} may be how long was counted: name it as in dwell_s, or "
            "leave it out"
        )
    return {kind: found[0] for kind, found in kinds.items() if found}


def _positive(name: str, table: Table, column: str) -> Array:
    values = table.column(column)
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise FormatError(
            f"{name}: column {column!r} has {values[at]:g} in its row {at + 1}; it must be a "
            "number above 0"
        )
    return values


def _unit(column: str, known: object, counts: bool = False) -> str:
    """Unit in the name of a column: in brackets, or a word at its end that is one."""
    if (match := BRACKETS.search(column)) is not None:
        return match[1] if counts else match[1].lower()
    word = re.split(r"[_\s]", column.strip())[-1]
    lower = word.lower()
    is_unit = lower in known or (counts and bool(counts_per_second(word)))  # type: ignore[operator]
    return (word if counts else lower) if is_unit else ""


def _seconds(name: str, column: str, values: Array) -> Array:
    unit = _unit(column, SECONDS) or "s"
    if unit not in SECONDS:
        raise FormatError(f"{name}: column {column!r} is in {unit!r}, no unit of time")
    return values * SECONDS[unit]
