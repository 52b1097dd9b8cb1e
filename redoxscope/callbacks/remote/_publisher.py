"""Documents of a RunEngine to a 0MQ proxy, from where other processes and machines take them."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from typing import Any

import zmq

from ...documents import json_bytes
from ...inputs import as_whole, proxy_address
from ...photons import LiveBatch
from ..wire import encode, pack
from ._form import BEAT, HELLO, LIVE, PHOTONS, PREFIX, documents_array

__all__ = ["DocumentPublisher"]

logger = logging.getLogger(__name__)

Doc = Mapping[str, Any]

_BELONGS = {
    "event": "descriptor",
    "event_page": "descriptor",
    "datum": "resource",
    "datum_page": "resource",
    "stream_datum": "stream_resource",
}
"""Which document says what run another one is of, where it does not say so itself."""

BEATS_AFTER = 3
"""So many hellos still tell of a run that has ended: its stop document may have been lost."""
CONNECT_MS = 1000
"""Longest time for a proxy to answer before what is published first is given up."""
LINGER_MS = 1000
"""Longest time that closing waits for what the network has not taken."""
ALIVE_MS = 5000
"""Time without a sign of life from the proxy after which it is connected anew."""


class _Run:
    """A run that is open: what it began with, and how many documents of it were sent."""

    def __init__(self, start: Doc) -> None:
        self.opening: list[tuple[str, Any]] = [("start", start)]
        self.sent = 0
        self.beats_left = BEATS_AFTER
        self.ended = False
        self._array: Any = None

    def also(self, name: str, doc: Doc) -> None:
        """Keep a document that who comes late needs."""
        self.opening.append((name, doc))
        self._array = None

    @property
    def array(self) -> Any:
        """Start, descriptors and, at the end, the stop document, for a hello."""
        if self._array is None:
            self._array = documents_array(self.opening)
        return self._array


class DocumentPublisher:
    """Publishes documents over a 0MQ proxy: ``RE.subscribe(DocumentPublisher("127.0.0.1:5577"))``.

    The proxy is bluesky's, started with ``bluesky-0MQ-proxy`` (see ``docs/how-to/watch.md``); what
    is published can be followed with ``redoxscope watch`` or any ``RemoteDispatcher``. On the
    RunEngine's thread a document is only put into a queue; a thread writes it as JSON and sends
    it. Without a proxy, or where it does not keep up, documents are dropped and counted, and the
    scan goes on. Every two seconds a hello tells who comes late which runs are open, with their
    start documents and descriptors, and how many documents there were.

    Parameters
    ----------
    address : str
        Of the proxy, where it takes documents in: ``HOST:PORT``.
    name : str
        What watchers call the session.
    most_waiting : int
        Most documents that wait to be sent.

    Attributes
    ----------
    connected : bool
        Whether a proxy is there.
    lost : int
        Documents that could not be sent.

    Raises
    ------
    ValueError
        The address is none.
    """

    def __init__(self, address: str, *, name: str = "", most_waiting: int = 10_000) -> None:
        self.address = proxy_address("publish", address)
        self.name = name
        self.lost = 0
        self._most = as_whole("most_waiting", most_waiting, at_least=1)
        self._session = uuid.uuid4().hex
        self._runs: dict[str, _Run] = {}
        self._run_of: dict[str, str] = {}
        self._newest = ""
        self._waiting: deque[tuple[str, Any]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._told = False  # that documents are lost, since all went well
        self.connected = False
        self._due = time.monotonic()
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.XPUB)
        # A full pipe is an error and not a silent loss; XPUB tells that a proxy is there.
        for option, value in (
            (zmq.XPUB_NODROP, 1),
            (zmq.LINGER, LINGER_MS),
            (zmq.IPV6, 1),
            (zmq.HEARTBEAT_IVL, ALIVE_MS // 2),
            (zmq.HEARTBEAT_TIMEOUT, ALIVE_MS),
        ):
            self._socket.setsockopt(option, value)
        self._socket.connect(self.address)
        self._thread = threading.Thread(target=self._work, name="document-publisher", daemon=True)
        self._thread.start()

    # -- from any thread -----------------------------------------------------------------------

    def __call__(self, name: str, doc: Doc) -> None:
        """Publish a document. Returns at once."""
        self._put(name, doc)

    def photons(self, batch: LiveBatch) -> None:
        """Publish photons of the point under way: ``tes.subscribe_batches(publisher.photons)``."""
        self._put("photons", batch)

    def close(self, timeout: float = 5.0) -> None:
        """Send what waits, within ``timeout`` seconds, then hang up; what comes later is left."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("%s does not take the last documents", self.address)

    def __enter__(self) -> DocumentPublisher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _put(self, name: str, content: Any) -> None:
        with self._changed:
            if self._closing:
                return
            if len(self._waiting) < self._most:
                self._waiting.append((name, content))
                self._changed.notify()
            elif name != "photons":
                self.lost += 1

    # -- on the publisher's thread -------------------------------------------------------------

    def _work(self) -> None:
        try:
            self._send_all()
        except Exception:
            logger.exception("publishing to %s has stopped; the scan goes on", self.address)
        finally:
            self._socket.close()
            self._context.term()

    def _send_all(self) -> None:
        self._socket.poll(CONNECT_MS)  # what is sent before a proxy is there goes nowhere
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._waiting or self._closing, max(0.0, self._due - time.monotonic())
                )
                taken, self._waiting = self._waiting, deque()
                closing = self._closing
            self._look_for_proxy()
            for name, content in taken:
                try:
                    self._send(name, content)
                except Exception as exc:  # one that is odd must not keep the next from going out
                    logger.warning("a document (%s) cannot be published: %r", name, exc)
                    self.lost += 1
            if time.monotonic() >= self._due or closing:
                self._hello(ending=closing)
                self._due = time.monotonic() + BEAT
            if closing:
                return

    def _look_for_proxy(self) -> None:
        """Whether a proxy has asked for documents, or is gone."""
        while self._socket.poll(0):
            connected = self._socket.recv()[:1] == b"\x01"
            if connected != self.connected:
                self.connected = connected
                self._due = time.monotonic()  # what runs are open is news there
                logger.info(
                    "documents go to %s" if connected else "no proxy at %s any more", self.address
                )

    def _send(self, name: str, content: Any) -> None:
        if name == "photons":
            header, arrays = pack(content)
            self._live(PHOTONS, {"run": self._newest, "photons": header}, arrays)
            return
        message = b" ".join((PREFIX, name.encode(), json_bytes(content)))
        self._note(name, content)
        self._out(message)

    def _note(self, name: str, doc: Doc) -> None:
        """Keep what who comes late needs, and count."""
        if name == "start":
            uid = self._newest = str(doc["uid"])
            self._runs[uid] = _Run(doc)
            if not self.connected:
                logger.warning(
                    "no 0MQ proxy answers at %s: run %s is not published until one does",
                    self.address,
                    uid[:8],
                )
        elif name in _BELONGS:
            uid = self._run_of.get(str(doc.get(_BELONGS[name])), "")
        else:
            uid = str(doc.get("run_start", ""))
            self._run_of[str(doc.get("uid"))] = uid
        run = self._runs.get(uid)
        if run is None:
            return
        run.sent += 1
        if name in ("descriptor", "stop"):
            run.also(name, doc)
        run.ended = run.ended or name == "stop"

    def _hello(self, *, ending: bool) -> None:
        runs = list(self._runs.items())
        header = {
            "session": self._session,
            "name": self.name,
            "lost": self.lost,
            "ending": ending,
            "runs": [{"uid": uid, "sent": run.sent} for uid, run in runs],
        }
        try:
            self._live(HELLO, header, {str(i): run.array for i, (_, run) in enumerate(runs)})
        except ValueError as exc:  # too large
            logger.warning("what runs are open cannot be published: %s", exc)
        for uid, run in runs:
            run.beats_left -= run.ended
            if run.beats_left <= 0:
                del self._runs[uid]
                self._run_of = {k: v for k, v in self._run_of.items() if v != uid}

    def _live(self, name: bytes, header: dict[str, Any], arrays: Mapping[str, Any]) -> None:
        self._out(b" ".join((LIVE, name, encode(header, arrays))))

    def _out(self, message: bytes) -> None:
        try:
            self._socket.send(message, zmq.NOBLOCK)
        except zmq.Again:
            self.lost += 1
            if not self._told:
                self._told = True
                logger.warning(
                    "%s does not take documents fast enough: some are not published", self.address
                )
        else:
            self._told = False
