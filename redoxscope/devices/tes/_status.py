"""Dastard's status messages: the last of each kind, and who wants to know."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

import zmq
from zmq.utils.monitor import parse_monitor_message

from ._errors import DastardError

__all__ = ["StatusFeed"]

log = logging.getLogger("redoxscope.tes")

POLL_MS = 100
_EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED


# What others rely on in a message: fields and their types.
_FIELDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "STATUS": {"Running": bool},
    "WRITING": {"Active": bool},
    "TRIGGERRATE": {"HiTime": str, "Duration": (int, float), "CountsSeen": list},
    "DATADROP": {},
}


def _check(tag: str, content: Any) -> None:
    """Refuse a message that is not what its tag says; those that nobody reads may be anything."""
    if tag == "CHANNELNAMES":
        if not (isinstance(content, list) and all(isinstance(name, str) for name in content)):
            raise ValueError("channel names must be a list of texts")
        return
    wanted = _FIELDS.get(tag)
    if wanted is None:
        return
    if not isinstance(content, dict):
        raise ValueError("expected an object")
    for name, kind in wanted.items():
        if not isinstance(content.get(name), kind):
            raise ValueError(f"{name} is {str(content.get(name))[:40]!r}")


class StatusFeed:
    """Follows the status port in a thread of its own.

    Parameters
    ----------
    host : str
    port : int
    context : zmq.Context
    on_message : callable, optional
        Called with tag, content and when it came (monotonic, s) for every message.
    on_lost : callable, optional
        Called with a `DastardError` when the connection breaks, or nothing has come for
        `silence` seconds; once until messages come again.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: zmq.Context[Any],
        on_message: Callable[[str, Any, float], None] | None = None,
        on_lost: Callable[[DastardError], None] | None = None,
    ):
        self.host, self.port = host, port
        self.silence = 10.0
        self._context = context
        self._on_message, self._on_lost = on_message, on_lost
        self._changed = threading.Condition()
        self._last: dict[str, tuple[int, Any]] = {}
        self._count = 0
        self._heard = time.monotonic()
        self._linked = False
        self._since = 0.0
        self._told_lost = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="tes-status")

    @property
    def address(self) -> str:
        return f"Dastard {self.host}:{self.port}"

    @property
    def linked(self) -> bool:
        """Whether the server is connected (it may still be silent)."""
        return self._linked

    @property
    def linked_for(self) -> float:
        """Since how long (s) the server is connected."""
        return time.monotonic() - self._since if self._linked else 0.0

    @property
    def count(self) -> int:
        """Number of the last message; to wait for newer ones."""
        return self._count

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def last(self, tag: str) -> Any:
        """Content of the last message with this tag; None before the first."""
        with self._changed:
            return self._last.get(tag, (0, None))[1]

    def wait_linked(self, timeout: float) -> None:
        """Wait until the server is connected.

        Raises
        ------
        DastardError
            It is not, in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._linked, timeout):
                raise DastardError(
                    f"{self.address} (status port) is not reachable within {timeout:g} s"
                )

    def wait_for(
        self,
        tag: str,
        accept: Callable[[Any], bool],
        timeout: float,
        *,
        what: str,
        after: int = 0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Any:
        """Wait for a message; its content.

        Parameters
        ----------
        tag : str
        accept : callable
            Says whether it is the one.
        timeout : float
            Longest time (s).
        what : str
            What is waited for, in words.
        after : int
            Messages up to this `count` do not do.
        cancelled : callable
            Gives up when it returns True.

        Raises
        ------
        DastardError
            It did not come in time.
        """

        def there() -> bool:
            number, content = self._last.get(tag, (0, None))
            return cancelled() or (number > after and accept(content))

        with self._changed:
            if not self._changed.wait_for(there, timeout):
                raise DastardError(
                    f"{self.address} did not say within {timeout:g} s that {what} (status {tag})"
                )
            if cancelled():
                raise DastardError(f"{self.address}: given up waiting until {what}")
            return self._last[tag][1]

    def wake(self) -> None:
        """Have those who wait look whether they were cancelled."""
        with self._changed:
            self._changed.notify_all()

    def _run(self) -> None:
        sock = self._context.socket(zmq.SUB)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.RCVHWM, 0)
        sock.setsockopt(zmq.SUBSCRIBE, b"")
        monitor = sock.get_monitor_socket(_EVENTS)
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        try:
            sock.connect(f"tcp://{self.host}:{self.port}")
            while not self._stop.is_set():
                ready = dict(poller.poll(POLL_MS))
                if sock in ready:
                    self._receive(sock)
                if monitor in ready:
                    self._link_changed(parse_monitor_message(monitor.recv_multipart()))
                self._watch_silence()
        finally:
            sock.disable_monitor()
            monitor.close(0)
            sock.close(0)

    def _receive(self, sock: zmq.Socket[bytes]) -> None:
        while True:
            try:
                frames = sock.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            at = time.monotonic()
            try:
                tag, content = frames[0].decode(), json.loads(frames[1])
                _check(tag, content)
            except (ValueError, IndexError, RecursionError) as exc:
                log.error(
                    "%s: a status message makes no sense: %.80r: %s", self.address, frames[0], exc
                )
                continue
            with self._changed:
                self._count += 1
                self._last[tag] = (self._count, content)
                self._heard = at
                self._told_lost = False
                self._changed.notify_all()
            self._call(self._on_message, tag, content, at)

    def _link_changed(self, event: Mapping[str, Any]) -> None:
        linked = event["event"] == zmq.EVENT_HANDSHAKE_SUCCEEDED
        with self._changed:
            was, self._linked = self._linked, linked
            if linked:
                self._heard = self._since = time.monotonic()
            else:
                self._last.clear()  # what a server said that is gone holds no longer
            self._changed.notify_all()
        if was and not linked:
            self._lost("closed its connection: it ended or was restarted")

    def _watch_silence(self) -> None:
        quiet = time.monotonic() - self._heard
        if self._linked and quiet > self.silence:
            self._lost(f"has been silent for {quiet:.0f} s")

    def _lost(self, how: str) -> None:
        if not self._told_lost:
            self._told_lost = True
            self._call(self._on_lost, DastardError(f"{self.address} {how}"))

    def _call(self, function: Callable[..., None] | None, *args: Any) -> None:
        if function is None:
            return
        try:
            function(*args)
        except Exception:  # the feed must go on for everybody else
            log.exception("%s: taking a status message failed", self.address)
