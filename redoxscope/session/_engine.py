"""The RunEngine of a session: how it waits, how a run of it is ended, how it is put away."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bluesky import RunEngine
from bluesky.utils import DefaultDuringTask, SigintHandler
from event_model import DocumentNames

from ..plans import RunProgressBar
from . import _signals

__all__ = [
    "END_TIMEOUT",
    "close_engine",
    "end_run",
    "make_engine",
    "pause_for",
    "stop_now",
]

log = logging.getLogger("redoxscope.session")

END_TIMEOUT = 120.0
"""Longest time (s) for the clean-up of a run: each of its moves has a time limit of its own."""

_ENDING = ("aborting", "stopping", "halting")
_OVER = ("idle", "panicked")


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class _CtrlC(SigintHandler):
    """Ctrl-C pauses; without effect where a plan runs in another thread, which gets no signals."""

    def __enter__(self) -> Any:
        self._mine = _in_main_thread()
        return super().__enter__() if self._mine else self

    def __exit__(self, *error: Any) -> None:
        if self._mine:
            super().__exit__(*error)


class _Awake(DefaultDuringTask):
    """Waits for the end of a plan and looks up now and then.

    A signal that another thread was given is handled when the main thread runs; a bare wait
    would sleep through it.
    """

    def block(self, blocking_event: threading.Event) -> None:
        if not _in_main_thread():
            blocking_event.wait()
            return
        self._wait(blocking_event)
        _signals.leave_if_received()

    def _wait(self, blocking_event: threading.Event) -> None:
        if "matplotlib" in sys.modules:
            import matplotlib

            backend = matplotlib.get_backend().lower()
            if any(kind in backend for kind in ("qt", "nbagg", "ipympl")):
                super().block(blocking_event)  # it runs the window's loop meanwhile
                return
        while not blocking_event.wait(0.2):
            pass


class _News(logging.Filter):
    """Not what the caller is told by an exception or asked for himself; nor of bluesky's traces.

    The logger is that of all engines of the process: what others say of themselves passes.
    """

    def __init__(self, engine: RunEngine):
        super().__init__()
        self.engine = engine

    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg == "Run aborted":
            return getattr(record, "RE", None) is not self.engine
        return record.msg != "No open traces left to close!"


class _InOrder:
    """Documents one after the other, and no event of a run that is over.

    A monitor emits in the thread that heard of the change, which may be in the middle of it while
    the RunEngine closes the run: no reader of documents expects an event after the stop.
    """

    def __init__(self, engine: RunEngine):
        self._lock = threading.RLock()  # a callback may emit, too
        self._runs: dict[str, str] = {}  # of descriptors, while they are open
        self._process = engine.dispatcher.process
        engine.dispatcher.process = self  # type: ignore[method-assign]

    def __call__(self, name: Any, doc: Any) -> None:
        with self._lock:
            if name is DocumentNames.event and doc["descriptor"] not in self._runs:
                return
            if name is DocumentNames.descriptor:
                self._runs[doc["uid"]] = doc["run_start"]
            try:
                self._process(name, doc)
            finally:
                if name is DocumentNames.stop:
                    over = doc["run_start"]
                    self._runs = {key: run for key, run in self._runs.items() if run != over}


def make_engine(
    md: Any, *, kind: Callable[..., RunEngine] = RunEngine, **options: Any
) -> RunEngine:
    """A RunEngine that can be used from any thread, and tells an error once."""
    engine = kind(md, context_managers=[_CtrlC], during_task=_Awake(), **options)
    hook: Any = RunProgressBar()  # it draws where there is a terminal
    engine.waiting_hook = hook
    _InOrder(engine)
    engine.log.logger.addFilter(_News(engine))
    return engine


def pause_for(engine: RunEngine, message: str, *, over: Callable[[], bool]) -> None:
    """Pause at the next checkpoint, so that the user decides whether to go on.

    Parameters
    ----------
    engine : bluesky.RunEngine
    message : str
        Why.
    over : callable
        Whether what it is about has ended by itself: then it is told only, since the pause would
        be one of what comes next.
    """
    if engine.state != "running" or over():
        log.warning("%s.", message)
        return
    log.warning("%s. Pausing: RE.resume() goes on, RE.stop() ends the run.", message)

    def pause() -> None:
        if over():
            return
        try:
            engine.request_pause(defer=True)
        except RuntimeError as exc:
            log.warning("not paused: %s", exc)  # the run has just ended

    # This waits for the RunEngine, which at the end of a run waits for the map, who calls here.
    threading.Thread(target=pause, daemon=True, name="damage-pause").start()


def end_run(engine: RunEngine, reason: str, timeout: float = END_TIMEOUT) -> bool:
    """Abort what a RunEngine is doing, whatever its state, and wait for the end of its clean-up.

    Parameters
    ----------
    engine : bluesky.RunEngine
    reason : str
        For the stop document.
    timeout : float
        Longest time (s) for the clean-up.

    Returns
    -------
    bool
        False when it has not ended in time.
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    worker: threading.Thread | None = None

    def abort() -> None:
        try:
            engine.abort(reason)
        except Exception as exc:  # the plan's own error, or it has just ended by itself
            log.info("while aborting: %s", exc)

    while engine.state not in _OVER:
        if time.monotonic() > deadline:
            return False
        busy = worker is not None and worker.is_alive()
        if engine.state not in _ENDING and not busy:
            # In a thread: where the run is paused, this returns when the clean-up is over.
            worker = threading.Thread(target=abort, daemon=True, name="abort")
            worker.start()
        pause.wait(0.02)
    if worker is not None:
        worker.join(timeout=1)
    return True


def close_engine(engine: RunEngine) -> None:
    """End the RunEngine's thread and event loop; it can run nothing any more."""
    logger = engine.log.logger
    for news in [each for each in logger.filters if isinstance(each, _News)]:
        if news.engine is engine:
            logger.removeFilter(news)
    # bluesky has no public way to end the thread that it starts.
    from bluesky.run_engine import _ensure_event_loop_running  # noqa: PLC2701

    loop = engine.loop
    thread = vars(_ensure_event_loop_running)["loop_to_thread"].pop(loop, None)
    if thread is None or thread is threading.current_thread():
        return
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=5)
    if thread.is_alive():
        log.warning("the RunEngine's thread does not end")
    else:
        loop.close()


def stop_now(*devices: Any) -> None:
    """Stop devices where no plan can: each is tried, what fails is logged.

    What heats ramps down: to be held hot is not to be safe.
    """
    for device in devices:
        try:
            getattr(device, "make_safe", device.stop)()
        except Exception as exc:
            log.error("%s: not halted: %s. CHECK IT BY HAND.", device.name, exc)
