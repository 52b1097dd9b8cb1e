"""From the logs into the catalog after a crash."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from redoxscope.documents import RESUMES

from ..log import SUFFIX, decode, lock_log
from ._ingest import STORED, LogIndex, ingest, stored_run
from ._streams import main_streams

__all__ = [
    "RecoveryReport",
    "Then",
    "follow",
    "in_a_line",
    "in_order",
    "locked",
    "recover_logs",
    "set_aside",
    "store_log",
]

Then = Callable[[Any, str], object]
log = logging.getLogger("redoxscope.storage")
_REASON = "the client ended before the run did"


@dataclass(frozen=True)
class RecoveryReport:
    """What became of one log.

    Attributes
    ----------
    uid : str
        Run; the name of the log's file.
    lines : int
        Lines or points it holds, of all regions.
    status : str
        "recovered": the run never ended, it is now in the catalog as interrupted;
        "stored": the run had ended, it is now in the catalog;
        "present": it was in the catalog already; "running": left alone, its client is alive;
        "empty": killed before the first document, nothing to store;
        "failed": see ``message``; the log is where it was.
    message : str
        Details; "" where there are none.
    path : Path
        The log, where it is now.
    """

    uid: str
    lines: int
    status: Literal["recovered", "stored", "present", "running", "empty", "failed"]
    message: str
    path: Path


def recover_logs(
    directory: str | os.PathLike[str],
    catalog: Any,
    *,
    stored: bool = False,
    then: Sequence[Then] = (),
) -> list[RecoveryReport]:
    """Put every log that is not stored into the catalog; see `redoxscope.storage.recover`.

    ``then`` are called with the catalog and the uid of each run that is stored.
    """
    folders = [Path(directory), *([Path(directory) / STORED] if stored else [])]
    paths = {path for folder in folders for path in folder.glob(f"*{SUFFIX}")}
    reports = [store_log(path, catalog, then) for path in in_order(paths) if path in paths]
    return sorted(reports, key=lambda report: report.path.name)


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Logs, each after those of the runs that its run continues, which are added to them.

    The map of a run is made, when it is stored, of the lines of all of them.

    Parameters
    ----------
    paths : iterable of Path
        Logs, also of runs that are stored.
    """
    found: dict[Path, None] = {}
    for path in sorted(paths, key=lambda path: path.name):
        line = [path]
        while (earlier := _continued(line[-1])) is not None and earlier not in line:
            line.append(earlier)
        found |= dict.fromkeys(reversed(line))
    return list(found)


def _continued(path: Path) -> Path | None:
    """Log of the run that a log's run continues, where it is."""
    try:
        with path.open("rb") as file:
            record = decode(file.readline())
    except OSError:  # gone, or not to be read: said when it is stored
        return None
    link = record[1].get(RESUMES) if record is not None and record[0] == "start" else None
    uid = link.get("uid") if isinstance(link, Mapping) else None
    if not isinstance(uid, str) or Path(uid).name != uid:
        return None
    folder = path.parent.parent if path.parent.name == STORED else path.parent
    places = (folder / f"{uid}{SUFFIX}", folder / STORED / f"{uid}{SUFFIX}")
    return next((place for place in places if place.exists()), None)


def follow(then: Sequence[Then], catalog: Any, uid: str) -> None:
    """Call what is to be done with a run that is stored; what one raises is logged."""
    for task in then:
        try:
            task(catalog, uid)
        # The run is stored, whatever becomes of what was made of it.
        except Exception:
            log.exception("after run %s was stored", uid)


def store_log(path: Path, catalog: Any, then: Sequence[Then] = ()) -> RecoveryReport:
    """Put one log into the catalog, as `recover_logs` does with each."""
    uid = path.name.removesuffix(SUFFIX)
    lines = 0
    try:
        with locked(path) as free:
            if not free:
                return RecoveryReport(uid, 0, "running", "its client is alive", path)
            index = LogIndex(path)
            message = "; ".join([*index.losses, *filter(None, [index.photons[1]])])
            lines = sum(index.num_events.get(name, 0) for name in main_streams(index.start))
            if index.blank:
                return RecoveryReport(uid, 0, "empty", message, set_aside(path))
            status: Literal["present", "stored", "recovered"]
            old = stored_run(catalog, uid) if index.start else None
            if old is not None and old.metadata.get("stop"):
                status = "present"
            else:
                ingest(index, catalog, interrupted=_REASON)
                status = "stored" if index.stop else "recovered"
            follow(then, catalog, uid)  # before the log is put away: a crash then does it again
            return RecoveryReport(uid, lines, status, message, set_aside(path))
    except Exception as exc:  # one bad log, or one the server refuses, does not stop the others
        return RecoveryReport(uid, lines, "failed", in_a_line(exc), path)


def in_a_line(error: Exception) -> str:
    """An error in a line; those of databases go on with the statement and its values."""
    return f"{type(error).__name__}: {error}".strip().partition("\n")[0]


@contextmanager
def locked(path: Path) -> Iterator[bool]:
    """Hold a log's lock; False where someone else does."""
    fd = lock_log(path)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


def set_aside(path: Path) -> Path:
    """Move a log whose run is in the catalog out of recover's way."""
    if path.parent.name == STORED:
        return path
    stored = path.parent / STORED
    stored.mkdir(exist_ok=True)
    return path.rename(stored / path.name)
