"""A bare client of the simulated Dastard, so that its tests do not lean on the real one."""

from __future__ import annotations

import json
import socket
import time
from collections import defaultdict

import numpy as np
import zmq

from redoxscope.formats import decode_frames

PULSES = {"EdgeMulti": True, "EdgeMultiLevel": -100, "EdgeMultiVerifyNMonotone": 6}
PATIENCE = 120.0


class RpcError(Exception):
    """The error of a reply."""


class Client:
    """Calls, status messages and photons of a server."""

    def __init__(self, base, host="127.0.0.1"):
        self._context = zmq.Context()
        self.status = self._subscribe(base + 1)
        self.summaries = self._subscribe(base + 4)
        self.records = self._subscribe(base + 2)
        self.socket = socket.create_connection((host, base), timeout=PATIENCE)
        self._number = 0
        self._text = ""
        self.seen = defaultdict(list)  # contents of status messages by tag
        self.frames = []
        while not self.seen["TRIANGLE"]:  # until the subscription has arrived there
            self.call("ConfigureTriangleSource", {})
            self.status.poll(20)
            self._pump(1000)

    def _subscribe(self, port):
        sock = self._context.socket(zmq.SUB)
        sock.setsockopt(zmq.RCVHWM, 0)
        sock.subscribe(b"")
        sock.connect(f"tcp://127.0.0.1:{port}")
        return sock

    def call(self, method, arg, service="SourceControl"):
        """Result of a call; RpcError with its error."""
        self._number += 1
        request = {"id": self._number, "method": f"{service}.{method}", "params": [arg]}
        self.socket.sendall(json.dumps(request).encode())
        reply = self.reply()
        assert reply["id"] == self._number
        if reply["error"] is not None:
            raise RpcError(reply["error"])
        return reply["result"]

    def reply(self):
        while True:
            try:
                reply, end = json.JSONDecoder().raw_decode(self._text.lstrip())
            except json.JSONDecodeError:
                data = self.socket.recv(65536)
                if not data:
                    raise ConnectionError("the server closed the connection") from None
                self._text += data.decode()
            else:
                self._text = self._text.lstrip()[end:]
                return reply

    def sync(self):
        """Receive every status message that was sent before now."""
        self._number += 1
        mark = {"Nchan": self._number}
        self.call("ConfigureTriangleSource", mark)
        self.until(lambda: mark in self.seen["TRIANGLE"])

    def start(self, pixels=240, source="RESONATORSOURCE"):
        """Start the source and trigger on pulses."""
        self.call("Start", source)
        self.call("ConfigureTriggers", {"ChannelIndices": list(range(pixels)), **PULSES})

    def _pump(self, most):
        """Take what has come; of the photons no more than `most`.

        On a busy machine they come faster than they are taken, and it would never end.
        """
        while self.status.poll(0):
            tag, text = self.status.recv_multipart()
            self.seen[tag.decode()].append(json.loads(text))
        for _ in range(most):
            if not self.summaries.poll(0):
                return
            self.frames.append(self.summaries.recv_multipart())

    def until(self, done):
        """Receive until something holds; what it is then."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._pump(1000)
            if result := done():
                return result
            self.status.poll(5)
        counts = {tag: len(contents) for tag, contents in self.seen.items()}
        raise TimeoutError(f"not within {PATIENCE} s; status messages: {counts}")

    def more(self, tag, n=1):
        """The next contents of a status message from now on."""
        self._pump(1000)
        before = len(self.seen[tag])
        return self.until(lambda: len(self.seen[tag]) >= before + n and self.seen[tag][before:])

    def photons(self):
        """Every summary so far, as columns."""
        self._pump(200_000)  # some seconds, where they come as fast as that
        return np.concatenate(decode_frames(self.frames)) if self.frames else None

    def close(self):
        self.socket.close()
        self._context.destroy(linger=0)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def when(rate):
    """End of a TRIGGERRATE interval (ns)."""
    return round(np.datetime64(rate["HiTime"].rstrip("Z")).astype("datetime64[ns]").astype(int))
