"""From a table to a spectrum: which column is what."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..analysis.xas import Spectrum
from ..formats import FormatError, Table, read_table
from ..inputs import printable

__all__ = ["Measured", "names_of", "read_spectra"]

Array = NDArray[np.float64]

_ENERGY = re.compile(r"(photon[ _]*)?(energy|energies|mono|ev|kev)\b|^e$|energy|^ev$|^kev$", re.I)
_KEV = re.compile(r"\bkev\b|_kev$", re.I)
_EV = re.compile(r"(?<![kK])eV(?![A-Za-z])|(?<![A-Za-z])ev(?![A-Za-z])|(?<![A-Za-z])EV(?![A-Za-z])")
LEAST_EV = 20.0
"""An axis that ends below is in keV, or no energy."""
MOST_EV = 250_000.0
UNSURE_EV = 120.0
"""Below it an axis without a unit may be of hard X-rays in keV as well as of soft ones in eV."""


@dataclass(frozen=True)
class Measured:
    """What one file holds.

    Attributes
    ----------
    path : Path
    spectrum : Spectrum
    reference : Spectrum or None
        Of the sample measured with it.
    columns : dict of str to str
        What was taken for ``energy``, ``signal``, ``i0``, ``reference``.
    notes : tuple of str
        What was left out, or chosen without being asked.
    """

    path: Path
    spectrum: Spectrum
    reference: Spectrum | None
    columns: dict[str, str]
    notes: tuple[str, ...]


def names_of(paths: Sequence[Path]) -> list[str]:
    """Name of each file: without its ending, with its folder where two are called the same.

    Raises
    ------
    ValueError
        A file is given twice.
    """
    real = [path.resolve() for path in paths]
    for k, path in enumerate(real):
        if path in real[:k]:
            raise ValueError(f"{paths[k]} is given more than once")
    for name_of in (
        lambda p: p.stem,
        lambda p: p.name,
        lambda p: f"{p.parent.name}/{p.name}",
        str,
    ):
        names = [name_of(path) for path in real]
        if len(set(names)) == len(names):
            break
    return names


def read_spectra(
    paths: Sequence[Path],
    *,
    energy: str | None,
    column: str | None,
    i0: str | None,
    reference: str | None,
) -> list[Measured]:
    """Read the spectra, all of them before anything is done with them.

    Raises
    ------
    ValueError
        No files, one that cannot be read or is given twice, or a column that it lacks; names the
        file.
    """
    if not paths:
        raise ValueError("no files given; at least one is needed")
    names = names_of(paths)
    return [
        _measured(read_table(path), name, energy, column, i0, reference)
        for path, name in zip(paths, names, strict=True)
    ]


def _measured(
    table: Table,
    name: str,
    energy: str | None,
    column: str | None,
    i0: str | None,
    reference: str | None,
) -> Measured:
    notes = list(table.notes)
    axis = _energy_column(table, energy)
    chosen = {"energy": axis}
    for what, given in (("i0", i0), ("reference", reference), ("signal", column)):
        if given is not None:
            table.column(given)
            chosen[what] = _exact(table, given)
    twice = [c for c in chosen.values() if list(chosen.values()).count(c) > 1]
    if twice:
        raise FormatError(f"{table.path}: column {printable(twice[0])!r} cannot be two things")
    rest = [known for known in table.columns if known not in chosen.values()]
    if "signal" not in chosen:
        if not rest:
            raise FormatError(
                f"{table.path}: no column is left for the spectrum beside "
                f"{', '.join(map(repr, chosen.values()))}"
            )
        chosen["signal"] = rest.pop(0)
        if rest:
            left = ", ".join(map(repr, rest[:4])) + (" ..." if len(rest) > 4 else "")
            notes.append(
                f"Of its columns {printable(chosen['signal'])!r} was taken for the spectrum; "
                f"{left} not (--column chooses)."
            )
    energies = table.columns[axis]
    if _KEV.search(axis):
        energies = 1000 * energies
    signal = table.columns[chosen["signal"]]
    other = table.columns[chosen["reference"]] if "reference" in chosen else None
    if "i0" in chosen:
        beam = table.columns[chosen["i0"]]
        with np.errstate(invalid="ignore", divide="ignore"):
            signal = np.where(beam > 0, signal / beam, np.nan)
        dark = int((~(beam > 0) & np.isfinite(beam)).sum())
        if dark:
            notes.append(f"{dark} points have no I0 above 0 and are left out.")
    finite = energies[np.isfinite(energies)]
    if not len(finite) or not LEAST_EV <= float(finite.max()) <= MOST_EV:
        top = f"{finite.max():g}" if len(finite) else "nothing"
        hint = (
            "; is it in keV? Then its name must say so"
            if len(finite) and 0 < finite.max() < LEAST_EV
            else ""
        )
        raise FormatError(
            f"{table.path}: column {printable(axis)!r} goes up to {top} eV, but photon energies "
            f"lie between {LEAST_EV:g} and {MOST_EV:g} eV{hint}"
        )
    if finite.max() < UNSURE_EV and not (_KEV.search(axis) or _EV.search(axis)):
        raise FormatError(
            f"{table.path}: column {printable(axis)!r} goes up to {finite.max():g}, which may be "
            "eV or keV: its name must say which, as energy_eV or energy_keV"
        )
    spectrum = _spectrum(table.path, name, energies, signal, notes)
    second = None
    if other is not None:
        second = _spectrum(table.path, f"{name} (reference)", energies, other, [])
    return Measured(table.path, spectrum, second, chosen, tuple(notes))


def _exact(table: Table, given: str) -> str:
    if given in table.columns:
        return given
    return next(known for known in table.columns if known.casefold() == given.casefold())


def _energy_column(table: Table, given: str | None) -> str:
    if given is not None:
        table.column(given)
        return _exact(table, given)
    found = [name for name in table.columns if _ENERGY.search(name.strip())]
    if not found:
        raise FormatError(
            f"{table.path}: no column is called energy; it has "
            f"{', '.join(map(repr, map(printable, table.columns)))} (--energy chooses)"
        )
    return found[0]


def _spectrum(path: Path, name: str, energy: Array, value: Array, notes: list[str]) -> Spectrum:
    """Rows in order of energy; those of one energy averaged, those without a number left out."""
    good = np.isfinite(energy) & np.isfinite(value)
    if not good.all():
        notes.append(f"{int((~good).sum())} rows without a number are left out.")
    energy, value = energy[good], value[good]
    if len(energy) < 5:
        raise FormatError(f"{path}: {len(energy)} points; a spectrum needs at least 5")
    known, place, count = np.unique(energy, return_inverse=True, return_counts=True)
    if len(known) < len(energy):
        notes.append(f"{len(energy) - len(known)} energies come again and are averaged.")
        value = np.bincount(place, value) / count
    elif (np.diff(energy) < 0).any():
        value = value[np.argsort(energy, kind="stable")]
    if len(known) < 5 or not math.isfinite(float(np.ptp(value))):
        raise FormatError(f"{path}: {len(known)} different energies; a spectrum needs at least 5")
    return Spectrum(known, value, np.full(len(known), np.nan), name)
