"""SIGTERM and SIGHUP (a closed terminal) end a session in good order.

The run is aborted as after Ctrl-C and ``RE.abort()``: scanner halted, shutter closed, stop
document written. Then the process ends with the status 128 + n that a shell gives for a signal.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

__all__ = ["Endable", "leave_if_received", "reason", "unwatch", "watch"]

log = logging.getLogger("redoxscope.session")

SIGNALS = (signal.SIGTERM, signal.SIGHUP)
CLOSE_TIMEOUT = 30.0
"""Longest time (s), after the runs have ended, for the main thread to close the sessions."""
AGAIN = 10.0
"""Time (s) after which the main thread is told again to leave."""


class Endable(Protocol):
    """A session, as a signal sees it."""

    ended_by: int | None
    closing: bool
    closed: threading.Event

    def end_run(self, reason: str) -> bool: ...


class _Watch:
    """Sessions of this process, and what ends them."""

    def __init__(self) -> None:
        self.sessions: list[Endable] = []
        self.received: int | None = None
        self.runs_ended = False
        self._before: dict[int, Any] = {}
        # Its put may interrupt itself, which a handler's must be able to; no get has a time limit.
        self._queue: queue.SimpleQueue[int | None] = queue.SimpleQueue()  # noqa: TID251

    def install(self) -> None:
        self.received, self.runs_ended = None, False
        self._queue = queue.SimpleQueue()  # noqa: TID251
        for number in SIGNALS:
            before = signal.getsignal(number)
            if before in (signal.SIG_IGN, self.handle):
                continue  # nohup: the user wants it to go on; or ours is there already
            self._before[number] = before
            signal.signal(number, self.handle)
        args = (self._queue,)
        threading.Thread(target=self._run, args=args, daemon=True, name="end-by-signal").start()

    def restore(self) -> None:
        self._queue.put(None)
        if threading.current_thread() is not threading.main_thread():
            return  # only the main thread can: `handle` does it when a signal comes
        for number, before in self._before.items():
            if signal.getsignal(number) == self.handle:  # else somebody has taken it over
                signal.signal(number, signal.SIG_DFL if before is None else before)
        self._before.clear()

    def handle(self, number: int, frame: FrameType | None) -> None:
        if not self.sessions:
            self.restore()
            signal.raise_signal(number)
        elif self.received is None:
            self.received = number
            for session in self.sessions:  # from now on it starts no plan
                session.ended_by = number  # here: the main thread may close it before the other
            self._queue.put(number)
        elif self.runs_ended and not any(s.closing for s in self.sessions):
            raise SystemExit(128 + self.received)
        # else it comes during the clean-up, which goes on

    def _run(self, orders: queue.SimpleQueue[int | None]) -> None:  # noqa: TID251
        number = orders.get()
        if number is None:
            return
        name = signal.Signals(number).name
        sessions = list(self.sessions)
        endure_lost_output()
        log.warning("%s: ending the session", name)
        for session in sessions:
            try:
                session.end_run(reason(number))
            except Exception:
                log.exception("a run could not be ended. CHECK SHUTTER AND SCANNER BY HAND")
        _leave_ipython()
        self.runs_ended = True
        main = threading.main_thread().ident
        with _lock:  # not once the handlers are what they were
            if self.sessions and main is not None:
                signal.pthread_kill(main, number)  # it leaves what it does, and closes
        deadline = time.monotonic() + CLOSE_TIMEOUT
        for session in sessions:
            while not session.closed.wait(min(AGAIN, max(deadline - time.monotonic(), 0.0))):
                if time.monotonic() >= deadline:
                    log.error(
                        "%s: the session was not closed in %g s; leaving", name, CLOSE_TIMEOUT
                    )
                    os._exit(128 + number)
                # Whoever runs plans for others, as a queue server, takes a SystemExit that comes
                # within one for a failed plan.
                with _lock:
                    if session in self.sessions and not session.closing and main is not None:
                        signal.pthread_kill(main, number)


_watch = _Watch()
_lock = threading.Lock()


def watch(session: Endable) -> None:
    """End this session on a signal, until `unwatch`. Only the main thread can arrange for it."""
    if threading.current_thread() is not threading.main_thread():
        log.info("started outside the main thread: SIGTERM and SIGHUP are left alone")
        return
    with _lock:
        if not _watch.sessions:
            _watch.install()
        _watch.sessions.append(session)


def unwatch(session: Endable) -> None:
    """Leave it alone again; after the last session the handlers are what they were."""
    with _lock:
        if session not in _watch.sessions:
            return
        _watch.sessions.remove(session)
        if not _watch.sessions:
            _watch.restore()


def reason(number: int) -> str:
    """Why a run was aborted, for its stop document."""
    return f"the process received {signal.Signals(number).name}"


def leave_if_received() -> None:
    """After a signal, leave the main thread's plan by `SystemExit`, before anything goes on."""
    if _watch.received is not None and _watch.sessions:
        raise SystemExit(128 + _watch.received)


def _leave_ipython() -> None:
    """Have IPython end after the present cell, which would only print a SystemExit."""
    module = sys.modules.get("IPython")
    shell = None if module is None else module.get_ipython()
    if shell is not None and hasattr(shell, "ask_exit"):
        shell.ask_exit()


class _Enduring:
    """A text stream that goes nowhere when what it wrote to is gone."""

    def __init__(self, stream: Any):
        self._stream = stream

    def _try(self, action: Callable[[], Any]) -> Any:
        try:
            return action()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                _to_nowhere(self._stream.fileno())
            return 0

    def write(self, text: str) -> Any:
        return self._try(lambda: self._stream.write(text))

    def flush(self) -> Any:
        return self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _to_nowhere(fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, fd)
    os.close(nowhere)


def endure_lost_output() -> None:
    """Have no clean-up fail because nobody is left to print to.

    bluesky prints before it aborts, and flushes before it writes the stop document; with a
    terminal or pipe that is gone both raise.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            fd = stream.fileno()
            poll = select.poll()
            poll.register(fd, 0)
            if any(what & (select.POLLHUP | select.POLLERR) for _, what in poll.poll(0)):
                _to_nowhere(fd)
    if sys.stdout is not None and not isinstance(sys.stdout, _Enduring):
        sys.stdout = _Enduring(sys.stdout)
    if sys.stderr is not None and not isinstance(sys.stderr, _Enduring):
        sys.stderr = _Enduring(sys.stderr)
