"""The embedded catalog of a data folder: SQLite and files, no server."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from redoxscope.formats import plain_path

from ._folder import CatalogError, data_directory, data_folder

__all__ = ["TREE", "embedded_tree", "make_embedded", "service", "writing"]

_WRITE_TIMEOUT = 60.0  # s; another session storing a long run takes some ten
_HDF5 = "redoxscope.storage:hdf5_exporter"
_DOCUMENTS = "redoxscope.storage:documents_exporter"
TREE = "redoxscope.storage:embedded_tree"
"""What opens an embedded catalog, as profiles of users name it: a place that stays."""
_INIT_TIMEOUT = 120.0  # s; a cold import of tiled from a network disk takes tens of seconds


def service(directory: Path | None) -> dict[str, Any]:
    """Tiled service configuration of an embedded catalog.

    Parameters
    ----------
    directory : Path or None
        Its folder; None for the one that :func:`data_directory` names when it is opened.
    """
    return {
        # In-process: whoever can read the files can read the data.
        "authentication": {"allow_anonymous_access": True},
        "trees": [
            {
                "path": "/",
                "tree": TREE,
                "args": {} if directory is None else {"directory": str(directory)},
            }
        ],
        "media_types": {
            "BlueskyRun": {
                "application/json-seq": _DOCUMENTS,
                "application/x-hdf5": _HDF5,
            },
            "BlueskyEventStream": {"application/x-hdf5": _HDF5},
        },
    }


def embedded_tree(directory: str | None = None) -> Any:
    """Tree of the embedded catalog, as Tiled asks for it when a profile is opened.

    Parameters
    ----------
    directory : str, optional
        The data folder, by default the one that :func:`data_directory` names.

    Raises
    ------
    CatalogError
        There is no catalog in it, or it was moved there and cannot be adapted.
    """
    from tiled.catalog import from_uri

    folder = data_directory(directory)
    if not _is_whole(folder / "catalog.db"):
        raise CatalogError(
            f"no catalog in {folder} yet. Runs that are kept elsewhere: set REDOXSCOPE_DATA, or "
            "redoxscope.storage.open_catalog(directory=...)"
        )
    base = plain_path(folder)
    _settle(folder, base)
    tree = from_uri(
        f"sqlite:///{base / 'catalog.db'}",
        specs=[{"name": "CatalogOfBlueskyRuns", "version": "3.0"}],
        metadata={"application": "redoxscope", "directory": str(folder)},
        writable_storage=[str(base / "files"), f"sqlite:///{base / 'tables.db'}"],
        readable_storage=[str(base)],  # detector files announced by stream_resource documents
    )
    # A run that is recovered later is not the latest.
    return tree.sort([("start.time", 1)])


def make_embedded(directory: str | os.PathLike[str] | None = None) -> Path:
    """Make the embedded catalog of a data folder where there is none; where it is.

    ``init_if_not_exists`` would cost seconds at every opening. It is made under another name, so
    that a process that is killed leaves none or a whole one; what others left half-made is made
    anew.

    Raises
    ------
    CatalogError
        It cannot be made.
    """
    folder = data_folder(directory)
    if _is_there(folder):
        return folder
    try:
        base = plain_path(folder)
        (folder / "files").mkdir(exist_ok=True)
        with (folder / ".initialise.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two first sessions at once: the second waits
            if not _is_there(folder):
                _make(folder, base)
    except sqlite3.Error as exc:
        raise CatalogError(f"catalog in {folder} cannot be made: {exc}") from exc
    except OSError as exc:
        raise CatalogError(
            f"catalog in {folder} cannot be made: {exc.filename}: {exc.strerror}"
        ) from exc
    except subprocess.CalledProcessError as exc:
        reason = exc.stderr.strip().splitlines()[-1:] or ["no message"]
        raise CatalogError(f"catalog in {folder} cannot be made: {reason[0]}") from exc
    except (subprocess.TimeoutExpired, ValueError) as exc:
        raise CatalogError(f"catalog in {folder} cannot be made: {exc}") from exc
    return folder


def _is_there(folder: Path) -> bool:
    tables = folder / "tables.db"
    return _is_whole(folder / "catalog.db") and tables.exists() and tables.stat().st_size > 0


def _is_whole(database: Path) -> bool:
    """Whether a catalog is there, made to its end: Tiled writes its version last.

    One that has entries, or cannot be read, is nothing to be made anew: Tiled says what is wrong.
    """
    if not database.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
            tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
            for table, rows in (("alembic_version", ""), ("nodes", "WHERE id <> 0")):  # 0: the root
                if table in tables and db.execute(f"SELECT 1 FROM {table} {rows}").fetchone():
                    return True
    except sqlite3.Error:
        return True
    return False


def _make(folder: Path, base: Path) -> None:
    new = folder / ".new"
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
    new.mkdir()
    catalog = f"sqlite:///{base / new.name / 'catalog.db'}"
    made = ["tables.db"] if _is_whole(folder / "catalog.db") else ["tables.db", "catalog.db"]
    if "catalog.db" in made:
        _python("-m", "tiled", "catalog", "init", "--if-not-exists", catalog)
    for name in made:
        there = folder / name
        if name == "tables.db" and there.exists() and there.stat().st_size > 0:
            continue
        # As Tiled does for catalog.db: readers do not block the writer, nor it them.
        with contextlib.closing(sqlite3.connect(new / name)) as db:
            db.execute("PRAGMA journal_mode=WAL")
        for end in ("-wal", "-shm", "-journal"):  # SQLite would play them into the new file
            (folder / f"{name}{end}").unlink(missing_ok=True)
        (new / name).replace(there)
    shutil.rmtree(new)


def _python(*arguments: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        text=True,
        timeout=_INIT_TIMEOUT,
    )


def _settle(folder: Path, base: Path) -> None:
    """Make a catalog whose folder was moved or copied name the files where they are now.

    Tiled keeps absolute paths. Which folder they are of is seen from that of the tables.
    """
    database = folder / "catalog.db"
    try:
        with contextlib.closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as db:
            former = _former_bases(db, base)
        if not former:
            return
        with _lock(folder, _WRITE_TIMEOUT), contextlib.closing(sqlite3.connect(database)) as db, db:
            for old in _former_bases(db, base):  # another process may have been first
                _move(db, str(old), str(base))
    except (sqlite3.Error, OSError) as exc:
        raise CatalogError(
            f"catalog in {folder} cannot be read, or was moved there and cannot be adapted: {exc}"
        ) from exc


def _former_bases(db: sqlite3.Connection, base: Path) -> list[Path]:
    found = db.execute("SELECT data_uri FROM assets WHERE data_uri LIKE 'sqlite:%/tables.db'")
    paths = [Path("/" + uri.partition("://")[2].partition("/")[2].lstrip("/")) for (uri,) in found]
    return [path.parent for path in paths if path.parent != base]


def _move(db: sqlite3.Connection, old: str, new: str) -> None:
    for start in ("file://localhost", "sqlite://localhost/", "sqlite:///"):
        before = f"{start}{old}/"
        db.execute(
            "UPDATE assets SET data_uri = ? || substr(data_uri, ?) "
            "WHERE substr(data_uri, 1, ?) = ?",
            (f"{start}{new}/", len(before) + 1, len(before), before),
        )


@contextlib.contextmanager
def writing(catalog: Any, timeout: float = _WRITE_TIMEOUT) -> Iterator[None]:
    """Hold the right to write to an embedded catalog; no more than that for a server's.

    Tiled's SQLite tables have no busy time-out: of two processes that write at once, one fails.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns
        The catalog.
    timeout : float
        How long to wait for another process, in s.

    Raises
    ------
    CatalogError
        Another process has been writing all that time; the message names it.
    """
    metadata = catalog.metadata
    if metadata.get("application") != "redoxscope":
        yield
        return
    folder = Path(metadata["directory"])
    if not (folder / "catalog.db").exists():  # an open database takes runs after it was deleted
        raise CatalogError(f"the catalog in {folder} was deleted or moved, or its disk is gone")
    with _lock(folder, timeout):
        yield


@contextlib.contextmanager
def _lock(folder: Path, timeout: float) -> Iterator[None]:
    with (folder / ".write.lock").open("a+") as lock:
        _wait_for(lock, timeout)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _wait_for(lock: TextIO, timeout: float) -> None:
    end = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                lock.seek(0)
                raise CatalogError(
                    f"catalog locked: process {lock.read() or '?'} has been writing to it for "
                    f"{timeout:g} s ({lock.name})"
                ) from None
            # flock cannot wait for a limited time; there is nothing else to be woken by.
            threading.Event().wait(0.05)
