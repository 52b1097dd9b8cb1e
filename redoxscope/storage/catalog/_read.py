"""A run of the catalog as documents again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from redoxscope.documents import FRAMES_STREAM

from ._streams import main_streams

__all__ = ["run_documents"]


def run_documents(
    run: Any, stream: str | None = None, page_size: int = 5000, *, files: bool = False
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Replay a run of the catalog: start, descriptors, event pages, stop.

    What a live callback saw, for the same callback to see again. Events come stream by stream and
    in order of ``seq_num``, each once.

    Parameters
    ----------
    run : BlueskyRun
        For instance ``catalog[-1]``.
    stream : str, optional
        Which stream; by default those of its lines or points: ``primary``, or one for each region.
    page_size : int
        Events per page; memory is bounded by it.
    files : bool
        Also where a camera's frames are, for who reads them: descriptor, ``stream_resource`` and
        ``stream_datum`` of the stream ``frames``, if there is one.

    Yields
    ------
    name : str
        "start", "descriptor", "event_page" or "stop" (not there for a run being written), and those
        of ``files``.
    doc : dict
        In an event page ``seq_num`` [m] and ``time`` [m] (s) are lists, and so are the
        columns of ``data``, [m] for numbers and [m, nx] for lines, and ``timestamps`` [m]: plain
        Python, as every callback and JSON take it. External data (detector files) are left
        out. Uids of events are not kept in the catalog: they are made of the descriptor's and the
        seq_num.

    Raises
    ------
    KeyError
        The run has no such stream: it ended before the first event was due.
    """
    yield "start", _plain(run.metadata["start"])
    names = main_streams(run.metadata["start"]) if stream is None else [stream]
    # A run that ended early may lack some of its streams, but not all.
    for name in [name for name in names if name in set(run)] or names[:1]:
        yield from _stream(run[name], page_size)
    if files and FRAMES_STREAM in set(run):
        yield from _files(run[FRAMES_STREAM], str(run.metadata["start"]["uid"]))
    if run.metadata.get("stop"):
        yield "stop", _plain(run.metadata["stop"])


def _stream(source: Any, page_size: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Descriptors and event pages of a stream."""
    descriptors = source.descriptors
    for descriptor in descriptors:
        yield "descriptor", _plain(descriptor)
    uid = descriptors[0]["uid"]
    keys = [key for key, of in source.metadata["data_keys"].items() if "external" not in of]
    if "seq_num" in set(source):
        seq_nums = np.asarray(source["seq_num"].read())
        rows = _last_of_each(seq_nums)
        table = source.base["internal"].read()
        values = {key: _values(source, table, key) for key in keys}
        times = table["time"].to_numpy()
        stamps = {key: table[f"ts_{key}"].to_numpy() for key in keys if f"ts_{key}" in table}
        for first in range(0, len(rows), page_size):
            part = rows[first : first + page_size]
            yield (
                "event_page",
                {
                    "descriptor": uid,
                    "seq_num": seq_nums[part].tolist(),
                    "time": times[part].tolist(),
                    "data": {key: _slice(column, part) for key, column in values.items()},
                    "timestamps": {key: column[part].tolist() for key, column in stamps.items()},
                    "filled": {},
                    "uid": [f"{uid}/{seq_num}" for seq_num in seq_nums[part]],
                },
            )


def _files(source: Any, run: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Descriptors of a stream, and the files of its external data."""
    descriptors = source.descriptors
    for descriptor in descriptors:
        yield "descriptor", _plain(descriptor)
    for key, of in source.metadata["data_keys"].items():
        if "external" not in of:
            continue
        for found in source[key].include_data_sources().data_sources() or ():
            for asset in found.assets[:1]:
                uid = f"{descriptors[0]['uid']}/{key}"
                yield "stream_resource", {
                    "uid": uid, "run_start": run, "data_key": key, "mimetype": found.mimetype,
                    "uri": asset.data_uri, "parameters": _plain(found.parameters),
                }  # fmt: skip
                yield "stream_datum", {
                    "uid": f"{uid}/0", "stream_resource": uid,
                    "descriptor": descriptors[0]["uid"],
                }  # fmt: skip


def _plain(value: Any) -> Any:
    """Without Tiled's read-only views of dicts and lists."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def _last_of_each(seq_nums: np.ndarray) -> np.ndarray:
    """Rows of the last event of each seq_num, in order of seq_num."""
    _, from_end = np.unique(seq_nums[::-1], return_index=True)
    return len(seq_nums) - 1 - from_end


def _values(source: Any, table: Any, key: str) -> Any:
    """A column: of the table, in memory, or an array that is read a slice at a time."""
    if key not in table:
        return source[key]
    if source.metadata["data_keys"][key].get("dtype") == "array":
        # Another writer keeps short arrays in the table, which as a whole is read as text.
        return np.asarray(source[key].read())
    return table[key].to_numpy()


def _slice(array: Any, rows: np.ndarray) -> list[Any]:
    low, high = int(rows.min()), int(rows.max()) + 1
    values: list[Any] = np.asarray(array[low:high])[rows - low].tolist()
    return values
