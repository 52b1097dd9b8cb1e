"""Analyses in a process of their own, beside the one that scans."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import IO, Any

import numpy as np

from ...documents import json_bytes
from ...inputs import as_number, as_whole
from ...photons import LiveBatch
from .. import wire
from .._analysis import Update
from .._registry import analysis, options_of
from .._results import NotDoneError, Result
from .._update import update_from_wire

__all__ = ["HostProcess"]

logger = logging.getLogger(__name__)

RUNS_KEPT = 3
"""Runs whose newest snapshots are kept."""


class HostProcess:
    """Runs live analyses in another process: ``RE.subscribe(HostProcess(on_update=view))``.

    As `Host`, but what the analyses compute never holds this process's interpreter. On the
    RunEngine's thread a document is only put into a queue. A snapshot that comes while a run goes
    on is thinned for a screen; the last one of a run is whole. Where the process ends before its
    time, that is logged and stands in `error`; the scan goes on.

    Parameters
    ----------
    analyses : iterable of str, optional
        Names of installed analyses; by default all there are.
    on_update : callable, optional
        Called with each `Update`, from a thread of its own. What it raises is logged and it is not
        called again.
    rate : float
        Most snapshots per second of each run and analysis, Hz.
    timeout : float
        Longest time (s) that `close` waits for what has not been read.
    options : dict of str to dict, optional
        For an analysis, by its name, what differs from its options by default; JSON-able.
    most_waiting : int
        Most documents that wait to be sent; more are dropped, and counted.

    Attributes
    ----------
    tell : callable
        Called with each sentence that a user should read; by default a warning in the log.
    latest : dict of (str, str, str) to Update
        The newest of each run, analysis and part, of the last runs.
    lost : int
        Documents that were dropped.
    error : Exception or None
        Why the process does no more.

    Raises
    ------
    ValueError
        There is no such analysis, a number is none, or an analysis has no such option.
    """

    def __init__(
        self,
        analyses: Iterable[str] | None = None,
        *,
        on_update: Callable[[Update], object] | None = None,
        rate: float = 2.0,
        timeout: float = 60.0,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        most_waiting: int = 10_000,
    ) -> None:
        arguments = [f"--rate={as_number('rate', rate, 'Hz', above=0)!r}"]
        for name in () if analyses is None else analyses:
            arguments.append(f"--analysis={analysis(name).name}")
        if options:
            for name, chosen in options.items():
                options_of(name, chosen)  # refused here, not there
            arguments.append(f"--options={json_bytes(dict(options)).decode()}")
        self.timeout = as_number("timeout", timeout, "s", at_least=0, at_most=threading.TIMEOUT_MAX)
        self._most = as_whole("most_waiting", most_waiting, at_least=1)
        self.on_update = on_update
        self.tell: Callable[[str], object] | None = partial(logger.warning, "%s")
        self.latest: dict[tuple[str, str, str], Update] = {}
        self.lost = 0
        self.error: Exception | None = None
        self._waiting: deque[tuple[str, Any]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._asked = self._answered = 0
        # Not multiprocessing: spawning would import the user's script again. A session of its
        # own, so that Ctrl-C at the terminal reaches the scan and not the maps.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "redoxscope.callbacks.remote", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._threads = [
            threading.Thread(target=target, name=f"host-process-{what}", daemon=True)
            for what, target in (("sender", self._send), ("reader", self._read))
        ]
        for thread in self._threads:
            thread.start()

    # -- from any thread -----------------------------------------------------------------------

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document. Returns at once."""
        self._put(name, doc)

    def photons(self, batch: LiveBatch) -> None:
        """Take photons of the point under way: ``tes.subscribe_batches(host.photons)``."""
        self._put("photons", batch)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all that was given so far is in `latest`.

        Parameters
        ----------
        timeout : float, optional
            Longest time to wait, s; by default for ever.

        Returns
        -------
        bool
            False if the time was not enough, the process is gone, or it is called from
            ``on_update``, whose thread reads the answer.
        """
        with self._changed:
            if self.error is not None or threading.current_thread() in self._threads:
                return False
            self._asked += 1
            mine = self._asked
            self._waiting.append(("wait", mine))
            self._changed.notify_all()
            done = self._changed.wait_for(
                lambda: self._answered >= mine or self.error is not None, timeout
            )
            return done and self.error is None

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
        NotDoneError
            The time is over, and it goes on.
        LookupError
            There is nothing of this run: it was not seen, has not ended, nothing was made of it,
            the process is gone, or others have ended since.
        """
        done = self.wait(timeout)
        found = [update for key, update in self.latest.items() if key[0] == run and update.final]
        if not found:
            what = f"there is no final snapshot of run {run[:8]} here"
            if not done and self.error is None:
                raise NotDoneError(f"{what}: it is not done")
            raise LookupError(f"{what}: {self.error or 'nothing was made of it'}")
        return [one for each in found for one in analysis(each.analysis).results(each.snapshot)]

    @property
    def pending(self) -> str:
        """What is not done yet, in words; empty if nothing."""
        with self._changed:
            idle = self._answered >= self._asked and not self._waiting
            return "" if idle or self.error is not None else "live analyses in their process"

    def kill(self) -> None:
        """End the process at once; what it was at is lost."""
        self._process.kill()

    def close(self) -> None:
        """End the process after what it was given."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        try:
            self._process.wait(self.timeout)
        except subprocess.TimeoutExpired:
            logger.warning("live analyses are not done after %g s and are ended", self.timeout)
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(self.timeout)

    def __enter__(self) -> HostProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _put(self, name: str, content: Any) -> None:
        with self._changed:
            if self.error is not None or len(self._waiting) >= self._most:
                self.lost += name != "photons"
                return
            self._waiting.append((name, content))
            self._changed.notify_all()

    # -- on the threads of this -----------------------------------------------------------------

    def _send(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            with pipe:
                while True:
                    with self._changed:
                        self._changed.wait_for(
                            lambda: self._closing or self._waiting or self.error is not None
                        )
                        waiting, self._waiting = self._waiting, deque()
                        if self.error is not None or not waiting:
                            return
                    for name, content in waiting:
                        self._send_one(pipe, name, content)
        except OSError:
            pass  # the process is gone, which the reader says

    def _send_one(self, pipe: IO[bytes], name: str, content: Any) -> None:
        try:
            if name == "wait":
                message = wire.encode({"wait": content}, {})
            elif name == "photons":
                header, arrays = wire.pack(content)
                message = wire.encode({"photons": header}, arrays)
            else:
                text = np.frombuffer(json_bytes(content), np.uint8)
                message = wire.encode({"document": name}, {"json": text})
        except (TypeError, ValueError) as exc:
            logger.warning("live analyses do without a document (%s): %s", name, exc)
            self.lost += 1
            return
        pipe.write(message)
        pipe.flush()

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        error: Exception | None = None
        try:
            with pipe:
                while (message := wire.read(pipe)) is not None:
                    self._take(*message)
        except Exception as exc:  # where live analyses end for a fault, the scan goes on
            error = exc
            self._process.kill()  # nothing that it says can be understood any more
        status = self._process.wait()
        with self._changed:
            if error is None and not (self._closing and status == 0):
                error = RuntimeError(f"the process of the live analyses ended (status {status})")
            self.error = error
            self._changed.notify_all()
        if error is not None:
            logger.error("no live analyses any more: %s; the scan goes on", error)

    def _take(self, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        if "done" in header:
            with self._changed:
                self._answered = header["done"]
                self._changed.notify_all()
        elif "tell" in header:
            self._call("tell", str(header["tell"]))
        else:
            self._show(update_from_wire(header, arrays))

    def _call(self, name: str, content: Any) -> None:
        """Call what the user gave; one that fails is not called again."""
        function = getattr(self, name)
        if function is not None:
            try:
                function(content)
            except Exception:
                logger.exception("%s failed and is not called again", name)
                setattr(self, name, None)

    def _show(self, update: Update) -> None:
        latest = {**self.latest, (update.run, update.analysis, update.part): update}
        runs = list(dict.fromkeys(run for run, _, _ in latest))
        for run in runs[:-RUNS_KEPT]:
            latest = {key: value for key, value in latest.items() if key[0] != run}
        self.latest = latest
        self._call("on_update", update)
