"""DAQ service: a counter that counts points and, armed, whole lines."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

import numpy as np
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from .._clock import Clock
from .._pvs import FIELDS

__all__ = ["ERROR_LENGTH", "MAX_POINTS", "STATES", "Daq", "Source"]

log = logging.getLogger("redoxscope.sim")

MAX_POINTS = 16384
ERROR_LENGTH = 255
STATES = ("IDLE", "ARMED", "ACQUIRING", "ERROR")
TRIGGERS = ("EXT", "IMM", "BUS")


class Source(Protocol):
    """What there is to count."""

    def line(self, key: str, n: int, dwell: float) -> np.ndarray:
        """Counts [n] of the line that is flown, or where the stage stands; dwell in s."""
        ...

    async def point(self, key: str, dwell: float) -> float:
        """Counts of one point, after the dwell (s)."""
        ...


class Daq(PVGroup):
    """Counter with a point mode and a line mode, which share one DWELL (ms).

    Parameters
    ----------
    key : str
        Its key in the fleet.
    source : Source
    clock : Clock
    margin : float
        What a line may take beyond four times its live time (real s).
    """

    dwell = pvproperty(name="DWELL", value=1.0, units="ms", precision=4)
    mode = pvproperty(
        name="MODE", value="point", dtype=ChannelType.ENUM, enum_strings=("point", "line")
    )
    acquire = pvproperty(name="ACQUIRE", value=0, dtype=int)
    counts = pvproperty(name="COUNTS", value=0.0, units="counts", read_only=True)
    rate = pvproperty(name="RATE", value=0.0, units="counts/s", read_only=True)
    waveform = pvproperty(
        name="COUNTS:WF", value=[0.0], max_length=MAX_POINTS, units="counts", read_only=True
    )
    npoints = pvproperty(
        name="LINE:NPOINTS",
        value=10,
        dtype=int,
        lower_ctrl_limit=1,
        upper_ctrl_limit=MAX_POINTS,
    )
    trigger = pvproperty(
        name="LINE:TRIGGER", value="EXT", dtype=ChannelType.ENUM, enum_strings=TRIGGERS
    )
    arm = pvproperty(name="LINE:ARM", value=0, dtype=int)
    abort = pvproperty(name="LINE:ABORT", value=0, dtype=int)
    index = pvproperty(name="LINE:INDEX", value=0, dtype=int, read_only=True)
    status = pvproperty(
        name="LINE:STATUS",
        value="IDLE",
        dtype=ChannelType.ENUM,
        enum_strings=STATES,
        read_only=True,
    )
    error = pvproperty(
        name="LINE:ERROR",
        value="",
        dtype=ChannelType.STRING,
        long_string_max_length=ERROR_LENGTH,
        read_only=True,
    )

    def __init__(
        self, *args: Any, key: str, source: Source, clock: Clock, margin: float, **kw: Any
    ):
        super().__init__(*args, **kw)
        self.key = key
        self._source, self._clock, self._margin = source, clock, margin
        self._task: asyncio.Task[None] | None = None
        self.dead = False  # a fault: it never finishes

    @property
    def busy(self) -> bool:
        """Whether a line, of whomever, runs."""
        return self._task is not None and not self._task.done()

    def deadline(self, n: int, dwell_ms: float) -> float:
        """Longest time (real s) of a line."""
        return max(self._margin, 4 * n * dwell_ms * 1e-3 / self._clock.speed + self._margin)

    async def arm_line(self) -> None:
        """Start a line; a refusal is only a text."""
        if self.busy:
            await self.error.write("ARM refused: a line is being acquired", **FIELDS)
            return
        n, dwell = int(self.npoints.value), float(self.dwell.value)
        problems = []
        if not 1 <= n <= MAX_POINTS:
            problems.append(f"LINE:NPOINTS {n} is not 1 to {MAX_POINTS}")
        if not dwell > 0:
            problems.append(f"DWELL {dwell:g} ms is not above 0 ms")
        if problems:
            await self.status.write("ERROR", **FIELDS)
            await self.error.write("; ".join(problems), **FIELDS)
            return
        await self.error.write("", **FIELDS)
        await self.status.write("ARMED", **FIELDS)
        self._task = asyncio.create_task(self._line(n, dwell))

    async def abort_line(self) -> None:
        """Give a line up; the index does not change."""
        if self.busy:
            assert self._task is not None
            self._task.cancel()
            await asyncio.wait([self._task])
            await self.status.write("IDLE", **FIELDS)
            await self.error.write("line aborted", **FIELDS)

    async def _line(self, n: int, dwell: float) -> None:
        end = self._clock.now() + n * dwell * 1e-3
        try:
            await self.status.write("ACQUIRING", **FIELDS)
            if self.dead:
                self.dead = False
                limit = self.deadline(n, dwell)
                await asyncio.sleep(limit)
                raise TimeoutError(f"no data within {limit:.3g} s")
            await self._clock.sleep_until(end)
            counts = self._source.line(self.key, n, dwell * 1e-3)
            await self.waveform.write(counts, **FIELDS)
            await self.counts.write(float(counts[-1]), **FIELDS)
            await self.index.write(self.index.value + 1, **FIELDS)
            await self.status.write("IDLE", **FIELDS)
        except Exception as exc:
            log.warning("%s: %s", self.prefix, exc)
            await self.status.write("ERROR", **FIELDS)
            await self.error.write(str(exc)[:ERROR_LENGTH], **FIELDS)

    @arm.putter
    async def arm(self, instance: Any, value: int) -> int:
        if value:
            await self.arm_line()
        return 0

    @abort.putter
    async def abort(self, instance: Any, value: int) -> int:
        if value:
            await self.abort_line()
        return 0

    @acquire.putter
    async def acquire(self, instance: Any, value: int) -> int:
        if value and self.busy:
            await self.error.write("ACQUIRE refused: a line is being acquired", **FIELDS)
        elif value:
            dwell = float(self.dwell.value) * 1e-3
            counts = await self._source.point(self.key, dwell)
            await self.counts.write(counts, **FIELDS)
            await self.rate.write(counts / dwell, **FIELDS)
        return 0
