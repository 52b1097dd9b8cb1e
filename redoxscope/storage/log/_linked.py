"""Runs that say in their start documents what they belong to, found in the logs themselves.

A client that was killed has stored nothing in a catalog; what it wrote to its log is there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ._document_log import SUFFIX, decode, lock_log, read_log

__all__ = ["linked_runs", "logged_run"]

STORED = "stored"
"""Folder, beside the logs, of those whose run is in the catalog."""
TAIL = 1 << 16
"""So many bytes of a log's end are looked at for its stop document."""

Run = tuple[Mapping[str, Any], Mapping[str, Any] | None]


def linked_runs(directory: str | os.PathLike[str], key: str, uid: str) -> list[Run]:
    """Runs of this folder's logs whose start document has a mapping ``key`` with this uid.

    Parameters
    ----------
    directory : str or Path
        Of a `DocumentLog`.
    key : str
        E.g. ``"experiment"``.
    uid : str
        Of what they belong to, or of one of them; the beginning of it suffices.

    Returns
    -------
    list of (dict, dict or None)
        Start and stop document, in the order in which they began; None: it did not end.

    Raises
    ------
    ValueError
        One of them is being measured, by whatever process.
    """
    starts = [(path, start) for path, start in _starts(Path(directory), key) if key in start]
    wanted = {
        start[key]["uid"]
        for _, start in starts
        if start["uid"].startswith(uid) or start[key]["uid"].startswith(uid)
    }
    found: list[Run] = []
    for path, start in starts:
        if start[key]["uid"] in wanted:
            found.append((start, _stop(path)))
    return sorted(found, key=lambda run: float(run[0]["time"]))


def logged_run(directory: str | os.PathLike[str], uid: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Documents of a run of this folder's logs.

    Parameters
    ----------
    directory : str or Path
        Of a `DocumentLog`.
    uid : str
        The beginning of it suffices.

    Raises
    ------
    ValueError
        No run's uid begins so, or several do, or it is being measured, by whatever process.
    """
    folder = Path(directory)
    if not uid or any(sign in uid for sign in "*?[]/\\"):
        raise ValueError(f"run {uid!r} is no uid")
    found = {
        path.stem: path
        for where in (folder / STORED, folder)
        for path in where.glob(f"{uid}*{SUFFIX}")
    }
    if not found:
        raise ValueError(
            f"no run in {folder} has a uid that begins with {uid!r}; redoxscope runs lists them"
        )
    if len(found) > 1:
        those = ", ".join(name[:12] for name in sorted(found))
        raise ValueError(f"several runs in {folder} have a uid that begins with {uid!r}: {those}")
    (path,) = found.values()
    _stop(path)
    return _documents(path)


def _starts(directory: Path, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    mark = f'"{key}"'.encode()
    for folder in (directory, directory / STORED):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                with path.open("rb") as file:
                    line = file.readline()
            except FileNotFoundError:  # it is being stored: the next folder has it
                continue
            record = decode(line) if mark in line else None
            if record is not None and record[0] == "start" and _links(record[1].get(key)):
                yield path, record[1]


def _links(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get("uid"), str)


def _documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is in a log, which may have been stored meanwhile."""
    try:
        yield from read_log(path, on_truncated=lambda message: None)
    except FileNotFoundError:  # before its first document: an open file may be moved
        yield from read_log(path.parent / STORED / path.name, on_truncated=lambda message: None)


def _stop(path: Path) -> dict[str, Any] | None:
    """The stop document of a log, which may have been stored meanwhile."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        path = path.parent / STORED / path.name
        file = path.open("rb")
    with file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        lines = file.read().splitlines()
    for line in reversed(lines):
        record = decode(line)
        if record is not None:
            if record[0] == "stop":
                return record[1]
            break
    lock = lock_log(path)
    if lock is None:
        raise ValueError(f"run {path.stem} is being measured by another process")
    os.close(lock)
    return None
