"""A finished document log, replayed into the catalog."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

from event_model import DocumentNames, schemas

from redoxscope.documents import PHOTON_KEYS
from redoxscope.formats import file_uri, path_of_uri, unannounced_photons

from ..log import decode, scan_log
from ._embedded import writing

__all__ = ["ingest", "LogIndex", "STORED", "stored_run"]

STORED = "stored"  # sub-directory for logs whose run is in the catalog
PHOTONS = "photons"  # where a data folder keeps photon lists, beside the documents

# Numbers buffered before they are written, 64 MB as Python floats. Every write costs about
# 0.1 s per array whatever its size; it is also the zarr chunk: 5000 lines of 4 x 100 px.
_BATCH_VALUES = 2_000_000
# The one namespace under which stop documents made after a crash get their uid, so that a
# recovery that is repeated writes the same document.
_INTERRUPTED = uuid.UUID("7d1e6c5e-1a52-4d0c-9a0b-0f5b8f0c2c11")
_NEEDED = {kind.name: {*schemas[kind].get("required", ())} for kind in DocumentNames}
_NEEDED["descriptor"] |= {"name"}  # what the schemas leave to those that they are made of
_NEEDED["event"] |= {"data", "timestamps", "time"}
_NEEDED["event_page"] |= {"data", "timestamps", "time"}
_NEEDED["resource"] |= {"uid"}
_MOST_NAMED = 20


class LogIndex:
    """What a log holds and where, without its arrays.

    Parameters
    ----------
    path : str or Path
        The log. Read once, a document at a time; memory grows by about 200 bytes an event.

    Attributes
    ----------
    start, stop : dict or None
        Start and stop document.
    losses : list of str
        What the log does not hold any more: a cut-off last line, lines that are no documents (a
        power cut leaves zeros), and what cannot be placed without them. The first 20 in words.
    blank : bool
        Not a single line is whole.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.start: dict[str, Any] | None = None
        self.stop: dict[str, Any] | None = None
        self.losses: list[str] = []
        self.blank = True
        self._left_out: dict[str, int] = {}  # documents by what is wrong with them
        self._other: list[int] = []  # offsets of everything that is no start, stop or event
        # stream -> seq_num -> (offset of the document, row in its page). A resumed run emits a
        # seq_num again: the later one counts.
        self._events: dict[str, dict[int, tuple[int, int]]] = {}
        self._streams: dict[str, str] = {}
        self._columns: dict[str, set[str]] = {}
        self._seen: set[str] = set()  # uids of descriptors, resources and external data
        self._resources: set[str] = set()
        self._last_time = 0.0
        self._values = 1  # numbers in an event, of the stream that has most
        damaged: list[str] = []
        told = self.losses.append
        for offset, name, doc in scan_log(path, told, on_damaged=damaged.append, values=False):
            self.blank = False
            self._add(offset, name, doc)
        self.blank = self.blank and not damaged
        more = len(damaged) - _MOST_NAMED
        self.losses += damaged[:_MOST_NAMED]
        self.losses += [f"{more} more damaged lines"] if more > 0 else []
        self.losses += [f"{n} documents left out: {why}" for why, n in self._left_out.items()]

    @property
    def num_events(self) -> dict[str, int]:
        """Distinct events of each stream."""
        return {stream: len(rows) for stream, rows in self._events.items()}

    @property
    def batch_size(self) -> int:
        """Events that make a batch of bounded memory."""
        return max(1, _BATCH_VALUES // self._values)

    @cached_property
    def photons(self) -> tuple[list[tuple[str, dict[str, Any]]], str]:
        """Documents for photons that the client wrote and, killed, did not announce; a problem.

        None for a run that ended, whose client had said all that there was.
        """
        if self.stop is not None:
            return [], ""
        documents = [("start", self.start or {"uid": ""}), *self._others()]
        return unannounced_photons(documents, self._located)

    def interrupted_stop(self, reason: str) -> dict[str, Any]:
        """Stop document for a run that never got one.

        Parameters
        ----------
        reason : str
            What is known of the end; "interrupted: " is put before it.

        Returns
        -------
        dict
            ``exit_status`` "abort"; ``time`` (s) of the last document in the log.
        """
        assert self.start is not None
        run = self.start["uid"]
        return {
            "uid": str(uuid.uuid5(_INTERRUPTED, run)),
            "run_start": run,
            "time": self._last_time,
            "exit_status": "abort",
            "reason": f"interrupted: {reason}",
            "num_events": {**self.num_events, **self._external_rows()},
        }

    def _external_rows(self) -> dict[str, int]:
        """Rows of each stream whose data are in files."""
        rows: dict[str, int] = {}
        for name, doc in [*self._others(), *self.photons[0]]:
            if name == "stream_datum":
                stream = self._streams[doc["descriptor"]]
                rows[stream] = max(rows.get(stream, 0), doc["indices"]["stop"])
        return rows

    def _others(self) -> Iterator[tuple[str, dict[str, Any]]]:
        with self.path.open("rb") as file:
            for offset in self._other:
                name, doc = _read(file, offset)
                yield name, self._moved(doc) if name == "stream_resource" else doc

    def _moved(self, resource: dict[str, Any]) -> dict[str, Any]:
        """A stream resource that names its file where it is now."""
        if resource.get("data_key") not in PHOTON_KEYS:
            return resource
        try:
            was = path_of_uri(resource["uri"])
        except ValueError:  # no local file
            return resource
        now = self._located(was)
        return resource if now == was else {**resource, "uri": file_uri(now)}

    def _located(self, path: Path) -> Path:
        """Where a photon list is now: in the log's data folder, should that have been moved.

        As the catalog does for its own files, also where the folder was copied and the first
        one is still there, which this folder's catalog may not read.
        """
        logs = self.path.absolute().parent
        here = (logs.parent if logs.name == STORED else logs).parent / PHOTONS / path.name
        moved = path.parent.name == PHOTONS and here.exists()
        return here if moved and not (path.exists() and here.samefile(path)) else path

    def documents(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Everything but start and stop: each event once, in order of its seq_num."""
        yield from self._others()
        yield from self.photons[0]
        with self.path.open("rb") as file:
            for rows in self._events.values():
                yield from _pages(file, [rows[seq_num] for seq_num in sorted(rows)])

    def _fault(self, name: str, doc: dict[str, Any]) -> str:
        """Why a document cannot be kept; a damaged line may still be JSON, or be the one missed."""
        if name not in _NEEDED:
            return f"of the unknown kind {name!r}"
        lack = sorted(_NEEDED[name] - doc.keys())
        if lack:
            return f"{name} without {', '.join(lack)}"
        if name == "descriptor" and not all("shape" in key for key in doc["data_keys"].values()):
            return "descriptor with a data key without shape"
        run = doc.get("uid") if name == "start" else doc.get("run_start")
        if self.start is not None and run not in (None, self.start["uid"]):
            return f"of another run, {run}"
        if name in ("event", "event_page", "stream_datum"):
            if doc["descriptor"] not in self._streams:
                return "their descriptor is among the damaged lines"
            if name == "stream_datum" and doc["stream_resource"] not in self._resources:
                return "their stream resource is among the damaged lines"
            if name != "stream_datum" and doc["data"].keys() != self._columns[doc["descriptor"]]:
                odd = sorted(doc["data"].keys() ^ self._columns[doc["descriptor"]])
                return f"{name} with other data than its descriptor says ({', '.join(odd)})"
        if name in ("datum", "datum_page") and doc["resource"] not in self._resources:
            return "their resource is among the damaged lines"
        return ""

    def _add(self, offset: int, name: str, doc: dict[str, Any]) -> None:
        fault = self._fault(name, doc)
        if fault:
            self._left_out[fault] = self._left_out.get(fault, 0) + 1
            return
        if name == "start":
            self.start = doc
        elif name == "stop":
            self.stop = doc
        elif name in ("event", "event_page"):
            rows = self._events[self._streams[doc["descriptor"]]]
            seq_nums = doc["seq_num"] if name == "event_page" else [doc["seq_num"]]
            rows.update((seq_num, (offset, row)) for row, seq_num in enumerate(seq_nums))
        else:
            uid = doc.get("uid") or doc.get("datum_id")
            if uid in self._seen:
                return  # written twice: a second descriptor would double every event
            self._seen.update([uid] if uid else [])
            if name in ("resource", "stream_resource"):
                self._resources.add(doc["uid"])
            if name == "descriptor":
                self._streams[doc["uid"]] = doc["name"]
                self._columns[doc["uid"]] = {
                    key
                    for key, told in doc["data_keys"].items()
                    if told.get("external") != "STREAM:"
                }
                self._events.setdefault(doc["name"], {})
                shapes = [
                    key["shape"] for key in doc["data_keys"].values() if "external" not in key
                ]
                self._values = max(self._values, sum(prod(n or 1 for n in s) for s in shapes))
            self._other.append(offset)
        time = doc.get("time", 0.0)
        self._last_time = max([self._last_time, *(time if isinstance(time, list) else [time])])


def _read(file: BinaryIO, offset: int) -> tuple[str, dict[str, Any]]:
    file.seek(offset)
    record = decode(file.readline())
    assert record is not None  # it was read once
    return record


def _pages(file: BinaryIO, places: list[tuple[int, int]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The events at these places; a page of which every row is wanted is passed on whole."""
    first = 0
    while first < len(places):
        offset = places[first][0]
        last = first
        while last < len(places) and places[last][0] == offset:
            last += 1
        name, doc = _read(file, offset)
        rows = [row for _, row in places[first:last]]
        if name == "event_page" and rows != list(range(len(doc["seq_num"]))):
            doc = _take(doc, rows)
        yield name, doc
        first = last


def _take(page: dict[str, Any], rows: list[int]) -> dict[str, Any]:
    """Some rows of an event page."""
    taken = dict(page)
    for key in ("seq_num", "time", "uid"):
        taken[key] = [page[key][row] for row in rows]
    for key in ("data", "timestamps", "filled"):
        columns = page.get(key, {})
        taken[key] = {name: [column[row] for row in rows] for name, column in columns.items()}
    return taken


def stored_run(catalog: Any, uid: str) -> Any | None:
    """The run of exactly this uid in the catalog, complete or not; None where there is none."""
    try:
        run = catalog[uid]
    except KeyError:
        return None
    return run if run.metadata["start"]["uid"] == uid else None


def ingest(
    log_path: str | os.PathLike[str] | LogIndex,
    catalog: Any,
    *,
    interrupted: str | None = None,
    batch_size: int | None = None,
) -> int:
    """Replay a log into the catalog.

    Every event goes in once, the last of those with the same ``seq_num``, in order of
    ``seq_num``. A run that is complete in the catalog is left alone; one that is not (a crash
    during an earlier call) is removed and written anew. Memory is bounded by ``batch_size``.

    Parameters
    ----------
    log_path : str, Path or LogIndex
        The log.
    catalog : CatalogOfBlueskyRuns
        As :func:`open_catalog` gives it.
    interrupted : str, optional
        Why a run without stop document ended; such a run is stored with ``exit_status``
        "abort" and ``reason`` "interrupted: ...". Without it such a log is refused.
    batch_size : int, optional
        Events written at a time; by default two million numbers' worth.

    Returns
    -------
    int
        Events of the run in all streams together, stored now or before.

    Raises
    ------
    CatalogError
        Another process has been writing to the embedded catalog for a minute.
    ValueError
        The log has no start document, or no stop document and no ``interrupted``.
    """
    index = log_path if isinstance(log_path, LogIndex) else LogIndex(log_path)
    if index.start is None:
        lost = f" ({'; '.join(index.losses)})" if index.losses else ""
        raise ValueError(f"document log {index.path} holds no start document{lost}")
    stop = index.stop
    if stop is None:
        if interrupted is None:
            raise ValueError(
                f"document log {index.path} holds no stop document: the run goes on, or recover it"
            )
        stop = index.interrupted_stop(interrupted)
    if index.losses:  # whoever reads the run must know, also in a year
        stop = {**stop, "reason": "; ".join(filter(None, [stop.get("reason"), *index.losses]))}
    total = sum(index.num_events.values())

    with writing(catalog):
        old = stored_run(catalog, index.start["uid"])
        if old is not None:
            # The stop document is the last thing written: with it, the run is whole.
            if old.metadata.get("stop"):
                return total
            old.delete(recursive=True, external_only=False)

        from ._tiled_writer import tiled_writer

        write = tiled_writer(catalog, batch_size or index.batch_size)
        write("start", index.start)
        for name, doc in index.documents():
            write(name, doc)
        write("stop", stop)
    return total
