"""Frames to who follows the stream of the ALS's COSMIC beamline."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import zmq

from ...analysis.ptychography import merge_exposures
from ...documents import FRAMES_STREAM, STREAM, BlockFrames, PtychoInfo
from ...inputs import proxy_address
from ...scan import Role, Scan
from .._documents import Doc, rows_of
from ._cosmic_form import ended, frame, started
from ._darks import Darks, load_mask
from ._frames import FrameFile, UnreadableFramesError
from ._reader import is_ptychography

__all__ = ["CosmicPublisher"]

log = logging.getLogger(__name__)

MOST_WAITING = 10_000
"""Most documents that wait."""
QUEUED = 400
"""Most frames that wait for a subscriber; one that does not keep up loses the newest."""
TRIES, PAUSE = 50, 0.2
"""How often, and after which time (s), a file that cannot be read now is looked at again."""
CHUNK = 32
"""Most places that are read and merged at once."""
BLOOM = 2
LINGER_MS = 1000


class CosmicPublisher:
    """Publishes the frames of ptychography as COSMIC's preprocessor does.

    ``RE.subscribe(CosmicPublisher("127.0.0.1:37013"))``. For each energy of each region there is a
    ``start``, then a ``frame`` for each place with its exposures merged, then a ``stop``, or an
    ``abort``. Frames are read from the camera's file, merged and sent by a thread: the RunEngine
    does not wait, and a subscriber that does not keep up, or is not there, hinders nobody.

    Parameters
    ----------
    address : str
        Where subscribers find it: ``HOST:PORT``; they use port 37013.

    Attributes
    ----------
    address : str
        ``tcp://HOST:PORT``.
    lost : int
        Places of which no frame could be sent.

    Raises
    ------
    ValueError
        The address is none, or somebody else has it.
    """

    def __init__(self, address: str = "127.0.0.1:37013") -> None:
        self.address = proxy_address("cosmic", address)
        self.lost = 0
        self._context: zmq.Context[Any] = zmq.Context()
        self._socket = self._context.socket(zmq.PUB)
        self._socket.setsockopt(zmq.SNDHWM, QUEUED)
        self._socket.setsockopt(zmq.LINGER, LINGER_MS)
        try:
            self._socket.bind(self.address)
        except zmq.ZMQError as exc:
            self._socket.close()
            self._context.term()
            raise ValueError(f"cosmic = {self.address} cannot be taken: {exc}") from exc
        self._waiting: deque[tuple[str, Doc]] = deque()
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._run: _Run | None = None
        self._thread = threading.Thread(target=self._work, name="cosmic", daemon=True)
        self._thread.start()

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document. Returns at once."""
        with self._changed:
            if self._closing.is_set():
                return
            if len(self._waiting) < MOST_WAITING:
                self._waiting.append((name, doc))
                self._changed.notify()
            elif name in ("event", "event_page"):
                self.lost += 1

    def close(self, timeout: float = 10.0) -> None:
        """Send what waits, within ``timeout`` seconds, then hang up."""
        with self._changed:
            self._closing.set()
            self._changed.notify()
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("%s: the last frames are not sent", self.address)

    def __enter__(self) -> CosmicPublisher:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _work(self) -> None:
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._closing.is_set())
                    if not self._waiting:
                        break
                    name, doc = self._waiting.popleft()
                self._publish(name, doc)
        except Exception:
            log.exception("%s: no frames are published any more; the scan goes on", self.address)
        finally:
            if self._run is not None:
                self._run.close()
            self._socket.close()
            self._context.term()

    def _publish(self, name: str, doc: Doc) -> None:
        """Send what a document brings; one that is odd must not keep the next from going out."""
        try:
            if name == "start":
                self._run = _Run(doc) if is_ptychography(doc) else None
            elif self._run is not None:
                for parts in self._run.take(name, doc, self._closing):
                    self._socket.send_multipart(parts)
        except (ValueError, KeyError, UnreadableFramesError) as exc:
            log.warning("%s: a document (%s) is not published: %s", self.address, name, exc)
        if self._run is not None:
            self.lost += self._run.lost
            self._run.lost = 0
            if name == "stop":
                self._run.close()
                self._run = None


class _Run:
    """One run: documents in, messages out."""

    def __init__(self, start: Doc) -> None:
        self.info = PtychoInfo.from_start(start)
        self._scan = Scan.from_start(start)
        self._uid = str(start["uid"])[:8]
        bad = None if self.info.mask is None else load_mask(self.info.mask, self.info.shape)
        self._good = None if bad is None else ~bad
        self._darks = Darks(self.info.shape, self.info.pedestal)
        self._file: FrameFile | None = None
        self._streams: dict[str, str] = {}
        self._open: int | None = None
        self._sent: dict[tuple[int, int], list[int]] = {}
        self.lost = 0
        self._gone = False  # a file that stays away must not hold up the next run

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _name(self, number: int) -> str:
        return f"{self._uid}_{number}"

    def take(self, name: str, doc: Doc, closing: threading.Event) -> Iterator[list[Any]]:
        """Messages that a document gives rise to."""
        if name == "descriptor":
            self._streams[str(doc["uid"])] = str(doc["name"])
        elif name == "stream_resource" and doc.get("data_key") == self.info.image:
            self._file = FrameFile(doc, self.info.shape)
        elif name in ("event", "event_page") and self._streams.get(doc["descriptor"]) == STREAM:
            for _, data, _ in rows_of(name, doc, "row"):
                yield from self._block(data, closing)
        elif name == "stop" and self._open is not None:
            yield ended(self._name(self._open), whole=doc.get("exit_status") == "success")
            self._open = None

    def _block(self, data: Doc, closing: threading.Event) -> Iterator[list[Any]]:
        number = int(data["exposure"])
        part = self._scan.exposures[number]
        block = BlockFrames.from_data(data, len(part.times))
        if not len(block.place):
            return
        key, rows = (number, int(block.place[0])), block.row.tolist()
        if self._sent.get(key) == rows:  # an event that a pause made come twice
            return
        self._sent[key] = rows
        if part.role is Role.DARK:
            frames, there = self._read(block.row, closing)
            self._darks.take(block, part.times, frames, there & (block.status == 0))
            return
        if self._open != number:
            if self._open is not None:
                yield ended(self._name(self._open), whole=True)
            yield started(self._name(number), part, self.info)
            self._open = number
        step = CHUNK * len(part.times)
        for first in range(0, len(block.place), step):
            yield from self._merged(number, block, slice(first, first + step), closing)

    def _merged(
        self, number: int, block: BlockFrames, piece: slice, closing: threading.Event
    ) -> Iterator[list[Any]]:
        """A message for each place of a piece of a block that has a frame."""
        part, m = self._scan.exposures[number], len(self._scan.exposures[number].times)
        raw, there = self._read(block.row[piece], closing)
        placed = np.isfinite(block.x[piece]) & np.isfinite(block.y[piece])
        use = (there & placed & (block.status[piece] == 0)).reshape(-1, m)
        merged = merge_exposures(
            raw.reshape(-1, m, *self.info.shape),
            np.where(use, block.gate[piece].reshape(-1, m), np.nan),
            np.stack([self._darks.mean(time) for time in part.times]),
            gain=self.info.gain,
            read_noise=self.info.read_noise,
            saturation=self.info.saturation,
            use=use,
            mask=self._good,
            bloom=BLOOM,
            total_time=sum(part.times),
        )
        counts = np.where(merged.mask, merged.counts, np.nan).astype(np.float32)
        at = np.arange(len(use)), m - 1 - np.argmax(use[:, ::-1], axis=1)  # the last that is used
        places, x, y = (a[piece].reshape(-1, m)[at] for a in (block.place, block.x, block.y))
        for k in range(len(places)):
            if use[k].any():
                yield frame(self._name(number), int(places[k]), float(x[k]), float(y[k]), counts[k])
            else:
                self.lost += 1

    def _read(self, rows: Any, closing: threading.Event) -> tuple[Any, Any]:
        """Frames of rows that are announced; the file may be held by its writer for a moment."""
        if self._file is None:
            raise UnreadableFramesError(f"no file is announced for the stream {FRAMES_STREAM!r}")
        for left in reversed(range(1 if self._gone else TRIES)):
            try:
                found = self._file.read(rows)
            except UnreadableFramesError:
                if not left or closing.wait(PAUSE):
                    self._gone = True
                    raise
            else:
                self._gone = False
                return found
        raise AssertionError("unreachable")
