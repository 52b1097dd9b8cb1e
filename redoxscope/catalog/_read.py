"""A run of the catalog as documents again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from redoxscope.contract import STREAM

__all__ = ["run_documents"]


def run_documents(
    run: Any, stream: str = STREAM, page_size: int = 5000
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Replay a run of the catalog: start, descriptors, event pages, stop.

    What a live callback saw, for the same callback to see again. Events come in order of
    ``seq_num``, each once.

    Parameters
    ----------
    run : BlueskyRun
        For instance ``catalog[-1]``.
    stream : str
        Which stream.
    page_size : int
        Events per page; memory is bounded by it.

    Yields
    ------
    name : str
        "start", "descriptor", "event_page" or "stop" (not there for a run being written).
    doc : dict
        In an event page ``seq_num`` [m] and ``time`` [m] (s) are arrays, and so are the
        columns of ``data``, [m] for numbers and [m, nx] for lines, and ``timestamps`` [m].
        External data (detector files) are left out. Uids of events are not kept in the
        catalog: they are made of the descriptor's and the seq_num.

    Raises
    ------
    KeyError
        The run has no such stream: it ended before the first event was due.
    """
    yield "start", dict(run.metadata["start"])
    source = run[stream]
    descriptors = source.descriptors
    for descriptor in descriptors:
        yield "descriptor", descriptor
    uid = descriptors[0]["uid"]
    keys = [key for key, of in source.metadata["data_keys"].items() if "external" not in of]
    if "seq_num" in set(source):
        seq_nums = np.asarray(source["seq_num"].read())
        rows = _last_of_each(seq_nums)
        table = source.base["internal"].read()
        arrays = {key: source[key] for key in keys if key not in table}
        for first in range(0, len(rows), page_size):
            part = rows[first : first + page_size]
            yield (
                "event_page",
                {
                    "descriptor": uid,
                    "seq_num": seq_nums[part],
                    "time": table["time"].to_numpy()[part],
                    "data": {
                        key: _slice(arrays[key], part)
                        if key in arrays
                        else _column(table[key], part)
                        for key in keys
                    },
                    "timestamps": {
                        key: table[f"ts_{key}"].to_numpy()[part]
                        for key in keys
                        if f"ts_{key}" in table
                    },
                    "filled": {},
                    "uid": [f"{uid}/{seq_num}" for seq_num in seq_nums[part]],
                },
            )
    if run.metadata.get("stop"):
        yield "stop", dict(run.metadata["stop"])


def _last_of_each(seq_nums: np.ndarray) -> np.ndarray:
    """Rows of the last event of each seq_num, in order of seq_num."""
    _, from_end = np.unique(seq_nums[::-1], return_index=True)
    return len(seq_nums) - 1 - from_end


def _column(column: Any, rows: np.ndarray) -> np.ndarray:
    values = column.to_numpy()[rows]
    # Another writer may keep short arrays in the table: one object per event.
    return (
        np.stack(values) if values.dtype == object and isinstance(values[0], np.ndarray) else values
    )


def _slice(array: Any, rows: np.ndarray) -> np.ndarray:
    low, high = int(rows.min()), int(rows.max()) + 1
    return np.asarray(array[low:high])[rows - low]
