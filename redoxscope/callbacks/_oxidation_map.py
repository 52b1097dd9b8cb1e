"""The live oxidation map: documents in, maps out, nothing done on the RunEngine's thread."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, Literal

from numpy.typing import ArrayLike

from ..analysis import OxidationResult, StackFit
from ..data import References
from ._snapshot import Snapshot
from ._stack_reader import (
    MapOptions,
    StackReader,
    is_primary,
    is_stack,
    lines_of,
    references_for,
)

__all__ = ["OxidationMap"]

logger = logging.getLogger(__name__)
Message = tuple[str, Mapping[str, Any]]

PUBLISH_PERIOD = 0.02
"""Shortest time (s) between two maps; no eye sees more, and each costs the interpreter some."""

MOST_AT_ONCE = 200
"""Most documents between two maps."""


class OxidationMap:
    """Live map of the oxidised fraction, with its uncertainty: ``RE.subscribe(OxidationMap())``.

    Takes the documents of energy stacks (see ``redoxscope.contract``), one run after another;
    other runs are ignored. On the RunEngine's thread a document is only put into a queue. A
    worker thread takes what has come since it last looked, solves the lines it touched and
    publishes a snapshot; at the end of a run all lines are solved together, which gives the
    same map as a batch fit. An error there is logged, kept in `error` and shown in the
    snapshot's message; it never reaches the RunEngine.

    Parameters
    ----------
    references : References, optional
        Reference spectra; by default those of the run's edge.
    i0 : {"auto", "blank", "monitor"}
        Where I0 comes from (see ``redoxscope.analysis.StackFit``).
    min_thickness : float, optional
        Thinner pixels are masked, in µm (or end-member thicknesses); default: the references'.
    max_od : float, optional
        Mask pixels with a higher optical density at any energy. By default they are marked only.
    blank : array_like of bool [ny, nx], optional
        The blank area, if it should not be found automatically.
    region : array_like of bool [ny, nx], optional
        Pixels whose spectrum is shown; by default a small square that is well measured.
    on_update : callable, optional
        Called with a `Snapshot` from the worker thread, at most ``rate`` times a second and at
        the end. It should not block; what it raises is logged and it is not called again.
    rate : float
        Most calls of ``on_update`` per second, Hz.
    drain_timeout : float
        Longest time the stop document waits for the final map, s.
    """

    def __init__(
        self,
        references: References | None = None,
        *,
        i0: Literal["auto", "blank", "monitor"] = "auto",
        min_thickness: float | None = None,
        max_od: float | None = None,
        blank: ArrayLike | None = None,
        region: ArrayLike | None = None,
        on_update: Callable[[Snapshot], object] | None = None,
        rate: float = 2.0,
        drain_timeout: float = 60.0,
    ) -> None:
        if i0 not in ("auto", "blank", "monitor"):
            raise ValueError(f"i0 is {i0!r}, but must be 'auto', 'blank' or 'monitor'")
        if not rate > 0:
            raise ValueError(f"rate is {rate!r} Hz, but must be > 0")
        self.options = MapOptions(references, i0, min_thickness, max_od, blank, region)
        self.on_update = on_update
        self.drain_timeout = drain_timeout
        self.latencies_ms: deque[float] = deque(maxlen=100_000)
        self._period = 1.0 / rate
        self._due = 0.0
        self._published = 0.0
        self._queue: SimpleQueue[Message | None] = SimpleQueue()
        self._idle = threading.Condition()
        self._put = self._done = 0
        self._worker: threading.Thread | None = None
        self._reader: StackReader | None = None
        self._descriptors: set[str] = set()
        self._run = ""
        self._snapshot: Snapshot | None = None
        self._error: Exception | None = None

    # -- on the RunEngine's thread -----------------------------------------------------------

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Take a document; only the stop document waits, for the final map."""
        if name not in ("start", "descriptor", "event", "event_page", "stop"):
            return
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="oxidation-map", daemon=True)
            self._worker.start()
        with self._idle:
            self._put += 1
        self._queue.put((name, doc))
        if name == "stop" and not self.wait_idle(self.drain_timeout):
            logger.warning(
                "oxidation map is not done %.0f s after the end of the run; it goes on",
                self.drain_timeout,
            )

    def wait_idle(self, timeout: float | None = None) -> bool:
        """Wait until all documents given so far are in the map.

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
    def snapshot(self) -> Snapshot | None:
        """The map as published last; None before the first line of a stack."""
        return self._snapshot

    @property
    def result(self) -> OxidationResult | None:
        """The maps published last."""
        return None if self._snapshot is None else self._snapshot.result

    @property
    def fit(self) -> StackFit | None:
        """The fit of the current or last stack. It belongs to the worker while a run goes on."""
        return None if self._reader is None else self._reader.fit

    @property
    def lines(self) -> dict[str, int]:
        """Lines of the current or last stack by status."""
        return {} if self._reader is None else self._reader.line_counts

    @property
    def error(self) -> Exception | None:
        """What went wrong in the current or last stack, if anything."""
        return self._error

    # -- on the worker's thread ----------------------------------------------------------------

    def _work(self) -> None:
        while True:
            batch = self._next_batch()
            messages = [message for message in batch if message is not None]
            stamps: list[float] = []
            for message in messages:
                self._guarded(self._take, message, stamps)
            if stamps:
                self._guarded(self._publish, stamps)
            with self._idle:
                self._done += len(messages)
                self._idle.notify_all()
            if len(messages) < len(batch):
                return

    def _next_batch(self) -> list[Message | None]:
        """Wait for a document; take what else comes until the next map is due."""
        batch = [self._queue.get()]
        while batch[-1] is not None and batch[-1][0] != "stop":
            left = self._published + PUBLISH_PERIOD - time.monotonic()
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
        logger.error("oxidation map stopped: %s", error, exc_info=error)
        self._error = error
        self._descriptors.clear()  # the rest of this run is not looked at
        if self._snapshot is not None and self._reader is not None:
            self._snapshot = replace(self._snapshot, message=f"Map stopped: {error}")
            self._show(self._snapshot)

    def _take(self, message: Message, stamps: list[float]) -> None:
        name, doc = message
        if name == "start":
            if is_stack(doc):
                self._begin(doc)
                stamps.clear()
        elif name == "descriptor":
            if doc["run_start"] == self._run and self._reader and is_primary(doc):
                self._reader.configure(doc.get("configuration", {}))
                self._descriptors.add(doc["uid"])
        elif name == "stop":
            if doc["run_start"] == self._run:
                self._finish(doc, stamps)
        elif doc["descriptor"] in self._descriptors and self._reader is not None:
            for seq_num, data, stamp in lines_of(name, doc):
                self._reader.line(seq_num, data)
                stamps.append(stamp)

    def _begin(self, start: Mapping[str, Any]) -> None:
        self._run = start["uid"]
        self._reader, self._snapshot, self._error = None, None, None
        self._descriptors.clear()
        self.latencies_ms.clear()
        if references_for(start, self.options) is None:
            logger.warning("no map of run %s: no reference spectra for it", start["uid"])
            return
        self._reader = StackReader(start, self.options)

    def _publish(self, stamps: list[float]) -> None:
        if self._reader is None:
            return
        show = time.monotonic() >= self._due
        self._snapshot = self._reader.snapshot(spectrum=show)
        self._published = time.monotonic()
        now = time.time()
        self.latencies_ms.extend(1e3 * (now - stamp) for stamp in stamps)
        if show:
            self._show(self._snapshot)

    def _finish(self, stop: Mapping[str, Any], stamps: list[float]) -> None:
        self._run = ""
        if self._reader is None or not self._descriptors:
            return
        status = stop.get("exit_status", "success")
        message = "" if status == "success" else f"Run ended: {status}. {stop.get('reason', '')}"
        self._snapshot = self._reader.snapshot(final=True, message=message.strip())
        now = time.time()
        self.latencies_ms.extend(1e3 * (now - stamp) for stamp in stamps)
        stamps.clear()
        self._descriptors.clear()
        self._show(self._snapshot)

    def _show(self, snapshot: Snapshot) -> None:
        if self.on_update is None:
            return
        try:
            self.on_update(snapshot)
        except Exception:
            logger.exception("on_update failed and is not called again")
            self.on_update = None
        self._due = time.monotonic() + self._period
