"""Each run into the catalog at its end, off the RunEngine's thread."""

from __future__ import annotations

import logging
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from ..log import DocumentLog
from ._folder import CatalogError
from ._ingest import ingest
from ._profile import open_catalog
from ._store import in_a_line, locked, set_aside

__all__ = ["CatalogWriter"]

log = logging.getLogger("redoxscope.storage")

PATIENCE = 60.0
"""Longest time (s) that the end of a run waits for an embedded catalog."""
SERVER_PATIENCE = 5.0
"""Longest time (s) that the end of a run waits for a server."""
# What concerns the catalog and not the run: trying the next run is in vain.
_OUTAGE = (CatalogError, ConnectionError, TimeoutError, httpx.TransportError)


class CatalogWriter:
    """Put each run into the catalog at its stop document.

    Subscribe it after the :class:`~redoxscope.storage.DocumentLog` whose files it reads.
    At the start document of the first run a thread opens the catalog, which takes seconds. At the
    stop document it replays the log into the catalog (about 0.5 ms per line) and moves it to
    ``<directory>/stored/``. The stop document
    waits for that, but not for long, and not at all while the catalog does not answer. A failure
    does not fail the plan: the log stays, a warning names the command that tries again, and so
    does the end of the next run.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns, str or callable
        The catalog, the name of its profile, or what opens it; opened when a run begins.
    log : DocumentLog
        The log.
    patience : float, optional
        Longest time (s) that a stop document waits; by default 60 for an embedded catalog, 5 for
        a server.
    """

    def __init__(self, catalog: Any, log: DocumentLog, patience: float | None = None) -> None:
        self._catalog: Any = None
        self._open: Callable[[], Any]
        if isinstance(catalog, str):
            self._open = lambda: open_catalog(catalog)
        elif callable(catalog):
            self._open = catalog
        else:
            self._open, self._catalog = lambda: catalog, catalog
        self._log = log
        self._patience = patience
        self._opening = threading.Lock()
        self._state = threading.Condition()
        self._due: deque[Path] = deque()
        self._problems: dict[Path, str] = {}  # logs that were tried in vain
        self._worker: threading.Thread | None = None
        self._outage = ""  # what is wrong with the catalog, once it was said

    @property
    def catalog(self) -> Any:
        """The catalog; opened where it was not yet (several seconds).

        Raises
        ------
        CatalogError, ValueError
            It cannot be opened.
        """
        with self._opening:
            if self._catalog is None:
                self._catalog = self._open()
            return self._catalog

    @property
    def waiting(self) -> dict[Path, str]:
        """Logs of runs that are not in the catalog yet, and what went wrong ("": not tried)."""
        with self._state:
            return {**self._problems, **dict.fromkeys(self._due, "")}

    @property
    def outage(self) -> str:
        """What is wrong with the catalog; "" while it works, as far as is known."""
        return self._outage

    def doubt(self, problem: str) -> None:
        """Do not wait for the catalog at the end of a run: it does not answer, for that reason."""
        self._outage = problem

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Open the catalog at a start document, store the run at its stop document."""
        if name == "start" and self._catalog is None and not self._outage:
            self._wake(self._open_early)
        if name != "stop":
            return
        uid = doc["run_start"]
        if uid in self._log.open_runs:
            raise RuntimeError("CatalogWriter: subscribe the DocumentLog before it, not after")
        path = self._log.path(uid)
        known = self._outage
        self._start([path])
        if known:
            return
        if not self.wait(self._patience_now()):
            self._outage = "it takes long"
            log.warning(
                "the catalog takes long. Run %s is stored in the background; it is safe in %s",
                uid,
                path,
            )
            return
        problem = self.waiting.get(path)
        if problem is not None:
            warnings.warn(_words(path, problem), stacklevel=2)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no run is being stored; False where the time (s) did not suffice."""
        with self._state:
            return self._state.wait_for(lambda: self._worker is None, timeout)

    def close(self, timeout: float = SERVER_PATIENCE) -> None:
        """Try once more what is not in the catalog, and say what is left.

        Parameters
        ----------
        timeout : float
            Longest time, s.
        """
        end = time.monotonic() + timeout
        self.wait(timeout)
        if self._problems:
            self._start([])
            self.wait(max(0.0, end - time.monotonic()))
        left = self.waiting
        if len(left) == 1:
            ((path, problem),) = left.items()
            log.warning("%s", _words(path, problem or "the catalog does not answer"))
        elif left:
            log.warning(
                "%d runs are not in the catalog (%s). Their data are safe in %s; put them into the "
                "catalog with: redoxscope recover",
                len(left),
                next(filter(None, left.values()), "the catalog does not answer"),
                ", ".join(sorted({str(path.parent) for path in left})),
            )

    def _patience_now(self) -> float:
        if self._patience is not None:
            return self._patience
        metadata = getattr(self._catalog, "metadata", {"application": "redoxscope"})
        return PATIENCE if metadata.get("application") == "redoxscope" else SERVER_PATIENCE

    def _start(self, paths: list[Path]) -> None:
        with self._state:
            again = [path for path in self._problems if path not in paths]
            self._problems.clear()
            self._due.extend(path for path in (*again, *paths) if path not in self._due)
        self._wake(self._work)

    def _wake(self, work: Callable[[], None]) -> None:
        with self._state:
            if self._worker is None:
                # A daemon: a server that hangs keeps no process from its end; the log stays.
                self._worker = threading.Thread(target=work, daemon=True, name="catalog")
                self._worker.start()

    def _open_early(self) -> None:
        try:
            _ = self.catalog
        except Exception as exc:  # it is opened again for the run, and told then
            log.debug("the catalog is not open yet: %s", in_a_line(exc))
        self._work()

    def _work(self) -> None:
        out = False
        while True:
            with self._state:
                if out or not self._due:
                    self._problems.update(dict.fromkeys(self._due, self._outage))
                    self._due.clear()
                    self._worker = None
                    self._state.notify_all()
                    return
                path = self._due[0]
            problem = ""
            try:
                self._store(path)
                if self._outage:
                    log.warning("the catalog answers again: run %s is stored", path.stem)
                self._outage = ""
            # Whatever goes wrong here (server, disk, database, network), the data are in the log.
            except Exception as exc:
                problem = in_a_line(exc)
                out = isinstance(exc, _OUTAGE)
                self._outage = problem if out else ""
            with self._state:
                self._due.popleft()
                if problem:
                    self._problems[path] = problem

    def _store(self, path: Path) -> None:
        with locked(path) as free:
            if free:
                ingest(path, self.catalog)
                set_aside(path)


def _words(path: Path, problem: str) -> str:
    if not path.exists():
        return f"run {path.stem} is not in the catalog ({problem}), and its log is gone: {path}"
    return (
        f"run {path.stem} is not in the catalog ({problem}). Its data are safe in {path}; put them "
        "into the catalog with: redoxscope recover"
    )
