"""The reconstruction of one energy: blocks of frames in, an image out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...analysis.ptychography import (
    Engine,
    Geometry,
    PtychoResult,
    RingCorrelation,
    initial_probe,
    merge_exposures,
    refined,
    with_sigma,
)
from ...documents import BlockFrames, FrameStatus, PtychoInfo
from ...scan import Exposures
from ._darks import Darks
from ._frames import FrameFile

__all__ = ["Fed", "Piece", "Task"]

CHUNK = 32
"""Most places that are read and merged at once."""


@dataclass(frozen=True)
class Fed:
    """What a piece of a block brought.

    Attributes
    ----------
    places : int
        That came into the reconstruction, or were left out: places no longer waited for.
    left_out : int
        Frames not used.
    taken : int
        Frames (merged) that the engine took.
    stamp : float
        When the block was taken (s since 1970).
    """

    places: int
    left_out: int
    taken: int
    stamp: float


@dataclass(frozen=True)
class Piece:
    """Merged frames of some places.

    Attributes
    ----------
    counts : numpy.ndarray [n, ny, nx]
        Photons; NaN where a pixel has no value.
    variance : numpy.ndarray [n, ny, nx]
        Of the photons.
    mask : numpy.ndarray of bool [n, ny, nx]
        True where a pixel has a value.
    x, y : numpy.ndarray [n]
        Where the beam was on the sample (µm).
    scale : float
        Incident beam over that of the first frames; NaN where it is not known for these only.
    whole : numpy.ndarray of bool [n]
        Whether all exposures of a place are in it.
    lacking : numpy.ndarray [n]
        Share of the pixels that are good in the run which have no value.
    """

    counts: NDArray[np.float32]
    variance: NDArray[np.float32]
    mask: NDArray[np.bool_]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    scale: float
    whole: NDArray[np.bool_]
    lacking: NDArray[np.float64]


class Task:
    """Reconstructs what was taken at one energy of one region.

    Parameters
    ----------
    part : Exposures
        The part of the scan.
    info : PtychoInfo
    darks : Darks
        Of the run; they come before the first frame of the sample.
    bad : numpy.ndarray of bool [ny, nx], optional
        Pixels that mean nothing.
    xp : str
        Array module of the engine.

    Raises
    ------
    ValueError
        Frames that are not square, a zone plate that does not fit the camera.
    """

    def __init__(
        self,
        part: Exposures,
        info: PtychoInfo,
        darks: Darks,
        bad: NDArray[np.bool_] | None = None,
        xp: str = "numpy",
    ) -> None:
        ny, nx = info.shape
        if ny != nx:
            raise ValueError(
                f"frames of {ny} x {nx} pixels cannot be reconstructed: they must be square"
            )
        self.part, self.info, self._xp = part, info, xp
        self.geometry = Geometry(part.energy, info.distance_um, info.pixel_um, nx)
        self._darks = darks
        self._good = None if bad is None else ~bad
        self._blocks: dict[int, BlockFrames] = {}
        self._fed: dict[int, BlockFrames] = {}
        self._waiting: deque[int] = deque()
        self._stamps: dict[int, float] = {}
        self._flux: dict[int, float] = {}
        self._offset = 0
        self._engine: Engine | None = None
        self._result: PtychoResult | None = None
        self._shown = 0  # frames of the image that it had when it was put aside
        self._reference_flux = float("nan")
        self._before_all: int | None = None  # updates made when all frames were there
        self.finished = False
        self.shelved = False
        self.refined = False
        self.closed = False
        """No more blocks come."""
        self.left_out = 0
        self.places_fed = 0

    # -- blocks --------------------------------------------------------------------------------

    def take(self, block: BlockFrames, stamp: float, flux: float) -> None:
        """Take a block, which replaces one with the same first place.

        ``stamp``: when it was taken (s since 1970); ``flux``: incident beam in any unit, NaN where
        it is not known.
        """
        if not len(block.place):
            return
        first = int(block.place[0])
        before = self._fed.get(first)
        self._blocks[first] = block
        self._stamps[first], self._flux[first] = stamp, flux
        if before is not None:
            if _same(before, block):
                return
            self.restart()  # an engine cannot forget a frame
        elif first in self._waiting:
            if self._waiting[0] == first and self._offset:
                self.restart()
        else:
            self._waiting.append(first)
        self.finished = False

    def restart(self) -> None:
        """Begin anew, with all blocks."""
        self._engine, self._fed, self._offset, self._before_all = None, {}, 0, None
        self.left_out = self.places_fed = self._shown = 0
        self._waiting = deque(sorted(self._blocks))
        self.finished = self.shelved = self.refined = False

    def halves(self) -> tuple[Task, Task]:
        """The same from every other place: two images that have nothing in common.

        Both begin with the first guess of the beam: with that of all frames, what is wrong with it
        would be in both, and each would know of the other's frames.
        """
        found = []
        for parity in (0, 1):
            half = Task(
                self.part, self.info, self._darks, None if self._good is None else ~self._good,
                self._xp,
            )  # fmt: skip
            for first, block in self._blocks.items():
                chosen = block.place % 2 == parity
                if chosen.any():
                    half.take(block.of(chosen), self._stamps[first], self._flux[first])
            half.closed = True
            found.append(half)
        return found[0], found[1]

    def shelve(self) -> None:
        """Free the memory of the frames; they are read again when there is time."""
        shown = self.result
        if shown is None or shown.frames < self._shown:
            shown = self._result
        self.restart()
        self._result, self.shelved = shown, True
        self._shown = 0 if shown is None else shown.frames

    @property
    def waiting(self) -> int:
        """Places that are announced and not in the reconstruction."""
        total = sum(len(np.unique(self._blocks[first].place)) for first in self._waiting)
        return total - self._offset

    @property
    def oldest(self) -> float:
        """When the first block that waits was taken (s since 1970); NaN where none waits."""
        return min((self._stamps[first] for first in self._waiting), default=float("nan"))

    @property
    def complete(self) -> bool:
        """Whether all places of the part are in the reconstruction."""
        return not self._waiting and self.places_fed >= len(self.part.positions)

    def feed(self, file: FrameFile) -> Fed:
        """Read, merge and add a piece of the first block that waits.

        Raises
        ------
        UnreadableFramesError
        """
        first = self._waiting[0]
        block = self._blocks[first]
        places = np.unique(block.place)
        chosen = places[self._offset : self._offset + CHUNK]
        frames, good, gates, x, y = self._read(file, block, chosen)
        piece = self._merge(frames, good, gates, x, y, self._flux[first])
        taken = 0
        if piece is not None:
            if self._engine is None:
                self._engine = self._make_engine()
            taken = self._engine.add(
                piece.counts,
                piece.x,
                piece.y,
                mask=piece.mask,
                variance=piece.variance,
                scale=piece.scale,
            )
        lost = int((~good).sum())
        self.left_out += lost
        self.places_fed += len(chosen)
        self._offset += len(chosen)
        self.shelved = False
        if self._offset >= len(places):
            self._waiting.popleft()
            self._fed[first], self._offset = block, 0
        return Fed(len(chosen), lost, taken, self._stamps[first])

    def _read(
        self, file: FrameFile, block: BlockFrames, places: NDArray[np.int64]
    ) -> tuple[NDArray, NDArray[np.bool_], NDArray, NDArray, NDArray]:
        """Frames [n, m, ny, nx] of places, which are good [n, m], gates [n, m], x and y [n]."""
        n, m = len(places), len(self.part.times)
        inside = np.flatnonzero(np.isin(block.place, places))
        at = np.searchsorted(places, block.place[inside]), block.time[inside]
        rows = np.full((n, m), -1, dtype=np.int64)
        gates, x, y = (np.full((n, m), np.nan) for _ in range(3))
        ok = np.zeros((n, m), dtype=bool)
        rows[at], gates[at] = block.row[inside], block.gate[inside]
        x[at], y[at] = block.x[inside], block.y[inside]
        ok[at] = block.status[inside] == FrameStatus.OK
        ok &= np.isfinite(gates) & (gates > 0) & np.isfinite(x) & np.isfinite(y)
        wanted = np.where(ok, rows, -1).reshape(-1)
        frames, there = file.read(wanted)
        good = ok & there.reshape(n, m)
        with np.errstate(invalid="ignore"):
            weight = np.where(good, gates, 0.0)
            total = weight.sum(axis=1)
            where = [
                np.where(total > 0, (weight * np.where(good, p, 0.0)).sum(axis=1) / total, np.nan)
                for p in (x, y)
            ]
        return frames.reshape(n, m, *self.info.shape), good, gates, where[0], where[1]

    def _merge(
        self,
        frames: NDArray,
        good: NDArray[np.bool_],
        gates: NDArray,
        x: NDArray,
        y: NDArray,
        flux: float,
    ) -> Piece | None:
        some = good.any(axis=1)
        if not some.any():
            return None
        info, times = self.info, self.part.times
        merged = merge_exposures(
            frames[some], gates[some], np.stack([self._darks.mean(t) for t in times]),
            gain=info.gain, read_noise=info.read_noise, saturation=info.saturation,
            dark_variance=np.reshape([self._darks.variance(t, info.read_noise) for t in times],
                                     (-1, 1, 1)),
            use=good[some], mask=self._good, total_time=sum(times),
        )  # fmt: skip
        scale = 1.0
        if np.isfinite(flux) and flux > 0:
            if not np.isfinite(self._reference_flux):
                self._reference_flux = flux
            scale = flux / self._reference_flux
        elif np.isfinite(self._reference_flux):
            scale = float("nan")  # those of others are known: it may have been dark
        good_in_run = np.ones(info.shape, bool) if self._good is None else self._good
        lacking = (good_in_run & ~merged.mask).sum(axis=(1, 2)) / max(good_in_run.sum(), 1)
        return Piece(
            merged.counts, merged.variance, merged.mask, x[some], y[some], scale,
            np.all(good[some], axis=1), lacking,
        )  # fmt: skip

    def pieces(self, file: FrameFile) -> Iterator[Piece]:
        """All frames merged and not reconstructed, in the order of their places.

        Raises
        ------
        UnreadableFramesError
        """
        for first in sorted(self._blocks):
            block = self._blocks[first]
            places = np.unique(block.place)
            for at in range(0, len(places), CHUNK):
                read = self._read(file, block, places[at : at + CHUNK])
                piece = self._merge(*read, self._flux[first])
                if piece is not None:
                    yield piece

    def first_probe(self) -> NDArray[np.complex64]:
        """The beam on the sample as zone plate and defocus have it."""
        plate = self.info.zone_plate
        return initial_probe(
            self.geometry, outer_zone_nm=plate["outer_zone_nm"],
            stop_fraction=plate.get("central_stop_um", 0.0) / plate["diameter_um"],
            defocus_um=self.info.defocus_um,
        )  # fmt: skip

    def _make_engine(self) -> Engine:
        info = self.info
        x, y = np.array(self.part.positions).T
        field = float(x.min()), float(x.max()), float(y.min()), float(y.max())
        return Engine(
            self.geometry, self.first_probe(), field, expected=len(self.part.positions),
            read_noise=info.read_noise / info.gain, xp=self._xp,
        )  # fmt: skip

    # -- updates -------------------------------------------------------------------------------

    @property
    def in_memory(self) -> bool:
        """Whether it holds frames."""
        return self._engine is not None

    @property
    def frames(self) -> int:
        """Frames in use."""
        return 0 if self._engine is None else len(self._engine)

    def left(self, live: int, after: int) -> int:
        """Updates to be made still.

        ``live`` of each frame while others come, ``after`` of each once all are there: those of
        the beginning have been made with few neighbours.
        """
        if self._engine is None:
            return 0
        frames, made = len(self._engine), self._engine.updates
        if not (self.complete or self.closed):
            return max(live * frames - made, 0)
        if self._before_all is None:
            self._before_all = made
        each = after // 2 if self.refined else after
        return max(each * frames - (made - self._before_all), 0)

    def refine(self, modes: int) -> None:
        """Go on with several modes of the beam and places that may move a little."""
        assert self._engine is not None
        self._engine = refined(self._engine, modes=modes)
        self._before_all, self.refined = self._engine.updates, True

    def sweep(self, updates: int, until: Callable[[], bool] = lambda: False) -> int:
        """Make updates, in small pieces, until the time is over; how many were made."""
        assert self._engine is not None
        done = 0
        while done < updates:
            piece = min(8, updates - done)
            self._engine.sweep(piece)
            done += piece
            if until():
                break
        return done

    def finish(self) -> None:
        """Keep the image, let go of the frames."""
        if self._engine is not None:
            found, self._engine = self._engine.result(), None
            if found.frames >= self._shown:  # of one put aside not all may be readable again
                self._result = found
        self.finished = True

    def compare(self, one: PtychoResult, other: PtychoResult) -> RingCorrelation | None:
        """Give the image the σ that its halves find, and say how fine they agree.

        Raises
        ------
        ValueError
            The halves cover too small an area.
        """
        if self._result is None:
            return None
        self._result = with_sigma(self._result, one, other)
        return self._result.ring

    @property
    def result(self) -> PtychoResult | None:
        """The image as it is; None where there is nothing."""
        if self._engine is None or not self._engine.updates:
            return self._result
        return self._engine.result()


def _same(one: BlockFrames, other: BlockFrames) -> bool:
    """Whether two blocks say the same: one that was given out again."""
    names = ("place", "time", "row", "x", "y", "gate", "status")
    return all(
        np.array_equal(
            getattr(one, name), getattr(other, name), equal_nan=name in ("x", "y", "gate")
        )
        for name in names
    )
