"""What becomes of the photons of a run: points, the photon list, and what is shown live."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...analysis.tes import Calibration
from ...documents import Bins
from ...formats import FILTERED, PhotonListWriter
from ...photons import LiveBatch, Photons
from .._base import DeviceError, Move
from ._clock import ServerClock
from ._errors import DastardError
from ._losses import LossCount
from ._points import PointBook
from ._result import PointCounts, PointResult

__all__ = ["Acquisition", "Setup"]

log = logging.getLogger("redoxscope.tes")

GRACE = 0.1
"""Time (s) that a photon may come after the status message that says it was counted."""
FUTURE = 2.0
"""By so much (s, here) may a photon's time be ahead of the estimate of the server's."""
LIST_EVERY = 0.5
"""Time (s) between two writes to the photon list."""
MOST_KEPT = 20_000_000
"""Photons kept for a calibration."""


@dataclass(frozen=True)
class Setup:
    """What holds for a whole run.

    Attributes
    ----------
    address : str
        Of the server, for messages.
    numbers : numpy.ndarray of int32
        Channel number of each channel index, -1 for those without pixel.
    calibration : Calibration or None
        Only its usable pixels count; without one, all pixels.
    bins : Bins
    lateness_ns : int
        How far behind the newest photon another may come.
    dead_time : float
        s
    begin_ns : int
        From when on (server's clock) all photons that were sent are handed in.
    keep : bool
        Keep the photons of the points, for a calibration.
    projected : frozenset of int
        Channel indices that have projectors, as the server told when the run began.
    """

    address: str
    numbers: NDArray[np.int32]
    calibration: Calibration | None
    bins: Bins
    lateness_ns: int
    dead_time: float
    begin_ns: int
    keep: bool = False
    projected: frozenset[int] = frozenset()

    @property
    def counted(self) -> NDArray[np.int32]:
        """Channel numbers of the pixels that count."""
        there = np.unique(self.numbers[self.numbers >= 0])
        if self.calibration is None:
            return there
        return there[np.isin(there, np.asarray(self.calibration.usable, np.int64))]


class Acquisition:
    """One run, from stage to unstage.

    Photons come in from one thread, everything else from others. An error ends it: the point
    that is open fails with it and no other can be opened.

    Parameters
    ----------
    setup : Setup
    clock : ServerClock
    writer : PhotonListWriter
    on_live : callable
        Gets a `LiveBatch` for the photons of the open point, in the thread of the photons and
        before the point is closed.
    """

    def __init__(
        self,
        setup: Setup,
        clock: ServerClock,
        writer: PhotonListWriter,
        on_live: Callable[[LiveBatch], None],
    ):
        self.setup, self._clock, self._writer, self._on_live = setup, clock, writer, on_live
        self._lock = threading.RLock()
        self._book = PointBook()
        self._losses = LossCount(len(setup.numbers), setup.begin_ns)
        pixels = setup.counted
        self._counts = PointCounts(setup.bins, pixels, setup.dead_time)
        self._counted = np.zeros(1 << 16, np.bool_)
        self._counted[pixels] = True
        self._marks: deque[tuple[float, int]] = deque()
        self._rows: list[tuple[Photons, NDArray, NDArray]] = []
        self._rows_since = 0.0
        self._listed = 0  # points in the list's table
        self._move: Move | None = None
        self._result: PointResult | None = None
        self._waiting: list[tuple[int, Move]] = []
        self._finished = False
        self._kept: list[tuple[Photons, NDArray]] = []
        self._disowned: set[int] = set()
        self._kept_count = 0
        self.error: DeviceError | None = None
        self.photons = self.late = self.outside = 0

    # -- from the thread of the photons ---------------------------------------------------

    def came_before(self, index: NDArray[np.uint16], time_ns: NDArray[np.int64]) -> None:
        """Photons that came before the run; only to compare with what the server counted."""
        with self._lock:
            self._losses.came(index, time_ns)

    def add(self, array: NDArray[np.void]) -> None:
        """Take summaries that came."""
        setup = self.setup
        index = array["chan_index"]
        known = np.append(setup.numbers, np.int32(-1))
        number = known[np.minimum(index, len(setup.numbers))]
        good = number >= 0
        if not good.all():  # error channels, or a server whose channels changed
            array, index, number = array[good], index[good], number[good]
        if not len(array):
            return
        if array.dtype["coefs"].shape[0] <= FILTERED:
            self.fail(self._without_heights(int(index[0]), int(number[0])))
            return
        photons = Photons.of(number, array["t_ns"], array["coefs"][:, FILTERED], array["ptm"])
        if setup.calibration is not None:
            energy = setup.calibration.energy(photons.pixel, photons.filtered, photons.pretrigger)
            photons = photons.with_energy(energy)
        with self._lock:
            if self._finished:
                return
            live = self._sort_in(photons, index)
        if live is not None:
            self._on_live(live)
        self._advance(self._book.newest)

    def _without_heights(self, index: int, number: int) -> DastardError:
        """What a photon without pulse height says, which may come before the server's own word."""
        address = self.setup.address
        if index in self.setup.projected:
            return DastardError(
                f"{address}: the server's projectors changed within the run: channel {number} had "
                "some, and its photons come without pulse heights. Another client?"
            )
        return DastardError(
            f"{address} sends photons without pulse heights: channel {number} has no projectors"
        )

    def tick(self, *, drained: bool) -> None:
        """Called regularly: what the status messages said, and the list.

        ``drained``: everything that has come was added.
        """
        now = time.monotonic()
        if drained:
            mark = 0
            with self._lock:
                while self._marks and self._marks[0][0] + GRACE <= now:
                    mark = max(mark, self._marks.popleft()[1])
            if mark:
                self._advance(mark)
        if self._rows and now - self._rows_since > LIST_EVERY:
            self.write_list()

    def _sort_in(self, photons: Photons, index: NDArray[np.uint16]) -> LiveBatch | None:
        clock = self._clock
        latest = clock.now_if_known()  # not after the server was lost: last photons still come
        if latest is not None:
            latest += round(FUTURE * 1e9 * clock.scale)
        point, late = self._book.assign(photons.time_ns, latest)
        self._losses.came(index, photons.time_ns)
        self.photons += len(photons)
        self.late += int(late.sum())
        self.outside += int((point < 0).sum())
        if not self._rows:
            self._rows_since = time.monotonic()
        self._rows.append((photons, point, late))
        if self.setup.keep and self._kept_count < MOST_KEPT:
            inside = point >= 0
            self._kept.append((photons[inside], point[inside]))
            self._kept_count += int(inside.sum())
        now = self._book.open_point
        if now is None:
            return None
        mine = (point == now) & self._counted[photons.pixel]
        if not mine.any():
            return None
        own = photons[mine]
        self._counts.add(own.pixel, own.energy)
        start, _ = self._book.window(now)
        return LiveBatch(now, start, own.pixel, own.energy, clock.local(own.time_ns))

    def _advance(self, mark_ns: int) -> None:
        """Everything up to ``mark_ns``, less the lateness, has come."""
        done = None
        with self._lock:
            if self._finished:
                return  # what comes now is not taken, so it must not count as lost
            closed = self._book.advance(mark_ns - self.setup.lateness_ns)
            self._losses.settle(self._book.mark)
            if closed is not None:
                self._result = self._counts.result(
                    closed,
                    self._book.window(closed),
                    self.late,
                    self._losses.reported,
                    counted=self.setup.calibration is not None,
                )
                done, self._move = self._move, None
            covered = [move for end, move in self._waiting if self._losses.covered >= end]
            self._waiting = [w for w in self._waiting if w[1] not in covered]
        for move in covered if done is None else [done, *covered]:
            move.end()

    # -- from the thread of the status ----------------------------------------------------

    def rates(self, start_ns: int, end_ns: int, counts: NDArray[np.int64], at: float) -> float:
        """The server says how many pulses each channel had in an interval.

        Returns
        -------
        float
            Pulses per second of all pixels; NaN where no point was open all the time.
        """
        with self._lock:
            if self._finished:
                return math.nan
            self._losses.seen(start_ns, end_ns, counts)
            self._marks.append((at, end_ns))
            point = self._book.open_point
            if point is None or end_ns <= start_ns or start_ns < self._book.window(point)[0]:
                return math.nan
            pixels = self.setup.numbers[: len(counts)] >= 0
            return float(counts[: len(pixels)][pixels].sum() / (1e-9 * (end_ns - start_ns)))

    def fail(self, error: DeviceError) -> None:
        """End it: nothing more will come, or can be kept."""
        with self._lock:
            if self.error is None:
                self.error = error
            self._abandon()
            moves = [self._move, *(move for _, move in self._waiting)]
            self._move, self._waiting = None, []
        for move in moves:
            if move is not None:
                move.end(error)

    # -- from the RunEngine's thread ------------------------------------------------------

    def open(self, length_ns: int, move: Move) -> tuple[int, int]:
        """Open a window now; its number and start (ns). ``move`` ends when it is closed.

        A window that is open is abandoned, and its move ends without error.

        Raises
        ------
        DeviceError
            The run has failed.
        """
        with self._lock:
            if self.error is not None:
                raise self.error
            if self._finished:
                raise DeviceError(f"{self.setup.address}: this run's photon list is closed")
            now = self._clock.now_if_known()
            if now is None:
                raise DeviceError(f"{self.setup.address} was lost")
            old, self._move = self._move, move
            self._result = None
            point = self._book.open(now, length_ns)
            start, _ = self._book.window(point)
            self._counts.clear()
        if old is not None:
            old.end()
        return point, start

    def abandon(self) -> None:
        """Give up the open window; its move ends without error."""
        with self._lock:
            self._abandon()
            move, self._move = self._move, None
        if move is not None:
            move.end()

    def _abandon(self) -> None:
        if self._book.open_point is not None:
            self._book.abandon(self._clock.now_if_known() or 0)
            self._result = None

    @property
    def result(self) -> PointResult | None:
        """The last window, if it was closed."""
        return self._result

    @property
    def lost(self) -> int:
        """Photons that the server counted and that have not come."""
        with self._lock:
            return self._losses.lost

    @property
    def kept(self) -> Photons:
        """Photons of the points so far, if they are kept; without those that are doubtful."""
        with self._lock:
            out = list(self._disowned)
            return Photons.concatenate(
                photons[~np.isin(point, out)] for photons, point in self._kept
            )

    def disown(self, point: int) -> None:
        """Calibrate nothing with the photons of a point: what they are of is not known."""
        with self._lock:
            self._disowned.add(point)

    def cover(self, move: Move) -> None:
        """End ``move`` when the server's counts have covered all windows."""
        with self._lock:
            error, n = self.error, len(self._book)
            end = max((self._book.window(i)[1] for i in range(n)), default=0)
            done = error is not None or self._losses.covered >= end
            if not done:
                self._waiting.append((end, move))
        if done:
            move.end(error)

    def write_list(self) -> None:
        """Bring the photons that came so far into the list."""
        with self._lock:
            error = self._write_rows()
        if error is not None:
            self.fail(error)

    def _write_rows(self) -> DeviceError | None:
        rows, self._rows = self._rows, []
        if not rows or self._finished:
            return None
        try:
            self._writer.append(
                Photons.concatenate(row[0] for row in rows),
                np.concatenate([row[1] for row in rows]),
                np.concatenate([row[2] for row in rows]),
            )
            self._writer.flush()  # where a recovery finds it, should this process be killed
        except (OSError, ValueError) as exc:
            error = DeviceError(f"the photons of the run cannot be kept: {exc}")
            error.__cause__ = exc
            self._finished = True
            return error
        return None

    def finish(self) -> None:
        """Take no more photons and close the list; again is no error.

        Whoever waits for a point or for the server's counts waits no longer.

        Raises
        ------
        OSError
            The list could not be completed; names the file.
        """
        self.abandon()
        error = None
        try:
            with self._lock:  # at once: a photon that came in between would be counted, not listed
                error = self._write_rows()
                self._finished = True
                n = len(self._book)
                table = [(i, *self._book.window(i)) for i in range(n) if self._book.closed(i)]
                self._writer.close(points=table)
        finally:
            if error is not None:
                self.fail(error)
            with self._lock:
                waiting, self._waiting = self._waiting, []
            for _, move in waiting:
                move.end()
