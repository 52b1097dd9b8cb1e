"""A controller that goes to places in turn, and gates a camera at each."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status

from .._base import (
    SETTLE_TIMEOUT,
    BeamlineDevice,
    DeviceError,
    Move,
    NoAnswerError,
    ask,
    fail_when_lost,
    logged,
    published,
    put_now,
    pv,
)
from .._lines import LineArray
from .._owner import BeamlineBusyError
from .._waiting import wait_until, write
from .._watched import Way, watchable

__all__ = ["FlownPath", "PathScanner"]

log = logging.getLogger("redoxscope.devices")

IDLE, RUNNING, ERROR = 0, 1, 2
MAX_FRAMES, MAX_TIMES = 10_000, 4
TAKEN = 10.0
"""Longest time (s) for the controller to take what it is told."""
BEHIND = 10.0
"""Longest time (s) in which no further frame is gated."""
ENDING = 120.0
"""Longest time (s) from the last gate until it says that it is over: it may wait for its camera."""
SERIES = 2**31 - 1


@dataclass(frozen=True)
class FlownPath:
    """What was measured on the way; a value for each frame, NaN where there is none.

    Attributes
    ----------
    x, y : ndarray of float [n]
        Where the stage was during each frame (µm, sample coordinates).
    gate : ndarray of float [n]
        How long each was exposed (s).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    gate: NDArray[np.float64]


class _Coordinates(EpicsSignal):
    """Array PV that is written; Channel Access hands out an array of one element as a scalar."""

    def _fix_type(self, value: Any) -> Any:
        value = super()._fix_type(value)
        return value if value is None else np.atleast_1d(value)


def _told(suffix: str, doc: str, cls: type = EpicsSignal) -> Any:
    return pv(cls, suffix, kind="omitted", auto_monitor=True, doc=doc)


def _says(suffix: str, doc: str, cls: type = EpicsSignalRO, *, monitored: bool = True) -> Any:
    return pv(cls, suffix, kind="omitted", auto_monitor=monitored, doc=doc)


class PathScanner(BeamlineDevice):
    """Visits places of the fine stage, and gates a camera once or more at each.

    It is given coordinates and exposure times, and moves and gates by itself: a path of hundreds
    of places needs no message between. Each path has a number, which comes back when it is over;
    then where the stage was and how long each gate lasted can be read (``docs/reference/pvs.md``).
    """

    x = _told("X", "fine coordinates, µm", _Coordinates)
    y = _told("Y", "fine coordinates, µm", _Coordinates)
    places = _told("N", "how many of them")
    times = _told("Times", "exposures at each place, s", _Coordinates)
    exposures = _told("NTimes", "how many of them")
    settle = _told("Settle", "at rest before the first exposure of a place, s")
    series = _told("Series", "number of the path")
    series_taken = _says("Series_RBV", "number of the path that it has")
    start = pv(EpicsSignal, "Start", kind="omitted", doc="1 begins")
    abort = pv(EpicsSignal, "Abort", kind="omitted", doc="1 ends it")
    state = _says("State_RBV", "0 idle, 1 on its way, 2 gave up")
    message = pv(EpicsSignalRO, "Message", kind="omitted", string=True, doc="why it gave up")
    index = _says("Index_RBV", "frames gated")
    ended = _says("Done_RBV", "number of the path that is over")
    x_measured = _says("XMeasured", "of each frame, µm", LineArray, monitored=False)
    y_measured = _says("YMeasured", "of each frame, µm", LineArray, monitored=False)
    gate = _says("Gate", "of each frame, s", LineArray, monitored=False)
    max_rate = pv(
        EpicsSignalRO, "MaxRate_RBV", kind="config", auto_monitor=True, doc="frames per second"
    )

    def __init__(
        self, prefix: str = "", *, name: str, pvs: Mapping[str, str] | None = None, **kwargs: Any
    ):
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self._orders = threading.RLock()
        self._flying: tuple[Move, int, int] | None = None
        self._left = 0  # number of the last path that was not seen to its end; 0: none
        self.state.subscribe(self._on_state, run=False)
        self.ended.subscribe(self._on_ended, run=False)
        fail_when_lost([self.state, self.ended], self._end)

    most_frames = MAX_FRAMES
    """Of a path: places times exposures at each."""
    flown: FlownPath | None = None
    """What was measured on the last path; None before, while it lasts, and where it was ended."""

    def signals(self) -> Sequence[Any]:
        """What it cannot do without."""
        return [self.state, self.ended, self.start, self.abort, self.x, self.y]

    # -- what it can -----------------------------------------------------------------------

    def check_free(self) -> None:
        """Refuse to begin while it is on its way for somebody else.

        Raises
        ------
        BeamlineBusyError
        """
        if int(ask(self.state)) == RUNNING and self._flying is None and not self._is_left():
            raise BeamlineBusyError(
                f"{self.name} ({self.state.pvname}) is on its way for somebody else; nothing was "
                f"moved. If nobody measures, {self.name}.stop() ends it"
            )

    def _is_left(self) -> bool:
        """Whether the path that it has is one of this client, which lost sight of it."""
        return self._left > 0 and int(ask(self.series)) == self._left

    def end_left(self) -> Status:
        """End a path of this client that an outage hid; done when it rests, or where there is none.

        Not while the shutter follows for the next one: the controller has it follow no more.
        """
        what = f"{self.name} ({self.abort.pvname}) ending its last path"

        def step(move: Move) -> None:
            if int(ask(self.state)) == RUNNING and self._flying is None and self._is_left():
                log.warning("%s: its last path is still on its way, and is ended", self.name)
                self.abort.put(1, wait=True, timeout=TAKEN)
                self._rest(what)
            move.end()

        return self._in_thread(Move(what, 3 * TAKEN), step)

    def _rest(self, what: str) -> None:
        wait_until(self.state, lambda value: int(value) != RUNNING, what, TAKEN)

    def check_path(self, places: int, times: Sequence[float]) -> None:
        """Refuse a path that it cannot fly.

        Parameters
        ----------
        places : int
        times : sequence of float
            Exposures at each (s).

        Raises
        ------
        ValueError
            With value and limit.
        DeviceError
            It does not say what it can.
        """
        frames = places * len(times)
        if not 1 <= frames <= self.most_frames:
            raise ValueError(
                f"{self.name}: a path of {frames} frames; it takes 1 to {self.most_frames}"
            )
        if not 1 <= len(times) <= MAX_TIMES:
            raise ValueError(
                f"{self.name}: {len(times)} exposures at a place; it takes 1 to {MAX_TIMES}"
            )
        shortest = self.shortest
        if min(times) < shortest * (1 - 1e-9):
            raise ValueError(
                f"{self.name}: an exposure of {min(times):g} s is shorter than {shortest:g} s: it "
                f"gates {1 / shortest:g} frames/s at most ({self.max_rate.pvname})"
            )

    @property
    def shortest(self) -> float:
        """Shortest time (s) from one gate to the next."""
        return 1 / published(self.max_rate, "frames/s")

    def time_to(self, places: int, times: Sequence[float], settle: float) -> float:
        """Time (s) that it declares for a path; nothing moves.

        Raises
        ------
        DeviceError
            It declares none.
        """
        shortest = self.shortest
        return places * (settle + sum(max(one, shortest) for one in times))

    # -- a path ----------------------------------------------------------------------------

    def load(self, x: ArrayLike, y: ArrayLike, times: Sequence[float], settle: float) -> Status:
        """Take a path; nothing moves.

        Parameters
        ----------
        x, y : array_like of float [n]
            Fine coordinates (µm).
        times : sequence of float
            Exposures at each place (s).
        settle : float
            Time (s) at rest before the first of a place.

        Returns
        -------
        ophyd.status.Status
            Done when it was read back as written; fails with `DeviceError`.

        Raises
        ------
        ValueError
            As `check_path`.
        """
        xs, ys = (np.atleast_1d(np.asarray(values, dtype=float)) for values in (x, y))
        self.check_path(len(xs), times)
        arrays = {self.x: xs, self.y: ys, self.times: np.asarray(times, dtype=float)}
        numbers = {self.places: len(xs), self.exposures: len(times), self.settle: float(settle)}
        what = f"{self.name} ({self.x.pvname}) taking a path of {len(xs)} places"

        def step(move: Move) -> None:
            if self._is_left():  # it was told to end, and may be on its way yet
                self._rest(what)
            for signal, values in arrays.items():
                signal.put(values, wait=True, timeout=TAKEN)
            write(numbers, what, TAKEN)
            for signal, values in arrays.items():
                got = np.atleast_1d(ask(signal))[: len(values)]
                if got.shape != values.shape or not np.allclose(got, values, rtol=0, atol=1e-9):
                    raise DeviceError(f"{signal.pvname} is not what was written")
            move.end()

        return self._in_thread(Move(what, 4 * TAKEN), step)

    def fly(self, frames: int, seconds: float) -> Status:
        """Fly the path that it was given.

        Parameters
        ----------
        frames : int
            Gates on it.
        seconds : float
            That it should take, as `time_to` says.

        Returns
        -------
        ophyd.status.Status
            Done when `flown` has what was measured; fails with `DeviceError` where the controller
            gives up, or gates no further frame for long. One that a pause broke off ends well, and
            `flown` is None.
        """
        what = f"{self.name} ({self.start.pvname}) on its way through {frames} frames"
        move = Move(what, 10 * seconds + 60 + SETTLE_TIMEOUT)  # it is given up before, see _watch
        with self._orders:
            self._flying, self.flown = (move, -1, frames), None
            self._left = 0

        def begin(move: Move) -> None:
            last = max(int(ask(self.series)), int(ask(self.ended)))
            series = last % (SERIES - 1) + 1
            write({self.series: series}, f"{self.name} taking the number of a path", TAKEN)
            with self._orders:
                if self._flying is None or self._flying[0] is not move:  # it was stopped
                    return
                self._flying = (move, series, frames)
                put_now(self.start, 1)
            self._watch(move, frames, seconds)

        self._in_flight(move, begin)
        return watchable(move, Way(self.name, "frames", 0.0, float(frames), seconds))

    def _in_thread(self, move: Move, work: Callable[[Move], None]) -> Move:
        """Do what waits for servers; the RunEngine's thread must not."""
        threading.Thread(
            target=move.attempt, args=(lambda: work(move),), daemon=True, name=self.name
        ).start()
        return move

    def _in_flight(self, move: Move, work: Callable[[Move], None]) -> Move:
        """As `_in_thread`; where it fails the path is ended, for nobody looks after it any more."""

        def step(move: Move) -> None:
            try:
                work(move)
            except Exception:
                with self._orders:
                    flying = self._flying
                    if flying is None or flying[0] is not move:
                        raise
                    self._flying, self._left = None, max(flying[1], 0)
                if flying[1] > 0:  # it was begun
                    logged(log, self.name, lambda: put_now(self.abort, 1))
                raise

        return self._in_thread(move, step)

    def _watch(self, move: Move, frames: int, seconds: float) -> None:
        """Give up what does not get on, however long the whole would take."""
        slowest = BEHIND + 5 * seconds / max(frames, 1)
        over, last, since = threading.Event(), -1, time.monotonic()
        move.add_callback(lambda _: over.set())
        while not over.wait(0.5):
            now = int(ask(self.index))
            if now != last:
                last, since = now, time.monotonic()
            elif int(ask(self.state)) == ERROR:
                self._gave_up()
            elif time.monotonic() - since > (slowest if now < frames else ENDING):
                self._end(
                    DeviceError(
                        f"{self.name}: it does not get on: {now} of {frames} frames gated, and "
                        f"nothing for {time.monotonic() - since:.0f} s ({self.index.pvname})"
                    )
                )
                put_now(self.abort, 1)

    def _on_ended(self, *, value: Any, **_: Any) -> None:
        with self._orders:
            flying = self._flying
        if flying is not None and int(value) == flying[1]:
            self._in_flight(flying[0], self._collect)

    def _collect(self, move: Move) -> None:
        """Take what was measured; it is there before the path is said to be over."""
        with self._orders:
            flying = self._flying
        if flying is None or flying[0] is not move:
            return
        arrays = [_whole(ask(s), flying[2]) for s in (self.x_measured, self.y_measured, self.gate)]
        with self._orders:
            if self._flying is not flying:
                return
            self._flying = None
            self.flown = FlownPath(*arrays)
        move.end()

    def _on_state(self, *, value: Any, **_: Any) -> None:
        with self._orders:
            flying = self._flying
        if int(value) == ERROR and flying is not None:
            self._in_thread(flying[0], lambda _: self._gave_up())

    def _gave_up(self) -> None:
        try:
            why = str(ask(self.message))
        except (TimeoutError, NoAnswerError) as exc:
            why = f"it does not say why: {exc}"
        self._end(DeviceError(f"{self.name} ({self.state.pvname}) gave up: {why}"))

    def _end(self, error: Exception | None) -> None:
        with self._orders:
            flying, self._flying = self._flying, None
            if flying is not None:
                self._left = max(flying[1], 0)
        if flying is not None:
            flying[0].end(error)

    # -- its end ---------------------------------------------------------------------------

    def stop(self, *, success: bool = False) -> None:
        """End the path, whoever's it is; with ``success``, as in a pause, that is no failure.

        One that rests is left alone: its abort would close the shutter for a scanner, too.
        """
        with self._orders:
            flying = self._flying is not None
        self._end(None if success else DeviceError(f"{self.name} was stopped"))
        if flying or not self.state.connected or int(self.state.get()) == RUNNING:
            put_now(self.abort, 1)

    def halt(self) -> Status:
        """End the path; done when nothing moves."""
        self.stop(success=True)

        def step(move: Move) -> None:
            self._rest(move.what)
            move.end()

        return self._in_thread(Move(f"{self.name} ({self.abort.pvname}) halting", 2 * TAKEN), step)

    def pause(self) -> None:
        """End the path; the plan asks again."""
        self.stop(success=True)

    def resume(self) -> None:
        """Nothing: the plan asks again."""


def _whole(values: Any, n: int) -> NDArray[np.float64]:
    """So many values; NaN for those that are not there."""
    found = np.full(n, np.nan)
    given = np.atleast_1d(np.asarray(values, dtype=float))[:n]
    found[: len(given)] = given
    return found
