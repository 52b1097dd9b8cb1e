"""Taking blocks of frames: a path that gates, a camera that counts, and their agreement."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from ophyd import Component as Cpt
from ophyd import Device
from ophyd.status import Status

from ...documents import PTYCHO_ARRAYS
from ...inputs import as_whole
from ...scan import Block
from .._base import DeviceError, Move, ask, logged, put_now
from .._numbers import positive, zero_or_more
from .._positioner import check_limits
from .._setting import Setting
from .._waiting import AbandonedError
from .._watched import Way, watchable
from ._taken import TakenBlock, judged

__all__ = ["TakesBlocks"]

log = logging.getLogger("redoxscope.devices")

LONGEST_BLOCK = 5.0
"""Longest time (s) that a block should take: what a pause, or a bad frame, costs."""
ARMING = 0.1
"""Time (s) between two blocks: a path and a camera are told, and frames looked at."""
LATE = 60.0
"""Time (s) that all may be late before it is given up; what hangs is found before."""
NOTICE = 5.0
"""Longest time (s) in which a frame that was gated has to come, and to be written."""


def _whole(value: Any) -> int:
    return as_whole("value", value, at_least=1)


class TakesBlocks(Device):
    """Prepares, takes and judges blocks; for a device with ``camera``, ``path``, ``conditions``.

    ``prepare`` gives the path its places and arms the camera, ``trigger`` flies the path and finds
    each frame in the camera's file. Frames are paired with places by index, and what is extra,
    missing, torn or unwritten is found and named: ``taken`` says it, and the status ends well.
    """

    camera: Any
    path: Any
    conditions: Any
    shutter: Any
    sample_stage: Any
    i0: Any

    settle = Cpt(
        Setting, value=0.005, check=zero_or_more, unit="s", kind="config",
        doc="at rest before the first exposure of a place",
    )  # fmt: skip
    position_limit = Cpt(
        Setting, value=0.2, check=positive, unit="um", kind="config",
        doc="largest distance of a place from where it was asked for",
    )  # fmt: skip
    block_frames = Cpt(
        Setting, value=1, check=_whole, kind="config",
        doc="values of each array of an event: frames of the longest block",
    )  # fmt: skip

    taken: TakenBlock | None = None
    """The block that was taken last; None before, while one is taken, and after a pause."""
    _block: Block | None = None
    _under_way: Move | None = None
    _at = 0.0
    _i0_dwell: float | None = None
    _ends = 0  # how often it was stopped: what was begun before is not wanted any more

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._preparing = threading.Lock()

    @property
    def images(self) -> Any:
        """The frames, as a stream."""
        return self.camera.images

    # -- what a block may be ---------------------------------------------------------------

    def block_places(self, times: Sequence[float]) -> int:
        """Most places of a block with these exposures (s) at each; at least 1.

        A block lasts 5 s at most, and half as long as the shutter may be open.
        """
        one = self.path.time_to(1, times, self.settle.get())
        dead_man = getattr(self.shutter, "dead_man", None)
        longest = LONGEST_BLOCK
        if dead_man is not None and self.shutter.blade is not None:
            longest = min(longest, float(dead_man.get()) / 2)
        return max(1, min(self.path.most_frames // len(times), math.floor(longest / one)))

    def block_time(self, block: Block) -> float:
        """Time (s) that a block should take, with what comes before and after it."""
        return self._path_time(block) + ARMING

    def _path_time(self, block: Block) -> float:
        return float(self.path.time_to(len(block.positions), block.times, self.settle.get()))

    def check_block(self, block: Block) -> None:
        """Refuse a block that cannot be taken.

        Raises
        ------
        ValueError
            More frames than `block_frames`, a path that cannot be flown, a shutter that would
            close meanwhile.
        """
        most = int(self.block_frames.get())
        if block.frames > most:
            raise ValueError(
                f"{self.name}: a block of {block.frames} frames; block_frames is {most}"
            )
        self.path.check_path(len(block.positions), block.times)
        if not block.dark:
            self.shutter.check_open_time(
                self._path_time(block), f"a block of {len(block.positions)} places"
            )

    def _fine(self, block: Block, origin: tuple[float, float]) -> tuple[list[float], list[float]]:
        """Fine coordinates (µm) of its places where the coarse stage stands at ``origin``.

        Raises
        ------
        ophyd.utils.LimitError
            Out of the fine stage's reach.
        """
        axes: list[list[float]] = []
        for axis, name in enumerate(("fine_x", "fine_y")):
            fine = getattr(self.sample_stage, name)
            values = [place[axis] - origin[axis] for place in block.positions]
            for end in (min(values), max(values)):
                check_limits(fine.name, end, fine.limits, "µm")
            axes.append(values)
        return axes[0], axes[1]

    # -- taking one ------------------------------------------------------------------------

    def prepare(self, block: Block) -> Status:
        """Give the path its places, and arm the camera.

        Parameters
        ----------
        block : Block

        Returns
        -------
        ophyd.status.Status
            Done when both have said that they have it; fails with `DeviceError`.

        Raises
        ------
        ValueError
            As `check_block`.
        """
        self.taken = self._block = None
        self.check_block(block)

        mine = self._ends

        def step(move: Move) -> None:
            with self._preparing:  # one that was stopped may still be at it
                if self._ends == mine:
                    prepared()

        def prepared() -> None:
            self.path.check_free()
            origin = self.conditions.hold(block)
            x, y = self._fine(block, origin)
            if self._ends != mine:
                return
            loaded = self.path.load(x, y, block.times, self.settle.get())
            armed = self.camera.arm(block.frames)
            for status in (loaded, armed):
                status.wait()
            if self._ends != mine:  # stopped, maybe before the camera was armed
                self.camera.pause()
                return
            self._block = block

        what = f"{self.name}: preparing a block of {block.frames} frames"
        self._under_way = self._in_thread(what, 10 * LATE, step)  # each part has limits of its own
        return self._under_way

    def trigger(self) -> Status:
        """Take the block that was prepared.

        Returns
        -------
        ophyd.status.Status
            Done when ``taken`` says what came of it. Fails with `DeviceError` where path or camera
            gives up or does not answer; where a pause broke it off it ends well, and ``taken`` is
            None.

        Raises
        ------
        DeviceError
            None was prepared.
        """
        block, self._block = self._block, None
        if block is None:
            raise DeviceError(f"{self.name}: no block was prepared")
        seconds, mine = self._path_time(block), self._ends

        def step(move: Move) -> None:
            try:
                monitor = self._monitored(seconds)
                flying = self.path.fly(block.frames, seconds)
                if self._ends != mine:  # stopped, maybe before it flew
                    self.path.stop(success=True)
                flying.wait()
                flown = self.path.flown
                if self._ends != mine or flown is None:
                    return
                counted = self.camera.count(lambda: self._ends != mine, NOTICE)
                if monitor is not None:
                    monitor.wait()
            except BaseException:
                if self._ends == mine:  # else it may be armed for the next block
                    self.camera.pause()  # it must not wait for gates that will not come
                raise
            doubts = self.conditions.judged()
            if self._ends != mine:
                return
            self._at = time.time()
            self.taken = judged(block, counted, flown, doubts, self.position_limit.get())
            for words in self.taken.reasons:
                log.warning("%s: %s", self.name, words)

        what = f"{self.name}: taking a block of {block.frames} frames"
        move = self._in_thread(what, 10 * seconds + 2 * LATE, step)
        self._under_way = move
        return watchable(move, Way(self.name, "s", 0.0, seconds, seconds))

    def _monitored(self, seconds: float) -> Status | None:
        """Have the beam monitor count for as long as a block should take (s)."""
        if self.i0 is None:
            return None
        if self._i0_dwell is None:
            self._i0_dwell = float(ask(self.i0.dwell))
        self.i0.dwell.set(seconds).wait()
        status: Status = self.i0.trigger()
        return status

    def _give_back(self) -> None:
        """Let the monitor count points for as long as before."""
        dwell, self._i0_dwell = self._i0_dwell, None
        if dwell is not None:
            self.i0.pause()
            put_now(self.i0.dwell, dwell)

    def _in_thread(self, what: str, limit: float, work: Callable[[Move], None]) -> Move:
        """Do what waits for servers; the RunEngine's thread must not."""
        move = Move(what, limit)

        def step() -> None:
            try:
                work(move)
            except AbandonedError:
                pass
            move.end()

        threading.Thread(target=move.attempt, args=(step,), daemon=True, name=self.name).start()
        return move

    def stop(self, *, success: bool = False) -> None:
        """End path and exposures; with ``success``, as in a pause, that is no failure."""
        self._ends += 1
        move, self._under_way = self._under_way, None
        self._block = None
        if move is not None and not move.done:
            move.end(None if success else DeviceError(f"{self.name} was stopped"))
        logged(log, self.path.name, lambda: self.path.stop(success=success))
        logged(log, self.camera.name, lambda: self.camera.stop(success=success))

    def pause(self) -> None:
        """End the block; the plan takes it again."""
        self.stop(success=True)

    def resume(self) -> None:
        """Nothing: the plan prepares again."""

    # -- readings --------------------------------------------------------------------------

    def block_values(self) -> dict[str, Any]:
        """Values of the block that was taken last, by data key.

        Raises
        ------
        DeviceError
            None was.
        """
        if self.taken is None:
            raise DeviceError(f"{self.name}: no block was taken")
        return self.taken.values(int(self.block_frames.get()))

    def block_keys(self) -> dict[str, Any]:
        """Data keys of the same."""
        n = int(self.block_frames.get())
        whole = {"dtype": "integer", "dtype_numpy": "<i8", "shape": [], "source": self.name}
        keys: dict[str, Any] = {"exposure": dict(whole), "first": dict(whole)}
        for name, unit in PTYCHO_ARRAYS.items():
            kind = "<i8" if unit is None else "<f8"
            keys[name] = {
                "dtype": "array", "dtype_numpy": kind, "shape": [n], "source": self.name,
            } | ({} if unit is None else {"units": unit})  # fmt: skip
        return keys
