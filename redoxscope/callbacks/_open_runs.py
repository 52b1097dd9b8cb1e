"""Documents to the runs that are open, of which there may be several."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

from event_model import DocumentRouter, RunRouter

__all__ = ["OpenRuns"]

logger = logging.getLogger(__name__)

MOST_OPEN = 8
"""Most runs that are read at once; of more, the one that began first is taken for dead."""
Callback = Callable[[str, Any], object]


class OpenRuns:
    """event_model's `RunRouter`, for documents of which some may never have come.

    What is of a run that is not read is passed over: the router would raise where somebody listens
    from the middle of a run on.

    Parameters
    ----------
    begin : callable
        Takes a start document; gives who is to get the run's documents, the start included.
    """

    def __init__(self, begin: Callable[[dict[str, Any]], Sequence[Callback]]) -> None:
        self._begin = begin
        self._descriptors: dict[str, set[str]] = {}  # by run
        self._resources: dict[str, str] = {}  # run by stream resource
        self._router = RunRouter([self._factory], filler_class=cast(Any, _Unfilled))

    def __contains__(self, uid: str) -> bool:
        return uid in self._descriptors

    def start(self, start: dict[str, Any]) -> None:
        """Begin a run."""
        while len(self._descriptors) >= MOST_OPEN:
            oldest = next(iter(self._descriptors))
            logger.warning("run %s has no stop document: taken for ended", oldest)
            self.take("stop", _no_stop(oldest))
        self._descriptors[start["uid"]] = set()
        self._router("start", start)

    def take(self, name: str, doc: dict[str, Any]) -> None:
        """Take any other document."""
        if self._known(name, doc):
            self._router(name, doc)

    def _factory(self, _: str, start: dict[str, Any]) -> tuple[list[Callback], list[Any]]:
        return list(self._begin(start)), []

    def _known(self, name: str, doc: dict[str, Any]) -> bool:
        if name == "descriptor":
            descriptors = self._descriptors.get(doc["run_start"])
            if descriptors is not None:
                descriptors.add(doc["uid"])
            return descriptors is not None
        if name == "stop":
            uid = doc["run_start"]
            self._resources = {key: run for key, run in self._resources.items() if run != uid}
            return self._descriptors.pop(uid, None) is not None
        if name == "stream_resource":
            known = doc["run_start"] in self._descriptors
            if known:
                self._resources[doc["uid"]] = doc["run_start"]
            return known
        if name == "stream_datum" and doc["stream_resource"] not in self._resources:
            return False
        return any(doc["descriptor"] in known for known in self._descriptors.values())


class _Unfilled(DocumentRouter):
    """In place of the router's filler, which copies each event: no external data are read here."""

    def __init__(self, *_: Any, **__: Any) -> None:
        super().__init__()

    def event_page(self, doc: Any) -> Any:
        return doc


def _no_stop(uid: str) -> dict[str, Any]:
    return {
        "uid": f"{uid}-stop", "run_start": uid, "time": time.time(), "exit_status": "fail",
        "reason": "no stop document came",
    }  # fmt: skip
