"""Each run into the catalog after its end, off the RunEngine's thread."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from ..log import DocumentLog
from ._folder import CatalogError
from ._ingest import STORED, ingest
from ._late import can_be_stored_here, store_in_a_process
from ._profile import DEFAULT_PROFILE
from ._runs import Runs
from ._shared import shared_catalog
from ._store import Then, follow, in_a_line, in_order, locked, set_aside, store_log

__all__ = ["CatalogWriter"]

log = logging.getLogger("redoxscope.storage")

PATIENCE = 300.0
"""Longest time (s) that a use of the catalog waits for runs that are being stored."""
CLOSE_PATIENCE = 60.0
"""Longest time (s) that closing waits for them."""
SERVER_PATIENCE = 5.0
"""Longest time (s) for another try of a catalog that did not answer before."""
SAID_AFTER = 2.0
"""Time (s) after which a wait is told."""
# What concerns the catalog and not the run: trying the next run is in vain.
_OUTAGE = (CatalogError, ConnectionError, TimeoutError, httpx.TransportError)


class CatalogWriter:
    """Put each run into the catalog after its stop document.

    Subscribe it after the :class:`~redoxscope.storage.DocumentLog` whose files it reads.
    On the RunEngine's thread nothing is done: at the start document of the first run a thread
    opens the catalog, which takes seconds; after a stop document it replays the log into the
    catalog (about 0.5 ms per line) and moves the log to ``<directory>/stored/``. Before a run that
    continues one whose client was killed, the earlier one is stored likewise. Who reads
    `catalog` waits for that; so do `wait` and `close`. A run that cannot be stored fails no plan:
    its log stays, a warning names the command that tries again, and so does the next run's end.

    A process that ends closes it. What is not stored then is stored by a process of its own, as
    this one's libraries are going; where a process is killed, ``redoxscope recover`` does it.

    Parameters
    ----------
    catalog : CatalogOfBlueskyRuns or str
        The catalog, or the name of its profile, by which it is opened when a run begins.
    log : DocumentLog
        The log.
    directory : str or Path, optional
        With a profile: the data folder, as for :func:`open_catalog`.
    then : sequence of callable
        Called one after another with the catalog and the run's uid when a run is stored, from the
        writer's thread; `wait` waits for them too. What one raises is logged.
    """

    def __init__(
        self,
        catalog: Any,
        log: DocumentLog,
        *,
        directory: str | os.PathLike[str] | None = None,
        then: Sequence[Then] = (),
    ) -> None:
        self._profile = catalog if isinstance(catalog, str) else None
        self._catalog: Any = None if isinstance(catalog, str) else catalog
        self._directory = None if directory is None else Path(directory)
        self._log = log
        self.then = list(then)
        self._opening = threading.Lock()
        self._state = threading.Condition()
        self._due: deque[Path] = deque()
        self._problems: dict[Path, str] = {}  # logs that were tried in vain
        self._worker: threading.Thread | None = None
        self._outage = ""  # what is wrong with the catalog, once it was said
        # Before a session that makes it does the same: the session's end is then the first.
        atexit.register(self.close)

    @property
    def catalog(self) -> Runs:
        """The catalog; each use of it waits for runs that are being stored, at most 300 s.

        Using it opens it where it was not yet (several seconds).

        Raises
        ------
        CatalogError, ValueError
            When it is used: it cannot be opened, a run is still being stored after that time, or
            ``catalog[-1]`` is asked for while the run that ended last is not in it.
        """
        return Runs(self._settled, self._missing, lambda: self._catalog)

    def open(self) -> Any:
        """Open the catalog where it was not yet (several seconds), without waiting for runs.

        Returns
        -------
        CatalogOfBlueskyRuns

        Raises
        ------
        CatalogError, ValueError
            It cannot be opened.
        """
        with self._opening:
            if self._catalog is None and self._profile is not None:
                self._catalog = shared_catalog(self._profile, self._directory)
            return self._catalog

    @property
    def waiting(self) -> dict[Path, str]:
        """Logs of runs that are not in the catalog yet, and what went wrong ("": not tried)."""
        with self._state:
            for path in [path for path in self._problems if _stored_by_another(path)]:
                del self._problems[path]
            return {**self._problems, **dict.fromkeys(self._due, "")}

    @property
    def pending(self) -> str:
        """What is being stored, in words; "" where nothing is."""
        with self._state:
            due = [path.stem for path in self._due]
        if len(due) > 1:
            return f"{len(due)} runs into the catalog"
        return f"run {due[0][:8]} into the catalog" if due else ""

    @property
    def outage(self) -> str:
        """What is wrong with the catalog; "" while it works, as far as is known."""
        return self._outage

    def doubt(self, problem: str) -> None:
        """Do not try it at the first start document: it does not answer, for that reason."""
        self._outage = problem

    def __call__(self, name: str, doc: dict[str, Any]) -> None:
        """Have the catalog opened at a start document, the run stored after its stop document."""
        if name == "start" and self._catalog is None and not self._outage:
            self._wake(self._open_early)
        if name != "stop":
            return
        uid = doc["run_start"]
        if uid in self._log.open_runs:
            raise RuntimeError("CatalogWriter: subscribe the DocumentLog before it, not after")
        self._start([self._log.path(uid)])

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until no run is being stored; False where the time (s) did not suffice."""
        if threading.current_thread() is self._worker:
            return True  # asked by what is called when a run is stored
        with self._state:
            return self._state.wait_for(lambda: self._worker is None, timeout)

    def close(self, timeout: float = CLOSE_PATIENCE) -> None:
        """Wait for what is being stored, try once more what is not, and say what is left.

        Ctrl-C ends the waiting.

        Parameters
        ----------
        timeout : float
            Longest time, s; 5 s for a catalog that did not answer before.
        """
        try:
            self._finish(min(timeout, SERVER_PATIENCE) if self._outage else timeout)
        except KeyboardInterrupt:
            log.warning("Ctrl-C: not waited for")
        atexit.unregister(self.close)
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

    def _finish(self, timeout: float) -> None:
        end = time.monotonic() + timeout

        def left() -> float:
            return max(0.0, end - time.monotonic())

        if can_be_stored_here():
            self._wait_and_say(timeout)
            if self._problems:
                self._start([])
                self.wait(left())
        else:
            self.wait(min(timeout, SERVER_PATIENCE))  # what was begun fails by itself
            store_in_a_process(list(self.waiting), *self._where(), timeout=left())

    # -- for those who read --------------------------------------------------------------------

    def _settled(self) -> Any:
        if not self._wait_and_say(PATIENCE):
            raise CatalogError(f"still being stored after {PATIENCE:g} s: {self.pending}")
        return self.open()

    def _missing(self) -> str:
        return "; ".join(_words(path, problem) for path, problem in self.waiting.items() if problem)

    def _wait_and_say(self, timeout: float) -> bool:
        if self.wait(min(timeout, SAID_AFTER)):
            return True
        if timeout <= SAID_AFTER:
            return False
        log.warning("waiting for %s (Ctrl-C stops waiting)", self.pending)
        return self.wait(timeout - SAID_AFTER)

    def _where(self) -> tuple[str | None, Path | None]:
        """Profile and data folder by which another process opens this catalog; None: by none."""
        metadata = dict(getattr(self._catalog, "metadata", {}))
        if self._profile is None and metadata.get("application") == "redoxscope":
            return DEFAULT_PROFILE, Path(metadata["directory"])
        return self._profile, self._directory

    # -- the thread ----------------------------------------------------------------------------

    def _start(self, paths: list[Path]) -> None:
        with self._state:
            again = [path for path in self._problems if path not in paths]
            self._problems.clear()
            self._due.extend(path for path in (*again, *paths) if path not in self._due)
        self._wake(self._work)

    def _wake(self, work: Callable[[], None]) -> None:
        with self._state:
            # Where the process ends, threads begin no more; `close` stores what is due then.
            if self._worker is None and can_be_stored_here():
                # A daemon: a server that hangs keeps no process from its end; the log stays.
                self._worker = threading.Thread(target=work, daemon=True, name="catalog")
                self._worker.start()

    def _open_early(self) -> None:
        try:
            self.open()
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
            known, problem = self._outage, ""
            try:
                self._store(path)
                if known:
                    log.warning("the catalog answers again: run %s is stored", path.stem)
                self._outage = ""
            # Whatever goes wrong here (server, disk, database, network), the data are in the log.
            except Exception as exc:
                problem = in_a_line(exc)
                out = isinstance(exc, _OUTAGE)
                self._outage = problem if out else ""
                if not can_be_stored_here():
                    problem = "the process is ending"
                elif not (known and out):  # an outage is told once
                    log.warning("%s", _words(path, problem))
            with self._state:
                self._due.popleft()
                if problem:
                    self._problems[path] = problem

    def _store(self, path: Path) -> None:
        if _stored_by_another(path):
            return
        with locked(path) as free:
            if not free:
                return  # another process stores it
            catalog = self.open()
            for earlier in in_order([path])[:-1]:
                self._store_earlier(earlier, catalog)
            ingest(path, catalog)
            follow(self.then, catalog, path.stem)  # a crash then leaves the log to recover
            set_aside(path)

    def _store_earlier(self, path: Path, catalog: Any) -> None:
        """Store a run that is continued, as ``redoxscope recover`` does: its client was killed."""
        if path.parent.name == STORED:
            return
        report = store_log(path, catalog, self.then)
        if report.status in ("failed", "running"):
            log.warning("%s", _words(path, report.message))


def _stored_by_another(path: Path) -> bool:
    return not path.exists() and (path.parent / STORED / path.name).exists()


def _words(path: Path, problem: str) -> str:
    if not path.exists():
        return f"run {path.stem} is not in the catalog ({problem}), and its log is gone: {path}"
    return (
        f"run {path.stem} is not in the catalog ({problem}). Its data are safe in {path}; put them "
        "into the catalog with: redoxscope recover"
    )
