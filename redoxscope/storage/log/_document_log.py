"""Crash-safe document log: every document of a run on disk before the plan goes on.

One file per run, ``<directory>/<uid>.jsonl``, one document per line as
``{"name": ..., "doc": {...}}``. Plain JSON except that NaN and infinities are written as
``NaN``, ``Infinity`` and ``-Infinity``, which Python's :mod:`json` reads back.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from redoxscope.documents import from_json, json_bytes
from redoxscope.formats import writable_folder

from ._run_file import DocumentLogError, RunFile

__all__ = [
    "CorruptLog",
    "DocumentLog",
    "DocumentLogError",
    "decode",
    "lock_log",
    "read_log",
    "scan_log",
]

log = logging.getLogger(__name__)

SUFFIX = ".jsonl"
RECENT = 8
"""Runs that ended last, of which a reading may still be on its way."""
_NUL = b"\0"
# A uid becomes a file name: nothing in it may climb out of the directory.
_SAFE_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class CorruptLog(ValueError):  # noqa: N818  (says what it is)
    """A log holds something that is not a document; the message names file and line."""


class DocumentLog:
    """Append-only log of every document, one JSON-lines file per run.

    Subscribe it first: it is the primary writer, and the one callback whose failure stops
    a scan. A document is with the operating system when the call returns, so a client that
    is killed (SIGKILL, out of memory, a crash in C) loses nothing that was emitted. The disk
    itself is synchronised (``fsync``) at the start and the stop document only: a power cut can
    cost the lines of the last seconds, never the file's structure.

    While a run is open its file carries an exclusive ``flock``, which the system drops when
    the process ends however it ends: that is how ``recover`` tells a running run from a dead
    one. A child made by a bare ``os.fork`` shares the lock and keeps it; children started
    through :mod:`subprocess` do not.

    Parameters
    ----------
    directory : str or Path
        Where the files go; created if missing.

    Raises
    ------
    DocumentLogError
        The directory or a file cannot be written (permission, disk full, name taken), or a
        document holds an object JSON cannot express. Raised out of the callback, which ends
        the plan.

    Notes
    -----
    numpy arrays become lists, numpy scalars Python numbers, tuples and sets lists, paths
    strings. Nested and parallel runs each go to their own file.

    What is monitored comes from the threads of its signals, one document at a time. A reading that
    was on its way when its run ended comes after the stop document: it is not in the run.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = Path(directory)
        self._files: dict[str, RunFile] = {}
        # Documents name their run through other documents: descriptor, resource, stream
        # resource uid -> run uid.
        self._run_of: dict[str, str] = {}
        self._rescued: dict[str, Path] = {}
        self._ended: deque[frozenset[str]] = deque(maxlen=RECENT)  # their descriptors
        self._lock = threading.Lock()
        try:
            writable_folder(self.directory, "the document log")
        except OSError as exc:
            raise DocumentLogError(str(exc)) from exc

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Write one document.

        Parameters
        ----------
        name : str
            Document type: start, descriptor, event, event_page, ..., stop.
        doc : dict
            The document.
        """
        with self._lock:
            self._take(name, doc)

    def _take(self, name: str, doc: dict[str, Any]) -> None:
        if name == "start":
            self._open(doc)
        run = self._run_uid(name, doc)
        file = self._files.get(run)
        if file is None:
            if name == "stop":  # its start could not be written, which was raised then
                return
            if any(doc.get("descriptor") in descriptors for descriptors in self._ended):
                log.debug("a reading came after its run had ended: %s", doc.get("data"))
                return
            raise DocumentLogError(
                f"document log: {name} document belongs to run {run!r}, whose start document was "
                "not seen: subscribe the log before the run opens"
            )
        try:
            line = _encode(name, doc, file.path)
            # A line a time: a deleted file takes all that is written, and gives nothing back.
            lost = None if file.is_there() else file.rescue()
            file.write(line)
            if name in ("start", "stop"):
                file.sync()
            if lost is not None:
                self._rescued[run] = file.path
                raise lost
        finally:
            if name == "stop":
                self._close(run)

    def path(self, uid: str) -> Path:
        """File of a run.

        Parameters
        ----------
        uid : str
            Uid of the run's start document.

        Returns
        -------
        Path
            ``<directory>/<uid>.jsonl``, which need not exist, or where it was rescued to.

        Raises
        ------
        ValueError
            The uid cannot be a file name.
        """
        if not _SAFE_UID.fullmatch(uid):
            raise ValueError(f"uid {uid!r} cannot be a file name: letters, digits, '_', '.', '-'")
        return self._rescued.get(uid, self.directory / f"{uid}{SUFFIX}")

    @property
    def open_runs(self) -> tuple[str, ...]:
        """Uids of the runs that have started and not stopped."""
        return tuple(self._files)

    def close(self) -> None:
        """Close every file, leaving open runs as they are: ``recover`` will find them."""
        with self._lock:
            for run in list(self._files):
                self._close(run)

    def _open(self, doc: dict[str, Any]) -> None:
        uid = doc["uid"]
        self._files[uid] = RunFile(self.path(uid))

    def _close(self, run: str) -> None:
        self._files.pop(run).close()
        self._ended.append(frozenset(key for key, uid in self._run_of.items() if uid == run))
        self._run_of = {key: uid for key, uid in self._run_of.items() if uid != run}

    def _run_uid(self, name: str, doc: dict[str, Any]) -> str:
        if name == "start":
            return str(doc["uid"])
        if name in ("event", "event_page", "stream_datum"):
            return self._run_of.get(doc["descriptor"], f"of descriptor {doc['descriptor']}")
        if name in ("datum", "datum_page"):
            return self._run_of.get(doc["resource"], f"of resource {doc['resource']}")
        # A resource may leave out its run; there is no doubt when only one is open.
        run = doc.get("run_start") or (next(iter(self._files)) if len(self._files) == 1 else "")
        if name in ("descriptor", "resource", "stream_resource"):
            self._run_of[doc["uid"]] = run
        return run


def _encode(name: str, doc: dict[str, Any], path: Path) -> bytes:
    try:
        return json_bytes({"name": name, "doc": doc}) + b"\n"
    except (TypeError, ValueError) as exc:
        raise DocumentLogError(
            f"document log {path}: {name} document cannot be written as JSON: {exc}"
        ) from exc


def lock_log(path: str | os.PathLike[str]) -> int | None:
    """Take the lock of a log whose writer is gone.

    Parameters
    ----------
    path : str or Path
        The log.

    Returns
    -------
    int or None
        A file descriptor holding the lock, to be closed by the caller; None while another
        process (or this one) writes the log or stores it.

    Raises
    ------
    FileNotFoundError
        The log is not there (any more).
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held the lock before may have moved the file away in the meantime.
        if os.fstat(fd).st_ino != os.stat(path).st_ino:
            raise FileNotFoundError(2, "moved while waiting for its lock", os.fspath(path))
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError:
        os.close(fd)
        raise
    return fd


def read_log(
    path: str | os.PathLike[str], on_truncated: Callable[[str], None] | None = None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents of a log, one at a time.

    Parameters
    ----------
    path : str or Path
        The log.
    on_truncated : callable, optional
        Called with a message when the last line is cut off, as a crash leaves it; that line
        is dropped. By default the message is a :class:`UserWarning`.

    Yields
    ------
    name : str
        Document type.
    doc : dict
        The document, in plain Python types; NaN and infinities as floats.

    Raises
    ------
    CorruptLog
        A line other than a cut-off last one is not a document.
    FileNotFoundError
        There is no such log.
    """
    for _, name, doc in scan_log(path, on_truncated):
        yield name, doc


def scan_log(
    path: str | os.PathLike[str],
    on_truncated: Callable[[str], None] | None = None,
    *,
    on_damaged: Callable[[str], None] | None = None,
    values: bool = True,
) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Like :func:`read_log`, with the byte offset of each line first.

    With ``on_damaged`` a line that is no document is told to it and passed over. Without
    ``values`` a NaN in an event may come as None: for who wants no numbers, ten times faster.
    """
    path = Path(path)
    offset = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            text = line.strip(_NUL)
            skim = not values and text.startswith(b'{"name":"event')
            record = decode(text.replace(b"NaN", b"null") if skim else text)
            if record is not None:
                if text.rstrip(b"\n") != line.rstrip(b"\n") and on_damaged is not None:
                    zeros = len(line.rstrip(b"\n")) - len(text.rstrip(b"\n"))
                    on_damaged(f"line {number}: {zeros} bytes of zeros beside a whole document")
                yield offset, *record
            elif not line.endswith(b"\n"):
                message = f"document log {path}: last line ({number}) is cut off and was dropped"
                (on_truncated or _warn)(message)
            elif on_damaged is not None:
                on_damaged(f"line {number}: not a document ({len(line)} bytes, {line[:30]!r})")
            else:
                raise CorruptLog(
                    f"document log {path}, line {number}: not a document: {line[:60]!r}"
                )
            offset += len(line)


def decode(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """Name and document of a line; None where it is not one.

    Zeros before and after it, as a file system leaves them after a power cut, are no matter.
    """
    line = line.strip(_NUL)
    try:
        record = from_json(line)
        name, doc = record["name"], record["doc"]
    except (ValueError, KeyError, TypeError):
        return None
    return (name, doc) if isinstance(name, str) and isinstance(doc, dict) else None


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=4)
