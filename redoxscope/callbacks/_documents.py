"""Small readers of documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..documents import CONTRACT_VERSION
from ..inputs import is_number

__all__ = [
    "Doc",
    "check_version",
    "configured",
    "documents_of",
    "how_it_ended",
    "rows_of",
    "start_of",
    "stream_rows",
]

Doc = Mapping[str, Any]


def documents_of(source: Any) -> Iterator[tuple[str, Doc]]:
    """Documents of what has some, or the (name, document) pairs themselves.

    Raises
    ------
    ValueError
        It is neither.
    """
    try:
        pairs = iter(source.documents() if hasattr(source, "documents") else source)
    except TypeError:
        raise _no_run(source) from None
    for pair in pairs:
        if not (
            isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[1], Mapping)
        ):
            raise _no_run(source)
        yield pair[0], pair[1]


def start_of(run: Any) -> Doc:
    """Start document of a run in a catalog.

    Raises
    ------
    ValueError
        It is no run: the catalog itself, a stream.
    """
    start = run.metadata.get("start")
    if not isinstance(start, Mapping):
        raise _no_run(run)
    return start


def how_it_ended(stop: Doc | None) -> str:
    """What is to be said of a run's end, for `Reader.snapshot`; empty where it ended well.

    Parameters
    ----------
    stop : dict or None
        The stop document; None of a run that has none.
    """
    if stop is None:
        return "Run broken off: it has no stop document."
    status = stop.get("exit_status", "success")
    return "" if status == "success" else f"Run ended: {status}. {stop.get('reason', '')}".strip()


def check_version(start: Doc) -> None:
    """Raise where a run's documents are of a newer contract than this release knows.

    Raises
    ------
    ValueError
        Says which version they are of, and which are read.
    """
    version = start.get("contract_version")
    if version is None or (type(version) is int and version <= CONTRACT_VERSION):
        return
    raise ValueError(
        f"run {str(start.get('uid', ''))[:8]} has contract_version = {version!r:.20}; this "
        f"redoxscope reads versions up to {CONTRACT_VERSION}: a newer one is needed"
    )


def _no_run(source: Any) -> ValueError:
    return ValueError(
        f"{repr(source)[:80]} is neither a run, as cat[-1] or cat['uid'], nor pairs of name and "
        "document"
    )


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
        if is_number(value) and np.isfinite(value):
            return float(value)
    return None


def stream_rows(run: Any, stream: str, names: tuple[str, ...]) -> Iterator[tuple[int, dict]]:
    """Seq_num and data of each event of a stream in a catalog, in the order written.

    An event that was emitted again, as a resumed run does, comes again.

    Parameters
    ----------
    run : BlueskyRun
        Of any Tiled catalog, whoever wrote it.
    stream : str
    names : tuple of str
        Keys; the first must be there.

    Raises
    ------
    ValueError
        The run has no such stream, or it has no first name.
    """
    if stream not in set(run):
        raise ValueError(f"run {run.metadata['start'].get('uid')} has no stream {stream!r}")
    source = run[stream]
    keys = set(source)
    if names[0] not in keys:
        raise ValueError(f"the stream {stream!r} has no {names[0]}, only {sorted(keys)}")
    wanted = [name for name in (*names, "seq_num") if name in keys]
    table = source.read(wanted)
    columns = {}
    for name in wanted:
        values = np.asarray(table[name])
        if values.dtype.kind in "OSU":
            # A stock TiledWriter puts arrays of up to 16 numbers into a table, which is read as
            # text; the column alone is read as numbers.
            values = np.asarray(source[name].read())
        columns[name] = values
    numbers = columns.pop("seq_num", None)
    if numbers is None:
        numbers = np.arange(1, len(columns[names[0]]) + 1)
    return (
        (int(seq_num), {name: values[i] for name, values in columns.items()})
        for i, seq_num in enumerate(numbers)
    )
