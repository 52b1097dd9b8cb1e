"""A user's own standards, from a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from redoxscope.inputs import axis_problem

from ._references import References
from ._text import FileError, read_text

__all__ = ["references_from_csv", "references_from_h5"]


def references_from_csv(
    path: str | os.PathLike[str],
    *,
    unit: str = "1/µm",
    min_thickness: float | None = None,
    valences: Sequence[float] | None = None,
) -> References:
    """Read standards from a CSV file.

    Parameters
    ----------
    path : path
        First row ``energy,name1,name2,...`` (the oxidised one first), then one row per energy
        (eV). Lines that start with ``#`` are comments.
    unit : {"1/µm", "OD"}
        Unit of the spectra.
    min_thickness, valences
        As in :class:`References`.

    Raises
    ------
    ValueError
        The file is missing, is not in UTF-8, or is not such a table with rising energies; the
        message names file, line and column.
    """
    try:
        lines = read_text(path).splitlines()
    except FileError as e:
        raise ValueError(f"references file {e}") from e
    path = Path(path)
    where = f"references file {path}"
    rows = [
        (line, [cell.strip() for cell in next(csv.reader([text]))])
        for line, text in enumerate(lines, 1)
        if text.strip() and not text.startswith("#")
    ]
    if not rows:
        raise ValueError(f"{where} is empty: it holds no table")
    header = _header(where, *rows[0])
    numbered = [line for line, _ in rows[1:]]
    data = np.array([_numbers(f"{where}, line {line}", header, row) for line, row in rows[1:]])
    if len(data) < 2:
        raise ValueError(f"{where} holds {len(data)} energies; at least 2 needed")
    problem = axis_problem(data[:, 0], "eV")
    if problem is not None:
        raise ValueError(f"{where}, line {numbered[problem[0]]}: the column energy {problem[1]}")
    try:
        return References(
            names=tuple(header[1:]),
            energies=data[:, 0],
            spectra=data[:, 1:].T,
            unit=unit,
            source=path.name,
            valences=None if valences is None else tuple(valences),
            min_thickness=min_thickness,
        )
    except ValueError as e:
        raise ValueError(f"{where}: {e}") from e


def _header(where: str, line: int, header: list[str]) -> list[str]:
    """Names of the columns."""
    if len(header) >= 2 and header[0].lower() == "energy":
        return header
    text = ",".join(header)
    for sign, name in ((";", "semicolons"), ("\t", "tabs")):
        if sign in text:
            raise ValueError(
                f"{where}, line {line}: columns are separated by {name}; they must be by commas, "
                "with points in numbers"
            )
    raise ValueError(
        f"{where}, line {line}: the first row is {header}; expected energy,name1,name2,..."
    )


def _numbers(where: str, header: list[str], row: list[str]) -> list[float]:
    """A row of the table."""
    if len(row) != len(header):
        comma = (
            "; a decimal comma separates columns too, write 640.5" if len(row) > len(header) else ""
        )
        raise ValueError(f"{where}: {len(row)} values, expected {len(header)}{comma}")
    values = []
    for name, cell in zip(header, row, strict=True):
        try:
            values.append(float(cell))
        except ValueError:
            raise ValueError(f"{where}, column {name}: {cell!r} is no number") from None
    return values


def references_from_h5(
    path: str | os.PathLike[str],
    names: Sequence[str] = ("oxidized", "reduced"),
    *,
    unit: str = "OD",
    min_thickness: float | None = None,
    valences: Sequence[float] | None = None,
) -> References:
    """Read end members from an HDF5 file.

    Parameters
    ----------
    path : path
    names : sequence of str
        Datasets, each [n, 2] with energy (eV) and spectrum, all on the same energies; the
        oxidised one first.
    unit, min_thickness, valences
        As in :class:`References`.

    Raises
    ------
    ValueError
        The file cannot be read, or a dataset is missing or misshaped.
    """
    path = Path(path)
    if isinstance(names, str):
        raise ValueError(f"names = {names!r} must be a list of datasets, as [{names!r}]")
    tables = []
    try:
        with h5py.File(path, "r") as f:
            for name in names:
                item = f.get(name)
                if item is None:
                    raise ValueError(f"{path}: dataset {name!r} is missing; expected [n, 2]")
                shape: tuple[int, ...] = getattr(item, "shape", ())  # a group has none
                if len(shape) != 2 or shape[1] != 2:
                    raise ValueError(
                        f"{path}: dataset {name!r} has shape {shape}; expected [n, 2], energy (eV) "
                        "and spectrum"
                    )
                try:
                    tables.append(np.asarray(item[()], dtype=float))
                except (TypeError, ValueError):
                    raise ValueError(
                        f"{path}: dataset {name!r} holds no numbers ({item.dtype})"
                    ) from None
    except OSError as e:
        raise ValueError(f"{path} cannot be read as an HDF5 file: {e}") from e
    for name, table in zip(names, tables, strict=True):
        if table.shape != tables[0].shape or not np.array_equal(table[:, 0], tables[0][:, 0]):
            raise ValueError(f"{path}: datasets {names[0]!r} and {name!r} differ in their energies")
    try:
        return References(
            names=tuple(names),
            energies=tables[0][:, 0],
            spectra=np.stack([t[:, 1] for t in tables]),
            unit=unit,
            source=f"{path.name}: {', '.join(names)}",
            valences=None if valences is None else tuple(valences),
            min_thickness=min_thickness,
        )
    except ValueError as e:
        raise ValueError(f"{path}: {e}") from e
