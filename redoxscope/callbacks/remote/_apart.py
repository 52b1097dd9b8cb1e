"""An analysis that computes much, beside a session: a process that is begun when it is needed."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from ...inputs import as_number
from .._analysis import Analysis, Update
from .._documents import Doc
from .._registry import options_of
from .._results import Result
from ._process import HostProcess

__all__ = ["ApartHost"]

logger = logging.getLogger(__name__)


class ApartHost:
    """Runs one analysis in a process of its own, which begins with the first run that it wants.

    A callback, as `Host`: ``RE.subscribe(ApartHost(ANALYSIS))``. It gets the documents of runs that
    the analysis accepts, and of no others. A process that ended before its time is begun anew with
    the next of these runs.

    Parameters
    ----------
    analysis : Analysis
        An installed one.
    options : mapping, optional
        What differs from its options by default; JSON-able.
    on_update : callable, optional
        Called with each `Update`, from a thread of its own.
    rate : float
        Most snapshots per second, Hz.
    timeout : float
        Longest time (s) that `close` waits for what has not been read.

    Attributes
    ----------
    tell : callable
        Called with each sentence that a user should read; by default a warning in the log.

    Raises
    ------
    ValueError
        A number is none, or the analysis has no such option.
    """

    def __init__(
        self,
        analysis: Analysis,
        *,
        options: Mapping[str, Any] | None = None,
        on_update: Callable[[Update], object] | None = None,
        rate: float = 2.0,
        timeout: float = 60.0,
    ) -> None:
        self.analysis = analysis
        self._options = {analysis.name: dict(options)} if options else None
        if options:
            options_of(analysis.name, options)  # refused before the first run
        self.on_update = on_update
        self.tell: Callable[[str], object] = partial(logger.warning, "%s")
        self._rate = as_number("rate", rate, "Hz", above=0)
        self._timeout = as_number("timeout", timeout, "s", at_least=0)
        self._process: HostProcess | None = None
        self._open: set[str] = set()  # uids of runs that go on
        self._asked: set[str] = set()  # of runs that were given to the process
        self._lock = threading.Lock()

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document. Returns at once."""
        if name == "start":
            self._start(doc)
        elif self._open and self._process is not None:
            self._process(name, doc)
            if name == "stop":
                self._open.discard(doc.get("run_start", ""))

    def _start(self, start: Doc) -> None:
        try:
            wanted = bool(self.analysis.accepts(start))
        except Exception as error:  # of whoever wrote the analysis: the scan goes on
            logger.error("%s cannot say whether it wants a run: %s", self.analysis.title, error)
            return
        if not wanted:
            return
        with self._lock:
            old = self._process
            if old is not None and old.error is not None:
                old.close()
                self._open, self._asked, old = set(), set(), None
            if old is None:
                self._process = None
                try:
                    self._process = HostProcess(
                        [self.analysis.name], on_update=self._show, rate=self._rate,
                        timeout=self._timeout, options=self._options,
                    )  # fmt: skip
                except (OSError, RuntimeError) as error:  # no memory, too many processes or threads
                    logger.error(
                        "no %s: its process cannot be begun: %s; the scan goes on",
                        self.analysis.title, error,
                    )  # fmt: skip
                    return
                self._process.tell = self._tell
        assert self._process is not None
        self._open.add(start["uid"])
        self._asked.add(start["uid"])
        self._process("start", start)

    def _show(self, update: Update) -> None:
        if self.on_update is not None:
            self.on_update(update)

    def _tell(self, text: str) -> None:
        self.tell(text)

    @property
    def error(self) -> Exception | None:
        """Why the process does no more; None where it does, or was never needed."""
        return None if self._process is None else self._process.error

    @property
    def latest(self) -> dict[tuple[str, str, str], Any]:
        """What came last, by run uid, analysis and part."""
        there = {} if self._process is None else self._process.latest
        return {key: update.snapshot for key, update in there.items()}

    @property
    def snapshot(self) -> Any:
        """What came last of all; None before there is anything."""
        return next(reversed(self.latest.values()), None)

    @property
    def pending(self) -> str:
        """What is not done yet, in words; empty if nothing."""
        there = self._process is not None and self._process.pending
        return self.analysis.title if there else ""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was given so far is in `latest`.

        Parameters
        ----------
        timeout : float, optional
            Longest time, s; by default for ever.

        Returns
        -------
        bool
            False if the time was not enough or the process is gone.
        """
        return self._process is None or self._process.wait(timeout)

    def results(self, run: str, timeout: float | None = None) -> list[Result]:
        """All that was found in a run that has ended; see `Host.results`.

        Raises
        ------
        LookupError
            There is nothing of this run.
        """
        if self._process is None or run not in self._asked:
            raise LookupError(f"there is no {self.analysis.title} of run {run[:8]} here")
        return self._process.results(run, timeout)

    def give_up(self) -> None:
        """End what is being computed: who waits for results of it waits no longer."""
        process = self._process
        if process is not None:
            logger.warning("%s is not done and is given up", self.analysis.title)
            process.kill()

    def close(self) -> None:
        """End the process after what it was given."""
        process, self._process = self._process, None
        if process is not None:
            process.close()

    def __enter__(self) -> ApartHost:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
