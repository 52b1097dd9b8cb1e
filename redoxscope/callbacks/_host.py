"""Runs live analyses: documents into a queue, a thread that reads them, snapshots out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from queue import Empty, Queue
from typing import Any, NamedTuple

from ..inputs import as_number
from ._analysis import Analysis, Update
from ._documents import Doc
from ._live_run import LiveRun
from ._open_runs import OpenRuns
from ._registry import analyses as all_analyses
from ._results import Result

__all__ = ["Host"]

logger = logging.getLogger(__name__)

DOCUMENTS = (
    "start", "descriptor", "event", "event_page", "stream_resource", "stream_datum", "stop",
)  # fmt: skip
KEPT_RUNS = 3
"""Ended runs whose last snapshots are kept until their results are stored."""


class Host:
    """Runs any number of live analyses on a thread of its own: ``RE.subscribe(Host())``.

    On the RunEngine's thread a document is only put into a queue; nothing waits, not even at the
    stop document. Several runs may go on at once. An error in an analysis ends that analysis of
    that run: it is logged, kept in `errors` and shown in the snapshot's message; it reaches neither
    other analyses nor the RunEngine. What a user looks at after the end of a run is final: `wait`,
    `latest`, `errors` wait for that.

    Parameters
    ----------
    analyses : iterable of Analysis, optional
        By default all there are, see `redoxscope.callbacks.analyses`.
    options : dict, optional
        By an analysis's name: what its reader is made with.
    on_update : callable, optional
        Called with an `Update` from the worker thread, at most ``rate`` times a second for each
        run and analysis, and at the end. It should not block; what it raises is logged and it is
        not called again.
    rate : float
        Most calls of ``on_update`` per second, Hz.
    timeout : float
        Longest time (s) that a look at what is final, and `close`, wait.

    Attributes
    ----------
    tell : callable
        Called with each sentence that a user should read, from the worker thread: what speaks
        against a result, at the end of a run. By default a warning in the log.

    Raises
    ------
    ValueError
        Two analyses have one name, options are for none, or a number is none.
    """

    def __init__(
        self,
        analyses: Iterable[Analysis] | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        on_update: Callable[[Update], object] | None = None,
        rate: float = 2.0,
        timeout: float = 60.0,
    ) -> None:
        self.analyses = tuple(all_analyses() if analyses is None else analyses)
        names = [analysis.name for analysis in self.analyses]
        given = dict(options or {})
        for name in [*names, *given]:
            if names.count(name) != 1:
                raise ValueError(
                    f"two analyses are called {name!r}"
                    if name in names
                    else f"options are given for {name!r}; there are {', '.join(names) or 'none'}"
                )
        self._options = {
            a.name: given[a.name] if a.name in given else a.options() for a in self.analyses
        }
        self._period = 1.0 / as_number("rate", rate, "Hz", above=0)
        # What a lock cannot wait for would fail where somebody looks.
        self.timeout = as_number("timeout", timeout, "s", at_least=0, at_most=threading.TIMEOUT_MAX)
        self.on_update = on_update
        self.tell: Callable[[str], object] = partial(logger.warning, "%s")
        self._queue: Queue[tuple[int, _Message | None]] = Queue()
        self._idle = threading.Condition()
        self._put = self._done = 0
        self._asked = 0  # number of the last message whose effect a look waits for
        self._newest_run = ""
        self._worker: threading.Thread | None = None
        self._working = threading.Lock()
        self._reading: threading.Thread | None = None  # also while it is being closed
        self._runs: dict[tuple[str, str], LiveRun] = {}  # replaced as a whole
        self._finals: dict[str, list[tuple[Analysis, list[Any]]]] = {}  # by run, the newest last
        self._wanted: list[Analysis] = []
        self._open = OpenRuns(self._begun)

    # -- from any thread -----------------------------------------------------------------------

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document. Returns at once."""
        if name in DOCUMENTS:
            if name == "start":
                self._newest_run = str(doc.get("uid", ""))
            self._post(_Message(name, doc), asked=name == "stop")

    def send(self, kind: str, content: Any, *, at_once: bool = False, run: str = "") -> None:
        """Give what is no document to the readers of all runs, or of one; see `Reader.told`.

        Parameters
        ----------
        kind : str
            What it is, as the analysis calls it: ``"photons"``.
        content : Any
        at_once : bool
            A user asks for it: who then looks sees what it has changed.
        run : str
            Uid of the run that it is of; by default all are told.
        """
        self._post(_Message(kind, content, False, at_once, run), asked=at_once)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was given so far is in the snapshots.

        Parameters
        ----------
        timeout : float, optional
            Longest time to wait, s; by default for ever.

        Returns
        -------
        bool
            False if the time was not enough; or, called from ``on_update`` or an analysis, if there
            is something to do: what is waited for here is done by the thread that calls.
        """
        with self._idle:
            target = self._put
            return self._wait_for(lambda: self._done >= target, timeout)

    def _wait_for(self, what: Callable[[], bool], timeout: float | None) -> bool:
        """Wait with the lock held; not on the worker's own thread, which would wait for itself."""
        if threading.current_thread() is self._reading:
            return what()
        return self._idle.wait_for(what, timeout)

    @property
    def pending(self) -> str:
        """What is not done yet, in words; empty if nothing."""
        with self._idle:
            if self._done >= self._put:
                return ""
        titles = " and ".join(analysis.title for analysis in self.analyses)
        return f"{titles} of run {self._newest_run[:8]}" if self._newest_run else titles

    def close(self) -> None:
        """End the worker thread after what is in its queue; a later document begins another."""
        worker, self._worker = self._worker, None
        if worker is None:
            return
        self._queue.put((0, None))
        worker.join(self.timeout)
        if worker.is_alive():
            with self._idle:  # it ends where it comes to that; two must not share the queue
                self._worker = self._worker or worker
            logger.warning("%s not done after %g s; left to itself", self.pending, self.timeout)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- results -------------------------------------------------------------------------------

    @property
    def runs(self) -> list[LiveRun]:
        """Runs that go on, and the last that ended of each analysis, the newest last."""
        self._answered()
        return list(self._runs.values())

    @property
    def latest(self) -> dict[tuple[str, str, str], Any]:
        """What was published last, by run uid, analysis and part."""
        return {
            (run.uid, run.analysis.name, part): snapshot
            for run in self.runs
            for part, snapshot in run.snapshots.items()
        }

    @property
    def errors(self) -> dict[tuple[str, str], Exception]:
        """What went wrong, by run uid and analysis."""
        return {
            (run.uid, run.analysis.name): run.refusal
            for run in self.runs
            if run.refusal is not None
        }

    def results(self, run: str, timeout: float | None = None) -> list[Result]:
        """All that was found in a run that has ended, as it was when it ended.

        Parameters
        ----------
        run : str
            Uid.
        timeout : float, optional
            Longest time (s) to wait for it; by default as long as there is something to do.

        Raises
        ------
        LookupError
            There is nothing of this run: it was not seen, has not ended, nothing was made of it,
            or others have ended since.
        """
        with self._idle:
            target = self._put
            self._wait_for(lambda: run in self._finals or self._done >= target, timeout)
            found = self._finals.get(run)
        if found is None:
            titles = " or ".join(analysis.title for analysis in self.analyses)
            raise LookupError(
                f"there is no final {titles} of run {run[:8]} here: it was not seen, is not over, "
                f"failed, or {KEPT_RUNS} others have ended since"
            )
        results: list[Result] = []
        for analysis, snapshots in found:
            try:
                results += [one for snapshot in snapshots for one in analysis.results(snapshot)]
            except Exception as error:  # the others' are stored
                logger.error(
                    "%s of run %s: no results: %s", analysis.title, run[:8], error, exc_info=error
                )
        return results

    def _answered(self) -> None:
        """Wait until runs that have ended, and what users asked for, are in the snapshots."""
        if self._done >= self._asked or threading.current_thread() is self._reading:
            return
        with self._idle:
            if not self._idle.wait_for(lambda: self._done >= self._asked, self.timeout):
                logger.warning(
                    "%s is not done after %g s; what is shown is older", self.pending, self.timeout
                )

    # -- on the worker's thread ----------------------------------------------------------------

    def _post(self, message: _Message, *, asked: bool) -> None:
        with self._idle:
            if self._worker is None or not self._worker.is_alive():
                name = f"live-{'-'.join(analysis.name for analysis in self.analyses)}"
                self._worker = threading.Thread(target=self._work, name=name, daemon=True)
                self._worker.start()
            self._put += 1
            if asked:
                self._asked = self._put
            self._queue.put((self._put, message))  # in the lock: numbers rise in the queue

    def _work(self) -> None:
        with self._working:  # one that is being closed comes to its end first
            self._reading = threading.current_thread()
            self._read()

    def _read(self) -> None:
        number = self._done
        while True:
            changed = [run for run in self._runs.values() if run.changed]
            busy = [run for run in self._runs.values() if run.busy]
            due = min((run.due for run in changed), default=None)
            try:
                left = None if due is None else max(due - time.monotonic(), 0.0)
                put, message = self._queue.get(timeout=0.0 if busy else left)
            except Empty:
                closing = False
                for run in busy:
                    run.work()
            else:
                closing = message is None
                if message is not None:
                    number = put
                    self._guarded(message)
            now = time.monotonic()
            for run in self._runs.values():
                if run.changed and (closing or now >= run.due):
                    run.publish()
                waits = run.changed or run.busy
                run.since = run.since or number if waits else None
            with self._idle:
                waiting = [run.since for run in self._runs.values() if run.since is not None]
                self._done = min(waiting, default=number + 1) - 1
                self._idle.notify_all()
            if closing:
                return

    def _guarded(self, message: _Message) -> None:
        try:
            self._take(*message)
        except Exception as error:
            # What comes over a network may be anything; the thread has to go on.
            logger.error("a %s could not be read: %s", message.name, error, exc_info=error)

    def _take(self, name: str, content: Any, document: bool, at_once: bool, of: str) -> None:
        if not document:
            for run in self._runs.values():
                if of in ("", run.uid):
                    run.told(name, content, at_once=at_once)
        elif name == "start":
            self._start(content)
        else:
            self._open.take(name, content)
            if name == "stop":
                self._keep(content["run_start"])

    def _start(self, start: dict[str, Any]) -> None:
        if start["uid"] in self._open:  # came twice
            return
        wanted = [analysis for analysis in self.analyses if self._accepts(analysis, start)]
        if not wanted:
            return
        # Before the reader is made: it looks how much memory there is.
        self._runs = {
            key: run
            for key, run in self._runs.items()
            if run.ended is None or run.analysis not in wanted
        }
        self._wanted = wanted
        self._open.start(start)

    def _keep(self, uid: str) -> None:
        """Keep what a run ended with."""
        ended = [run for run in self._runs.values() if run.uid == uid and run.error is None]
        found = [(run.analysis, list(run.snapshots.values())) for run in ended if run.snapshots]
        if not found:
            return
        kept = list(self._finals.items())[1 - KEPT_RUNS :]
        with self._idle:
            self._finals = {**dict(kept), uid: found}

    def _accepts(self, analysis: Analysis, start: Doc) -> bool:
        try:
            return bool(analysis.accepts(start))
        except Exception as error:  # the others go on
            logger.error(
                "%s does not know whether it wants run %s: %s", analysis.title, start["uid"], error
            )
            return False

    def _begun(self, start: Doc) -> list[LiveRun]:
        """Who is to get the documents of a run."""
        new = {
            (start["uid"], analysis.name): LiveRun(
                analysis,
                start["uid"],
                self._options[analysis.name],
                period=self._period,
                show=self._show,
                tell=self._tell,
            )
            for analysis in self._wanted
        }
        self._runs = {**self._runs, **new}
        return list(new.values())

    def _tell(self, text: str) -> None:
        try:
            self.tell(text)
        except Exception:
            logger.exception("tell failed: %s", text)

    def _show(self, update: Update) -> None:
        if self.on_update is None:
            return
        try:
            self.on_update(update)
        except Exception:
            logger.exception("on_update failed and is not called again")
            self.on_update = None


class _Message(NamedTuple):
    """What is in the queue: a document, or something else (``document`` False)."""

    name: str
    content: Any
    document: bool = True
    at_once: bool = False
    run: str = ""
