"""What live callbacks share: documents into a queue, a worker that reads them, snapshots out."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from ..contract import as_number

__all__ = ["LiveCallback", "Reader"]

logger = logging.getLogger(__name__)
Doc = Mapping[str, Any]
Message = tuple[str, Any]

DOCUMENTS = ("start", "descriptor", "event", "event_page", "stop")

BESIDES = ("baseline", "interruptions")
"""Streams that come also where no data are taken."""

MOST_AT_ONCE = 200
"""Most documents between two snapshots."""


class Shown(Protocol):
    """A snapshot, as far as it need be known here."""

    def with_message(self, message: str) -> Any:
        """Return a copy with another message."""


S = TypeVar("S", bound=Shown)
S_co = TypeVar("S_co", covariant=True)


class Reader(Protocol[S_co]):
    """Takes the documents of one run. No threads in it."""

    def describe(self, descriptor: Doc) -> bool:
        """Take a descriptor; whether the events of its stream are wanted."""

    def take(self, name: str, doc: Doc) -> Iterable[float]:
        """Take an ``event`` or ``event_page``; the times (s) at which what it holds was taken."""

    def snapshot(self, *, final: bool = False, full: bool = True, message: str = "") -> S_co:
        """What there is now; ``full`` with all that is only looked at, ``final`` at the end."""


R = TypeVar("R", bound=Reader)


class LiveCallback(ABC, Generic[R, S]):
    """Reads runs on a thread of its own; a subclass says which runs and with what reader.

    On the RunEngine's thread a document is only put into a queue. A worker thread takes what
    has come since it last looked and publishes a snapshot. An error there is logged, kept in
    `error` and shown in the snapshot's message; it never reaches the RunEngine.

    Parameters
    ----------
    on_update : callable, optional
        Called with a snapshot from the worker thread, at most ``rate`` times a second and at
        the end. It should not block; what it raises is logged and it is not called again.
    rate : float
        Most calls of ``on_update`` per second, Hz.
    drain_timeout : float
        Longest time the stop document waits for the final snapshot, s.
    """

    what = "live map"
    """What it makes, for messages and the name of the thread."""

    period = 0.02
    """Shortest time (s) between two snapshots; no eye sees more, and each costs some."""

    def __init__(
        self,
        *,
        on_update: Callable[[S], object] | None = None,
        rate: float = 2.0,
        drain_timeout: float = 60.0,
    ) -> None:
        rate = as_number("rate", rate, "Hz", above=0)
        self.on_update = on_update
        # What a lock cannot wait for would fail the plan at its stop document.
        self.drain_timeout = as_number(
            "drain_timeout", drain_timeout, "s", at_least=0, at_most=threading.TIMEOUT_MAX
        )
        self.latencies_ms: deque[float] = deque(maxlen=100_000)
        self._period = 1.0 / rate
        self._due = 0.0
        self._published = 0.0
        self._queue: SimpleQueue[Message | None] = SimpleQueue()
        self._idle = threading.Condition()
        self._put = self._done = 0
        self._asked = 0  # number of the last message that a user waits for
        self._worker: threading.Thread | None = None
        self._reader: R | None = None
        self._descriptors: set[str] = set()
        self._run = ""
        self._snapshot: S | None = None
        self._error: Exception | None = None
        self._unreadable: Exception | None = None  # what is wrong with the start document
        self._changed = False

    # -- for the subclass ----------------------------------------------------------------------

    @abstractmethod
    def _accepts(self, start: Doc) -> bool:
        """Whether a start document opens a run to be read."""

    @abstractmethod
    def _open(self, start: Doc) -> R | None:
        """Make the reader of a run; None if there is nothing to be made of it."""

    def _described(self, reader: R) -> None:
        """Do what is to be done when it is sure that the run takes data, at each descriptor."""

    def _other(self, message: Message) -> Iterable[float]:
        """Take what is in the queue and is no document of a run being read; times as in take."""
        return ()

    def _take_rows(self, reader: R, name: str, doc: Doc) -> Iterable[float]:
        """Hand an ``event`` or ``event_page`` to the reader; times whose latency is to be noted."""
        return reader.take(name, doc)

    def _after(self, now: float, cost: float) -> None:
        """Do what is to be done when a snapshot is out, at ``now`` (s); it took ``cost`` (s)."""

    # -- on the RunEngine's thread -------------------------------------------------------------

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document; only the stop document waits, for the final snapshot."""
        if name not in DOCUMENTS:
            return
        self._post(name, doc)
        if name == "stop" and not self.wait_idle(self.drain_timeout):
            logger.warning(
                "%s is not done %.0f s after the end of the run; it goes on",
                self.what,
                self.drain_timeout,
            )

    def _ask(self, name: str, content: Any) -> None:
        """As `_post`, for what a user asks for: `snapshot` then shows it."""
        self._asked = self._post(name, content)

    def _answered(self) -> None:
        """Wait until what the user asked for last is in the snapshot."""
        if self._done >= self._asked or threading.current_thread() is self._worker:
            return
        with self._idle:
            if not self._idle.wait_for(lambda: self._done >= self._asked, self.drain_timeout):
                logger.warning(
                    "%s: what was asked for is not done after %.0f s; the one shown is older",
                    self.what,
                    self.drain_timeout,
                )

    def _post(self, name: str, content: Any) -> int:
        """Put something into the worker's queue, from any thread; its number."""
        with self._idle:
            if self._worker is None:
                self._worker = threading.Thread(
                    target=self._work, name=self.what.replace(" ", "-"), daemon=True
                )
                self._worker.start()
            self._put += 1
            number = self._put
        self._queue.put((name, content))
        return number

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until all that was given so far is in the snapshot.

        Parameters
        ----------
        timeout : float, optional
            Longest time to wait, s; by default for ever.

        Returns
        -------
        bool
            False if the time was not enough.
        """
        with self._idle:
            target = self._put
            return self._idle.wait_for(lambda: self._done >= target, timeout)

    def close(self) -> None:
        """End the worker thread after what is in its queue."""
        worker, self._worker = self._worker, None
        if worker is not None:
            self._queue.put(None)
            worker.join(self.drain_timeout)

    # -- results -------------------------------------------------------------------------------

    @property
    def snapshot(self) -> S | None:
        """What was published last; None before the first data of a run.

        What the user changed just before is in it: it is waited for.
        """
        self._answered()
        return self._snapshot

    @property
    def error(self) -> Exception | None:
        """What went wrong in the current or last run, if anything."""
        return self._error

    # -- on the worker's thread ----------------------------------------------------------------

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            messages = [message for message in batch if message is not None]
            stamps: list[float] = []
            for message in messages:
                self._guarded(self._take, message, stamps)
            if self._changed:
                self._guarded(self._publish, stamps)
            with self._idle:
                self._done += len(messages)
                self._idle.notify_all()
            if len(messages) < len(batch):
                return

    def _next_batch(self) -> list[Message | None]:
        """Wait for a document; take what else comes until the next snapshot is due."""
        batch = [self._queue.get()]
        while batch[-1] is not None and batch[-1][0] != "stop":
            left = self._published + self.period - time.monotonic()
            try:
                batch.append(self._queue.get(timeout=max(left, 0.0)))
            except Empty:
                break
            if len(batch) >= MOST_AT_ONCE:  # a fast scan must not keep the map from being shown
                break
        return batch

    def _guarded(self, function: Callable[..., None], *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:  # the one place where a failure of the map must end
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        logger.error("%s stopped: %s", self.what, error, exc_info=error)
        self._error = error
        self._changed = False
        self._descriptors.clear()  # the rest of this run is not looked at
        if self._snapshot is not None and self._reader is not None:
            self._snapshot = self._snapshot.with_message(f"Map stopped: {error}")
            self._show(self._snapshot)

    def _take(self, message: Message, stamps: list[float]) -> None:
        name, doc = message
        if name == "start" and self._accepts(doc):
            self._begin(doc)
            stamps.clear()
        elif name == "descriptor" and self._reader and doc["run_start"] == self._run:
            if self._error is None and self._reader.describe(doc):
                self._descriptors.add(doc["uid"])
                self._described(self._reader)
        elif name == "descriptor" and self._unreadable and doc["run_start"] == self._run:
            if doc["name"] not in BESIDES:
                error, self._unreadable = self._unreadable, None
                raise error
        elif name == "stop" and doc["run_start"] == self._run:
            self._finish(doc, stamps)
        elif name in ("event", "event_page") and doc["descriptor"] in self._descriptors:
            if self._reader is not None:
                stamps.extend(self._take_rows(self._reader, name, doc))
                self._changed = True
        else:
            stamps.extend(self._other(message))

    def _begin(self, start: Doc) -> None:
        self._run = start["uid"]
        self._reader, self._snapshot, self._error = None, None, None
        self._changed = False
        self._descriptors.clear()
        self.latencies_ms.clear()
        self._unreadable = None
        try:
            self._reader = self._open(start)
        except Exception as error:
            # Said when there are data: a plan ends a run whose start document went wrong, with
            # better words, before it takes any.
            self._unreadable = error

    def _publish(self, stamps: list[float]) -> None:
        show = time.monotonic() >= self._due
        self._make(stamps, full=show)
        if show and self._snapshot is not None:
            self._show(self._snapshot)

    def _finish(self, stop: Doc, stamps: list[float]) -> None:
        self._run = ""
        if self._reader is None or not self._descriptors:
            return
        status = stop.get("exit_status", "success")
        message = "" if status == "success" else f"Run ended: {status}. {stop.get('reason', '')}"
        self._make(stamps, final=True, message=message.strip())
        self._descriptors.clear()
        for snapshot in self._at_the_end():
            self._show(snapshot)

    def _at_the_end(self) -> Iterable[S]:
        """What is shown at the end of a run, `snapshot` last."""
        return [] if self._snapshot is None else [self._snapshot]

    def _make(self, stamps: list[float], **how: Any) -> None:
        if self._reader is None:
            return
        begun = time.monotonic()
        self._snapshot = self._reader.snapshot(**how)
        self._changed = False
        self._published = time.monotonic()
        now = time.time()
        self.latencies_ms.extend(1e3 * (now - stamp) for stamp in stamps)
        stamps.clear()
        self._after(now, self._published - begun)

    def _show(self, snapshot: S) -> None:
        self._due = time.monotonic() + self._period
        if self.on_update is None:
            return
        try:
            self.on_update(snapshot)
        except Exception:
            logger.exception("on_update failed and is not called again")
            self.on_update = None
        self._due = time.monotonic() + self._period
