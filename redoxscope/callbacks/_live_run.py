"""One run in one live analysis: its reader, what it published last, what went wrong."""

from __future__ import annotations

import logging
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from ._analysis import Analysis, Reader, Update
from ._documents import Doc, how_it_ended

__all__ = ["LiveRun"]

logger = logging.getLogger(__name__)

BESIDES = ("baseline", "interruptions")
"""Streams that come also where no data are taken."""
KEPT = 100_000
"""Most latencies kept of a run."""


class LiveRun:
    """Hands the documents of one run to the reader of one analysis; publishes what it makes.

    All methods belong to one thread. What the reader raises ends the analysis of this run and is
    kept in `error`. `snapshots` is replaced as a whole, so that other threads may read it.

    Parameters
    ----------
    analysis : Analysis
    uid : str
        Of the run.
    options : Any
        For the reader.
    period : float
        Shortest time between two snapshots that are shown, s.
    show : callable
        Takes each `Update` to be shown.
    tell : callable
        Takes each sentence that a user should read.

    Attributes
    ----------
    snapshots : dict of str to snapshot
        What was published last, by part.
    newest : str
        The part published last.
    latencies : dict of str to deque of float
        From when something was taken to the snapshot that holds it, ms: of ``"event"``, and of
        each kind of what is no document.
    since : int or None
        Number of the first message that is in no snapshot yet; kept by the host.
    due : float
        When the next snapshot may be made, on the monotonic clock, s.
    """

    def __init__(
        self,
        analysis: Analysis,
        uid: str,
        options: Any,
        *,
        period: float,
        show: Callable[[Update], object],
        tell: Callable[[str], object],
    ) -> None:
        self.analysis, self.uid = analysis, uid
        self.reader: Reader | None = None
        self.snapshots: dict[str, Any] = {}
        self.newest = ""
        self.error: Exception | None = None
        self.latencies: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self.changed = False
        self.since: int | None = None
        self.due = 0.0
        self.ended: str | None = None
        self._options, self._period, self._show, self._tell = options, period, show, tell
        self._due_shown = 0.0
        self._stamps: defaultdict[str, list[float]] = defaultdict(list)
        self._wanted: set[str] = set()
        self._resources: dict[str, Doc] = {}
        self._unreadable: Exception | None = None  # what is wrong with the start document
        self._told: set[str] = set()

    def __repr__(self) -> str:
        return f"<LiveRun {self}>"

    def __str__(self) -> str:
        return f"{self.analysis.title} of run {self.uid[:8]}"

    @property
    def snapshot(self) -> Any:
        """What was published last; None before the first data."""
        return self.snapshots.get(self.newest)

    @property
    def refusal(self) -> Exception | None:
        """What went wrong, or why there is less than was asked for."""
        if self.error is None and self.reader is not None:
            return self.reader.refusal
        return self.error

    # -- in ------------------------------------------------------------------------------------

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document of this run."""
        self._guarded(self._take, name, doc)

    def told(self, kind: str, content: Any, *, at_once: bool) -> None:
        """Take what is no document; ``at_once``: a user waits for what it changes."""
        if self.reader is not None and self.error is None:
            self._guarded(self._take_told, kind, content, at_once)

    @property
    def busy(self) -> bool:
        """Whether the reader has something left to do."""
        if self.reader is None or self.error is not None or self.ended is not None:
            return False
        try:
            return bool(self.reader.busy)
        except Exception as error:  # as of all that is the analysis's own
            self._fail(error)
            return False

    def work(self) -> None:
        """Let the reader do a part of what is left."""
        self._guarded(self._work)

    def publish(self) -> None:
        """Make a snapshot of what has come, and show it if it is time."""
        self._guarded(self._publish)

    def _guarded(self, function: Callable[..., None], *args: Any) -> None:
        try:
            function(*args)
        except Exception as error:  # the one place where a failure of an analysis must end
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        title = self.analysis.title
        logger.error("%s stopped: %s", title, error, exc_info=error)
        self.error = error
        self.changed = False
        self._wanted.clear()  # the rest of this run is not looked at
        shown = self.snapshot
        if shown is None:
            return
        try:
            shown = replace(shown, message=f"{title[:1].upper()}{title[1:]} stopped: {error}")
            self.snapshots = {**self.snapshots, self.newest: shown}
            self._show_parts([self.newest])
        except Exception as worse:  # what is the analysis's own may fail here, too
            logger.error("%s cannot be shown with what stopped it: %s", title, worse)

    def _take(self, name: str, doc: Doc) -> None:
        if name == "start":
            self._open(doc)
        elif name == "stop":
            self._finish(doc)
        elif name == "descriptor":
            self._describe(doc)
        elif name == "stream_resource":
            self._resources[doc["uid"]] = doc
        elif self.reader is not None and doc.get("descriptor") in self._wanted:
            if name == "stream_datum":
                resource = self._resources.pop(doc["stream_resource"], None)
                if resource is not None:
                    self.reader.take("stream_resource", resource)
            self._came("event", self.reader.take(name, doc))

    def _open(self, start: Doc) -> None:
        try:
            self.reader = self.analysis.reader(start, self._options)
        except Exception as error:
            # Said when there are data: a plan ends a run whose start document went wrong, with
            # better words, before it takes any.
            self._unreadable = error
            return
        if self.reader is not None:
            for text in dict.fromkeys(remark.text for remark in self.reader.remarks()):
                self._told.add(text)
                self._tell(text)

    def _describe(self, descriptor: Doc) -> None:
        if self._unreadable is not None and descriptor.get("name") not in BESIDES:
            error, self._unreadable = self._unreadable, None
            raise error
        if self.reader is None or self.error is not None or not self.reader.describe(descriptor):
            return
        if not self._wanted and self.reader.refusal is not None:
            logger.error("no whole %s: %s", self, self.reader.refusal)
        self._wanted.add(descriptor["uid"])

    def _take_told(self, kind: str, content: Any, at_once: bool) -> None:
        assert self.reader is not None
        times = self.reader.told(kind, content)
        if times is not None:
            self._came(kind, times)
            if at_once:
                self.due = self._due_shown = 0.0

    def _came(self, kind: str, times: Iterable[float]) -> None:
        self._stamps[kind].extend(times)
        self.changed = True

    def _work(self) -> None:
        assert self.reader is not None
        self.reader.work()
        self.changed = True

    # -- out -----------------------------------------------------------------------------------

    def _publish(self) -> None:
        show = time.monotonic() >= self._due_shown
        new = self._make(full=show)
        if show:
            self._show_parts(new[-1:])

    def _make(self, **how: Any) -> list[str]:
        """Ask the reader for snapshots; the parts that are new."""
        assert self.reader is not None
        begun = time.monotonic()
        if self.ended is not None:
            how = {"final": True, "message": self.ended}
        new = self._checked(self.reader.snapshot(**how))
        self.changed = False
        if new:
            self.snapshots, self.newest = {**self.snapshots, **new}, list(new)[-1]
        now, done = time.time(), time.monotonic()
        for kind, stamps in self._stamps.items():
            self.latencies[kind].extend(1e3 * (now - stamp) for stamp in stamps)
            stamps.clear()
        self.due = done + max(self.analysis.period, self.analysis.rest * (done - begun))
        return list(new)

    def _checked(self, new: Any) -> dict[str, Any]:
        """What a reader gave for snapshots.

        Raises
        ------
        TypeError
            It is none of the analysis's.
        """
        kind = self.analysis.snapshot
        for part, snapshot in dict(new).items():
            if not isinstance(part, str) or not isinstance(snapshot, kind):
                raise TypeError(
                    f"its reader gives {type(snapshot).__name__} of part {part!r:.40}; it must be "
                    f"{kind.__name__} by the part's name"
                )
        return dict(new)

    @property
    def part_names(self) -> tuple[str, ...]:
        """All parts of the run."""
        return () if self.reader is None else tuple(self.reader.part_names)

    def _show_parts(self, parts: Iterable[str]) -> None:
        names = self.part_names
        for part in parts:
            self._show(
                Update(
                    self.uid, self.analysis.name, part, names, self.snapshots[part],
                    self.ended is not None,
                )
            )  # fmt: skip
        self._due_shown = time.monotonic() + self._period

    def _finish(self, stop: Doc) -> None:
        self.ended = how_it_ended(stop)
        if self.reader is None or not self._wanted:
            return
        self._show_parts(self._make())
        where: dict[str, list[str]] = {}
        for part, snapshot in self.snapshots.items():
            for doubt in self.analysis.doubts(snapshot):
                if doubt.text not in self._told:  # when the run began
                    where.setdefault(doubt.text, []).append(part)
        for text, parts in where.items():
            all_of_them = len(parts) == len(self.snapshots)
            self._tell(text if all_of_them else f"{', '.join(parts)}: {text}")
