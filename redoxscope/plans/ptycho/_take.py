"""Takes the blocks of a scan, one event each."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

import numpy as np
from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import RunEngineControlException

from ...documents import FRAMES_STREAM, STREAM, FrameStatus
from ...scan import Block, Scan
from .._blocks import blocks_of_scan, longest_block
from .._events import readings
from .._outage import outlasting
from .._pauses import Pauses
from .._protocols import PtychographyStation
from .._safety import MsgGenerator, named

__all__ = ["frames"]

log = logging.getLogger("redoxscope.plans")

IN_A_ROW = 3
"""So many blocks in a row without a frame that can be used end the run."""


def frames(station: PtychographyStation, scan: Scan) -> MsgGenerator:
    """All blocks of a scan; frames that were taken before something went wrong are announced."""
    run = _Run(station, scan)
    yield Msg("checkpoint")
    yield from run.pauses.watch()
    yield Msg("set", station.block_frames, longest_block(station, scan), group="settings")
    yield Msg("wait", None, group="settings")
    yield from bps.declare_stream(*run.read, name=STREAM)
    yield from bps.declare_stream(station.images, name=FRAMES_STREAM, collect=True)
    try:
        for block in blocks_of_scan(station, scan):
            yield from run.block(block)
    except GeneratorExit:
        raise
    except BaseException as exc:
        try:
            yield from run.collected()
        except RunEngineControlException:
            raise
        except Exception as error:  # it must not hide what ended the plan
            log.error("%s: frames that came are not announced: %s", station.images.name, error)
            named(exc).add_note(f"frames that came are not announced: {error}")
        raise
    run.tell()


class _Tries:
    """What the plan knows of a block."""

    name = "plan"
    parent = None

    def __init__(self) -> None:
        self.values = {"places": 0, "block_tries": 0}

    def read(self) -> dict[str, Any]:
        now = time.time()
        return {key: {"value": value, "timestamp": now} for key, value in self.values.items()}

    def describe(self) -> dict[str, Any]:
        key = {"dtype": "integer", "dtype_numpy": "<i8", "shape": [], "source": "plan"}
        return {name: dict(key) for name in self.values}


class _Run:
    """What was asked for last, and how many blocks went wrong."""

    def __init__(self, station: Any, scan: Scan):
        self.station, self.scan = station, scan
        self.pauses, self.tries = Pauses(), _Tries()
        self.read = [self.tries, station, *station.parts]
        self._reached: tuple[Any, ...] | None = None
        self._moved = False  # by somebody else: energy and focus are asked for again
        self._followed: int | None = None  # pauses that there were when the shutter was let follow
        self._useless = self._blocks = self._flagged = self._again = 0

    def block(self, block: Block) -> MsgGenerator:
        """Take a block until its frames are as asked, and at most so often; then its event."""
        station, tries = self.station, 0
        taken: Any = None
        for left in reversed(range(1 + self.scan.retries)):
            yield from outlasting(partial(self._once, block), station)
            tries, taken = tries + 1, station.taken
            if taken is None or taken.good:  # None: nobody carries the messages out
                break
            if left:
                self._again += 1
            self._moved = bool(np.any(np.asarray(taken.status) & int(FrameStatus.MOVED)))
            log.warning(
                "the block of exposures[%d] from place %d %s: %s", block.exposure, block.first,
                "is taken again" if left else "is kept, flagged", "; ".join(taken.reasons),
            )  # fmt: skip
        # Between checkpoints: announcing them again would count rows twice.
        yield Msg("checkpoint")
        yield from self.collected()
        yield Msg("checkpoint")
        self.tries.values = {"places": len(block.positions), "block_tries": tries}
        yield from outlasting(partial(readings, self.read, STREAM), station)
        yield Msg("save")
        yield Msg("checkpoint")
        if taken is not None:
            self._kept(block, taken)

    def collected(self) -> MsgGenerator:
        """Announce the frames that the file has got."""
        yield Msg("collect", self.station.images, name=FRAMES_STREAM, return_payload=False)

    def _once(self, block: Block) -> MsgGenerator:
        """Take a block. The engine repeats nothing of it, which would expose the sample twice."""
        return bpp.rewindable_wrapper(self._whole(block), False)

    def _whole(self, block: Block) -> MsgGenerator:
        """Take a block; all of it again until no pause came between."""
        station = self.station
        while True:
            seen = self.pauses.count
            try:
                yield from self._arrive(block, seen)
                yield Msg("prepare", station, block, group="prepared")
                yield Msg("wait", None, group="prepared")
                if self.pauses.count != seen:  # it disarmed the camera
                    continue
                status = yield Msg("trigger", station, group="block")
                yield Msg("wait", None, group="block")
            except Exception:
                self._reached = self._followed = None
                raise
            if status is None:  # nobody carries the messages out
                return
            if self.pauses.count != seen:
                continue
            if station.taken is None or station.taken.block != block:
                raise RuntimeError(
                    f"{station.name} says nothing of the frames of exposures[{block.exposure}] "
                    f"from place {block.first}, although it was triggered"
                )
            return

    def _arrive(self, block: Block, seen: int) -> MsgGenerator:
        """Energy, coarse stage and shutter as the block needs them; again after a pause.

        Where somebody else moved something, energy and focus are asked for again, and the stage
        stays: who moved it may have had a reason.
        """
        station, part = self.station, self.scan.exposures[block.exposure]
        wanted = (block.exposure, seen)
        if self._reached == wanted:
            if self._moved:
                yield Msg("set", station.energy, part.energy, group="arrived")
                yield Msg("wait", None, group="arrived")
                self._moved = False
            return
        stage = station.sample_stage
        coarse = zip((stage.x, stage.y), station.place(part), strict=True)
        yield Msg("set", station.energy, part.energy, group="arrived")
        for motor, target in coarse:
            if target is not None:
                yield Msg("set", motor, target, group="arrived")
        yield Msg("wait", None, group="arrived")
        if not block.dark and self._followed == seen:
            _ = station.shutter.follows  # it raises where somebody took it since the last block
        mode = "closed" if block.dark else "follow"
        yield Msg("set", station.shutter, mode, group="shutter")
        yield Msg("wait", None, group="shutter")
        if self.pauses.count == seen:
            self._reached, self._followed = wanted, None if block.dark else seen
            self._moved = False

    def _kept(self, block: Block, taken: Any) -> None:
        """Count what is flagged.

        Raises
        ------
        RuntimeError
            Nothing of so many blocks in a row can be used.
        """
        self._blocks += 1
        if taken.good:
            self._useless = 0
            return
        self._flagged += 1
        self._useless = self._useless + 1 if np.all(np.asarray(taken.status) != 0) else 0
        if self._useless >= IN_A_ROW:
            raise RuntimeError(
                f"no frame of {self._useless} blocks in a row can be used, up to place "
                f"{block.first + len(block.positions) - 1} of exposures[{block.exposure}], each "
                f"tried {1 + self.scan.retries} times: {'; '.join(taken.reasons)}"
            )

    def tell(self) -> None:
        """Say at the end what the run lacks."""
        if self._flagged:
            log.warning(
                "%d of %d blocks have frames that are flagged (frame_status); no reconstruction "
                "counts them", self._flagged, self._blocks,
            )  # fmt: skip
        if self._again:
            log.warning("%d blocks were taken again", self._again)
