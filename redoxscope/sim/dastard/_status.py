"""Status messages of the simulated server: a tag and JSON, the last of each kept."""

from __future__ import annotations

import json
import threading
from typing import Any

import zmq

__all__ = ["StatusPublisher"]


class StatusPublisher:
    """Publishes status messages; any thread may.

    Parameters
    ----------
    socket : zmq.Socket
        Bound PUB socket, from now on used by nobody else.
    """

    def __init__(self, socket: zmq.Socket[bytes]):
        self._socket = socket
        self._lock = threading.Lock()
        self._last: dict[str, bytes] = {}
        self.silent = False

    def send(self, tag: str, content: Any) -> None:
        """Publish a message."""
        text = json.dumps(content, separators=(",", ":")).encode()
        with self._lock:
            self._last[tag] = text
            if not self.silent:
                self._socket.send_multipart((tag.encode(), text))

    def send_all(self) -> None:
        """Publish the last message of every tag again."""
        with self._lock:
            if not self.silent:
                for tag, text in self._last.items():
                    self._socket.send_multipart((tag.encode(), text))
