"""Dastard's photons as they are sent, in batches."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from ...formats import SUMMARY_HEADER, FormatError, decode_frames, decode_summaries

__all__ = ["PhotonStream"]

log = logging.getLogger("redoxscope.tes")

GATHER = 0.015
"""Time (s) between two looks: a batch costs as much for one photon as for a thousand."""
MOST = 20_000
"""Photons in a batch; more wait for the next."""
POLL_MS = 50

Summaries = NDArray[np.void]


class PhotonStream:
    """Follows the summaries port in a thread of its own.

    ZeroMQ's own thread takes the messages from the network whatever this process does, and
    without a limit: it is the server that drops when a client is slow.

    Parameters
    ----------
    host : str
    port : int
    context : zmq.Context
    on_batch : callable
        Called in that thread with the summaries that came (as
        `redoxscope.formats.decode_summaries` gives them; none is possible) and when
        (monotonic, s), and whether all that has come is in it, at least every 50 ms.
    """

    def __init__(
        self,
        host: str,
        port: int,
        context: zmq.Context[Any],
        on_batch: Callable[[list[Summaries], float, bool], None],
    ):
        self.host, self.port = host, port
        self.malformed = 0
        self._context = context
        self._on_batch = on_batch
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="tes-photons")

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        sock = self._context.socket(zmq.SUB)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.RCVHWM, 0)
        sock.setsockopt(zmq.RCVBUF, 4 << 20)
        sock.setsockopt(zmq.SUBSCRIBE, b"")
        try:
            sock.connect(f"tcp://{self.host}:{self.port}")
            while not self._stop.is_set():
                sock.poll(POLL_MS)
                frames, drained = _drain(sock)
                try:
                    self._on_batch(self._decode(frames), time.monotonic(), drained)
                except Exception:
                    log.exception("Dastard %s:%d: taking photons failed", self.host, self.port)
                if drained:
                    self._stop.wait(GATHER)
        finally:
            sock.close(0)

    def _decode(self, frames: list[bytes]) -> list[Summaries]:
        if not frames:
            return []
        lengths = list(map(len, frames))
        heads, tails = lengths[0::2], lengths[1::2]
        whole = len(heads) == len(tails) and heads.count(SUMMARY_HEADER.itemsize) == len(heads)
        try:
            if whole and tails.count(tails[0]) == len(tails) and tails[0] % 8 == 0:
                return _known([decode_summaries(b"".join(frames), tails[0] // 8)])
            return _known(decode_frames(list(zip(frames[0::2], frames[1::2], strict=True))))
        except (FormatError, ValueError) as exc:
            return self._sorted_out(frames[0::2], frames[1::2], exc)

    def _sorted_out(
        self, heads: list[bytes], tails: list[bytes], error: Exception
    ) -> list[Summaries]:
        """What can be taken of a batch in which a message makes no sense."""
        good: list[tuple[bytes, bytes]] = []
        for pair in zip(heads, tails, strict=False):
            try:
                _known(decode_frames([pair]))
            except (FormatError, ValueError) as exc:
                error = exc
            else:
                good.append(pair)
        left_out = len(heads) - len(good)
        self.malformed += left_out
        log.error(
            "Dastard %s:%d: %d of %d messages are left out, they make no sense: %s",
            self.host, self.port, left_out, len(heads), error,
        )  # fmt: skip
        return decode_frames(good) if good else []


def _drain(sock: zmq.Socket[bytes]) -> tuple[list[bytes], bool]:
    """Frames that have come, headers and coefficients in turn; whether these are all."""
    frames: list[bytes] = []
    add, recv, now = frames.append, sock.recv, zmq.NOBLOCK
    try:
        for _ in range(MOST):
            add(recv(now))
            add(recv(now))
    except zmq.Again:
        return frames, True
    while sock.getsockopt(zmq.RCVMORE):  # a message of three frames: the decoder will complain
        add(recv(now))
    return frames, False


def _known(arrays: list[Summaries]) -> list[Summaries]:
    for array in arrays:
        if array["version"].any():
            raise FormatError(f"summaries of version {array['version'].max()}, only 0 is known")
    return arrays
