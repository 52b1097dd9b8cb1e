"""Small readers of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["Doc", "configured", "rows_of", "table_rows"]

Doc = Mapping[str, Any]


def rows_of(name: str, doc: Doc, key: str) -> Iterator[tuple[int, Doc, float]]:
    """Yield seq_num, data and time of each row of an ``event`` or ``event_page``.

    The time (s) is that of ``key`` where it has one, else the event's.
    """
    stamps = doc["timestamps"].get(key, doc["time"])
    if name == "event":
        yield doc["seq_num"], doc["data"], float(stamps)
        return
    for i, seq_num in enumerate(doc["seq_num"]):
        yield seq_num, {k: values[i] for k, values in doc["data"].items()}, float(stamps[i])


def configured(configuration: Any, key: str) -> float | None:
    """Value of ``key`` in a descriptor's configuration, of whichever device; None if absent."""
    for device in (configuration or {}).values():
        value = device.get("data", {}).get(key)
        if isinstance(value, (int, float, np.number)) and np.isfinite(value):
            return float(value)
    return None


def table_rows(table: Any, names: tuple[str, ...]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield seq_num and data of each row of an xarray Dataset, in the order written.

    Raises
    ------
    ValueError
        If the first name, the one that must be there, is not.
    """
    columns = {name: np.asarray(table[name]) for name in names if name in table}
    if names[0] not in columns:
        raise ValueError(f"the table has no {names[0]}, only {sorted(map(str, table))}")
    if "seq_num" in table:
        numbers = np.asarray(table["seq_num"]).astype(int)
    else:
        numbers = np.arange(1, len(columns[names[0]]) + 1)
    for i, seq_num in enumerate(numbers):
        yield int(seq_num), {name: values[i] for name, values in columns.items()}
