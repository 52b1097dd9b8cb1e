"""The photon stream of the simulated server: summaries, and records where asked for."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Sequence

import numpy as np
import zmq
from numpy.typing import NDArray

from ...formats import RECORD_HEADER, encode_records, encode_summaries
from ._faults import ServerFaults

__all__ = ["PhotonStream"]

Frames = tuple[bytes, bytes]


class PhotonStream:
    """Sends photons, and loses or delays what the faults say.

    Parameters
    ----------
    summaries : zmq.Socket
        Bound PUB socket.
    records : zmq.Socket
        Bound PUB socket.
    faults : ServerFaults
    seed : int
        Of what is lost and delayed.
    """

    def __init__(
        self,
        summaries: zmq.Socket[bytes],
        records: zmq.Socket[bytes],
        faults: ServerFaults,
        seed: int,
    ):
        self._summaries, self._records, self._faults = summaries, records, faults
        self._random = np.random.default_rng([seed, 5504])
        self._delayed: list[tuple[int, int, Frames]] = []
        self._order = itertools.count()

    def send(self, photons: NDArray[np.void], n_coefs: NDArray[np.int64], now_ns: int) -> None:
        """Send the photons of one stretch.

        Parameters
        ----------
        photons : numpy.ndarray [n]
            Structured as a summary with its coefficients, indices as the server counts.
        n_coefs : numpy.ndarray of int [n]
            Coefficients that each photon's channel gives, 0 without projectors.
        now_ns : int
            Server time (ns): from when delays count.
        """
        messages: Sequence[Frames] = encode_summaries(photons)
        drawn = photons["coefs"].shape[1]
        if (n_coefs != drawn).any():
            messages = [
                (head, coefs[: 8 * n].ljust(8 * n, b"\0"))
                for (head, coefs), n in zip(messages, n_coefs.tolist(), strict=True)
            ]
        faults = self._faults
        if faults.drop or faults.late:
            kept = self._random.random(len(messages)) >= faults.drop
            late = self._random.random(len(messages)) < faults.late
            due = now_ns + round(faults.late_s * 1e9)
            for i in np.flatnonzero(kept & late).tolist():
                heapq.heappush(self._delayed, (due, next(self._order), messages[i]))
            messages = [messages[i] for i in np.flatnonzero(kept & ~late).tolist()]
        self._put(messages)

    def send_due(self, now_ns: int) -> None:
        """Send what was delayed until now (server ns)."""
        due = []
        while self._delayed and self._delayed[0][0] <= now_ns:
            due.append(heapq.heappop(self._delayed)[2])
        self._put(due)

    def _put(self, messages: Sequence[Frames]) -> None:
        if self._faults.quiet:
            return
        send, more = self._summaries.send, zmq.SNDMORE
        for head, coefs in messages:  # at 100 000 a second every call in here counts
            send(head, more)
            send(coefs)

    def send_records(
        self, photons: NDArray[np.void], samples: NDArray[np.uint16], frame_s: float
    ) -> None:
        """Send whole records.

        Parameters
        ----------
        photons : numpy.ndarray [n]
            As for `send`.
        samples : numpy.ndarray of uint16 [n, nsamp]
        frame_s : float
            Time between samples (s).
        """
        if self._faults.quiet:
            return
        heads = np.zeros(len(photons), RECORD_HEADER)
        for name in ("chan_index", "npre", "t_ns", "frame"):
            heads[name] = photons[name]
        heads["dt_s"], heads["volts_per_arb"] = frame_s, 1 / 65535
        for frames in encode_records(heads, samples):
            self._records.send_multipart(frames)
