"""A user's own standards, from a file."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from ._references import References

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
        The file is missing or is not such a table; the message names file, line and column.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as e:
        raise ValueError(f"references file {path}: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise ValueError(f"references file {path} is not a text file: {e.reason}") from e
    numbered = [(i, t) for i, t in enumerate(lines, 1) if t.strip() and not t.startswith("#")]
    if not numbered:
        raise ValueError(f"references file {path} holds no table")
    rows = list(csv.reader(t for _, t in numbered))
    header = [h.strip() for h in rows[0]]
    if len(header) < 2 or header[0].lower() != "energy":
        raise ValueError(
            f"references file {path}, line {numbered[0][0]}: the first row is {header}; "
            "expected energy,name1,name2,..."
        )
    table = []
    for (line, _), row in zip(numbered[1:], rows[1:], strict=True):
        if len(row) != len(header):
            raise ValueError(
                f"references file {path}, line {line}: {len(row)} values, expected {len(header)}"
            )
        for name, cell in zip(header, row, strict=True):
            try:
                float(cell)
            except ValueError:
                raise ValueError(
                    f"references file {path}, line {line}, column {name}: {cell!r} is no number"
                ) from None
        table.append([float(cell) for cell in row])
    if len(table) < 2:
        raise ValueError(f"references file {path} holds {len(table)} energies; at least 2 needed")
    data = np.array(table)
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
        raise ValueError(f"references file {path}: {e}") from e


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
                tables.append(np.asarray(item[()], dtype=float))
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
