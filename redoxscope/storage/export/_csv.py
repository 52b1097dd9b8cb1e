"""Spectra and yields as tables."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._content import Content, distinct, file_part

if TYPE_CHECKING:
    import xarray

__all__ = ["write_csv"]


def write_csv(content: Content, folder: Path) -> Mapping[Path, Callable[[Path], None]]:
    """One table for each dimension that arrays of one dimension lie along."""
    plan: dict[Path, Callable[[Path], None]] = {}
    called = distinct((part for _, part in content.newest if part), file_part)
    for (analysis, part), found in content.newest.items():
        where = f"_{called[part]}" if part else ""
        along: dict[str, list[str]] = {}
        for name, array in found.data_vars.items():
            if array.ndim == 1:
                along.setdefault(str(array.dims[0]), []).append(str(name))
        for dim, names in along.items():
            path = folder / f"{content.name}{where}_{file_part(analysis)}_{file_part(dim)}.csv"
            plan[path] = partial(_write, found, dim, names)
    return plan


def _write(found: xarray.Dataset, dim: str, names: list[str], path: Path) -> None:
    columns = [*([found[dim]] if dim in found.coords else []), *(found[name] for name in names)]
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow([_titled(column) for column in columns])
        table.writerows(zip(*(column.values.tolist() for column in columns), strict=True))


def _titled(column: Any) -> str:
    unit = column.attrs.get("units", "")
    return f"{column.name} ({unit})" if unit else str(column.name)
