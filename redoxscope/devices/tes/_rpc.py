"""JSON over a bare TCP connection, where nothing marks the end of a message but the JSON itself."""

from __future__ import annotations

import codecs
import itertools
import json
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from ._errors import DastardError, RefusedError

__all__ = ["JsonConnection", "JsonRpc", "JsonStream"]

RPC_TIMEOUT = 10.0
LARGEST = 64 << 20
"""A reply that is longer (bytes) is none."""


class JsonStream:
    """Splits a stream of bytes into JSON values, whatever pieces it comes in.

    Nothing is decoded twice but the value that is not whole yet, and that only when the piece that
    came could end it.
    """

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._json = json.JSONDecoder()
        self._text = ""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Values that are whole now.

        Raises
        ------
        ValueError
            What came is not JSON, or not UTF-8, or too long.
        """
        piece = self._utf8.decode(data)
        self._text += piece
        if "}" not in piece:
            self._check()
            return  # nothing is whole yet
        while True:
            self._text = self._text.lstrip()
            if not self._text:
                return
            try:
                value, end = self._json.raw_decode(self._text)
            except json.JSONDecodeError:
                self._check()
                return
            except RecursionError as exc:
                raise ValueError("what came is nested too deeply") from exc
            self._text = self._text[end:]
            yield value

    def _check(self) -> None:
        start = self._text.lstrip()[:1]
        if start not in ("", "{"):
            raise ValueError(f"what came is no JSON object: {self._text.lstrip()[:60]!r}")
        if len(self._text) > LARGEST:
            raise ValueError(f"a message of more than {LARGEST} bytes")


class JsonConnection:
    """A TCP connection on which one JSON object is answered by another.

    It connects when first used and again when the peer has closed it meanwhile; a request is
    never sent twice, for the peer may have obeyed the first.

    Parameters
    ----------
    name : str
        Who is talked to, for messages.
    host : str
    port : int
    timeout : float
        Longest time (s) for connecting, and for an answer.
    """

    def __init__(self, name: str, host: str, port: int, timeout: float = RPC_TIMEOUT):
        self.name, self.host, self.port, self.timeout = name, host, port, timeout
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._stream = JsonStream()
        self._closed = False

    @property
    def address(self) -> str:
        return f"{self.name} {self.host}:{self.port}"

    def ask(self, request: dict[str, Any], what: str, *, timeout: float | None = None) -> Any:
        """Send a request; the answer to it.

        Raises
        ------
        DastardError
            Not reachable, no answer in time, or no JSON; it names the peer and ``what``.
        """
        limit = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + limit
        with self._lock:
            try:
                sock = self._connected(limit)
            except OSError as exc:
                self._drop()
                raise DastardError(f"{self.address} is not reachable: {exc} ({what})") from exc
            try:
                sock.settimeout(limit)
                sock.sendall(json.dumps(request).encode())
                return self._answer(sock, request, deadline)
            except TimeoutError as exc:
                self._drop()  # or the late answer would pass for that of the next request
                raise DastardError(f"{self.address}: {what} not answered in {limit:g} s") from exc
            except (OSError, ValueError) as exc:
                self._drop()
                raise DastardError(f"{self.address}: {what} failed: {exc}") from exc

    def close(self) -> None:
        """Hang up for good; whoever waits for an answer gets an error."""
        self._closed = True
        sock = self._socket
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the peer was first
        with self._lock:
            self._drop()

    def _answer(self, sock: socket.socket, request: dict[str, Any], deadline: float) -> Any:
        wanted = request.get("id")
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            sock.settimeout(left)
            data = sock.recv(1 << 16)
            if not data:
                raise ConnectionError("the server closed the connection")
            for answer in self._stream.feed(data):
                if not isinstance(answer, dict):
                    raise ValueError(f"the answer is no JSON object: {str(answer)[:60]}")
                if wanted is None or answer.get("id") == wanted:
                    return answer

    def _connected(self, timeout: float) -> socket.socket:
        if self._closed:
            raise ConnectionError("this client is closed")
        if self._socket is not None and _hung_up(self._socket):
            self._drop()
        if self._socket is None:
            self._socket = socket.create_connection((self.host, self.port), timeout=timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._stream = JsonStream()
        return self._socket

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _hung_up(sock: socket.socket) -> bool:
    """Whether the peer closed it, or sent what nobody asked for."""
    poll = select.poll()  # select() takes no file number above 1023
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class JsonRpc(JsonConnection):
    """Dastard's JSON-RPC 1.0: one positional argument per method, Go's errors as text.

    Parameters
    ----------
    host, port, timeout
        As for `JsonConnection`.
    """

    def __init__(self, host: str, port: int, timeout: float = RPC_TIMEOUT):
        super().__init__("Dastard", host, port, timeout)
        self._ids = itertools.count(1)

    def call(self, method: str, argument: Any, *, timeout: float | None = None) -> Any:
        """Result of ``SourceControl.<method>(argument)``.

        Raises
        ------
        RefusedError
            The server answered with an error.
        DastardError
            It did not answer.
        """
        full = method if "." in method else f"SourceControl.{method}"
        request = {"id": next(self._ids), "method": full, "params": [argument]}
        answer = self.ask(request, full, timeout=timeout)
        reason = answer.get("error")
        if reason:
            raise RefusedError(f"{self.address} refused {full}: {reason}", str(reason))
        return answer.get("result")
