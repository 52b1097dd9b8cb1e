"""PVs of the simulated beamline, by device; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from ._clock import Clock
from ._faults import Faults

__all__ = ["Counter", "Ring", "Scanner", "ShutterBlade", "SimControl"]

log = logging.getLogger("redoxscope.sim")

MAX_POINTS = 4096
FIELDS = {"verify_value": False, "update_fields": False}


class ShutterBlade(PVGroup):
    """Shutter: by hand (mode 0, or 2 for a while only), or following the scanner (1)."""

    command = pvproperty(name="Cmd", value=0, dtype=int)
    mode = pvproperty(name="Mode", value=0, dtype=int)
    status = pvproperty(name="Status", value=0, dtype=int, read_only=True)
    dead_man = pvproperty(name="DeadMan", value=30.0, units="s")
    owner = pvproperty(name="Owner", value="", dtype=ChannelType.STRING)

    def __init__(
        self,
        *args: Any,
        faults: Faults,
        changed: Callable[[], None],
        there: bool = True,
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self._faults, self._changed = faults, changed
        self._there = there  # else nothing takes the beam away, whatever the PVs say
        self.on_dead_man: Any = None  # coroutine function: the scanner gives up
        self._following = False  # at once, where the PV's value comes after its putter
        self._held = False
        self._blade = asyncio.Lock()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        return not self._there or bool(self.status.value)

    @property
    def follows(self) -> bool:
        """Whether the scanner has it."""
        return self._following

    async def _move(self, is_open: bool) -> None:
        stuck = self._faults.shutter_stuck and not is_open
        if not stuck and self.is_open != is_open:
            await self.status.write(int(is_open), **FIELDS)
            self._changed()

    async def follow(self, is_open: bool) -> None:
        """Open or close with the scanner, where the mode says so."""
        async with self._blade:
            if self._following:
                await self._move(is_open)
        self.expect_line(is_open)

    async def override(self, is_open: bool) -> None:
        """Open or close for a controller that asks nobody."""
        async with self._blade:
            await self._move(is_open)

    def expect_line(self, flying: bool) -> None:
        """Wind up the dead man (in real seconds, unlike the rest of the simulation)."""
        self._wind(self.on_dead_man if flying else None)

    def _wind(self, action: Callable[[], Coroutine[Any, Any, None]] | None) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if action is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self.dead_man.value, lambda: loop.create_task(action()))

    async def _let_go(self) -> None:
        async with self._blade:
            if self._held:
                await self._move(False)

    @command.putter
    async def command(self, instance: Any, value: int) -> int:
        async with self._blade:
            if not self._following:
                await self._move(bool(value))
                self._wind(self._let_go if self._held and value else None)
        return value

    @mode.putter
    async def mode(self, instance: Any, value: int) -> int:
        changed = (self._following, self._held) != (value == 1, value == 2)
        self._following, self._held = value == 1, value == 2
        if changed:
            async with self._blade:
                await self._move(False)
        return value


class Counter(PVGroup):
    """Counter gated by the scanner, or for one point by its own dwell."""

    line = pvproperty(name="Line", value=[0.0], max_length=MAX_POINTS, dtype=float, read_only=True)
    index = pvproperty(name="Index", value=0, dtype=int, read_only=True)
    counts = pvproperty(name="Counts", value=0.0, read_only=True)
    dwell = pvproperty(name="Dwell", value=0.001, units="s")
    acquire = pvproperty(name="Acquire", value=0, dtype=int)
    dead_time = pvproperty(name="DeadTime", value=0.0, units="s", precision=12, read_only=True)
    saturation = pvproperty(name="Saturation", value=0.0, units="counts/s", read_only=True)

    def __init__(self, *args: Any, count_point: Any, **kw: Any):
        super().__init__(*args, **kw)
        self._count_point = count_point

    async def publish(self, counts: np.ndarray, timestamp: float, *, lost: bool = False) -> None:
        """Line, then index; ``lost`` leaves out the former, as a full network would."""
        if not lost:
            await self.line.write(counts, timestamp=timestamp, **FIELDS)
        await self.index.write(self.index.value + 1, timestamp=timestamp, **FIELDS)

    @acquire.putter
    async def acquire(self, instance: Any, value: int) -> int:
        await self.counts.write(await self._count_point(self), **FIELDS)
        return 0


class Ring(PVGroup):
    """Stored current."""

    current = pvproperty(name="Current", value=0.0, units="mA", precision=3, read_only=True)


class SimControl(PVGroup):
    """What only a simulation has: its speed, and faults on request."""

    speed = pvproperty(name="Speed", value=1.0, read_only=True)
    heat_speed = pvproperty(name="HeatSpeed", value=1.0, read_only=True)
    fault = pvproperty(name="Fault", value="", dtype=ChannelType.STRING)

    def __init__(
        self,
        *args: Any,
        request: Callable[[str], None],
        tell: Callable[[], Coroutine[Any, Any, None]],
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self._request, self._tell = request, tell

    @fault.putter
    async def fault(self, instance: Any, value: Any) -> Any:
        text = value if isinstance(value, str) else value[0]
        if text:
            self._request(text)
            await self._tell()  # who has waited for the put is not to see what was before
        return value


class Scanner(PVGroup):
    """Raster scanner: flies lines along x by itself."""

    x_start = pvproperty(name="XStart", value=0.0, units="um", precision=5)
    x_stop = pvproperty(name="XStop", value=0.0, units="um", precision=5)
    nx = pvproperty(name="NX", value=1, dtype=int)
    y_start = pvproperty(name="YStart", value=0.0, units="um", precision=5)
    y_stop = pvproperty(name="YStop", value=0.0, units="um", precision=5)
    ny = pvproperty(name="NY", value=1, dtype=int)
    dwell = pvproperty(name="Dwell", value=0.001, units="s", precision=6)
    go = pvproperty(name="Go", value=0, dtype=int)
    abort = pvproperty(name="Abort", value=0, dtype=int)
    state = pvproperty(name="State", value=0, dtype=int, read_only=True)
    message = pvproperty(
        name="Message", value="", dtype=ChannelType.CHAR, max_length=400, read_only=True
    )
    x = pvproperty(name="X", value=[0.0], max_length=MAX_POINTS, units="um", read_only=True)
    y = pvproperty(name="Y", value=[0.0], max_length=MAX_POINTS, units="um", read_only=True)
    info = pvproperty(name="Info", value=[0, 0, 0], max_length=3, dtype=int, read_only=True)
    index = pvproperty(name="Index", value=0, dtype=int, read_only=True)
    flyback = pvproperty(name="Flyback", value=0.006, units="s", precision=4, read_only=True)
    run_up = pvproperty(name="RunUp", value=0.1, units="um", precision=4, read_only=True)
    min_dwell = pvproperty(name="MinDwell", value=1e-5, units="s", precision=7, read_only=True)
    max_dwell = pvproperty(name="MaxDwell", value=10.0, units="s", read_only=True)
    max_points = pvproperty(name="MaxPoints", value=MAX_POINTS, dtype=int, read_only=True)

    def __init__(self, *args: Any, bench: Any, clock: Clock, faults: Faults, **kw: Any):
        super().__init__(*args, **kw)
        self._bench, self._clock, self._faults = bench, clock, faults
        self._task: asyncio.Task[None] | None = None
        self._orders = asyncio.Lock()  # one after the other, as they come

    @property
    def flies(self) -> bool:
        """Whether it has the stage."""
        return self._task is not None and not self._task.done()

    @go.putter
    async def go(self, instance: Any, value: int) -> int:
        async with self._orders:
            await self._go(int(value))
        return value

    async def _go(self, first: int) -> None:
        if self.flies:
            await self._error("Go while flying")
        elif self._bench.path.runs:
            await self._error("the path runs: it has the stage")
        elif not 0 <= first < self.ny.value:
            await self._error(f"Go = {first} is none of the lines 0 to {self.ny.value - 1}")
        else:
            await self.state.write(1, **FIELDS)
            self._task = asyncio.create_task(self._fly(first))

    @abort.putter
    async def abort(self, instance: Any, value: int) -> int:
        async with self._orders:
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])
            await self._rest()
        return 0

    async def dead_man(self) -> None:
        """No line has ended for too long: stop, which closes the shutter."""
        async with self._orders:
            if self._task is not None and not self._task.done():
                self._task.cancel()
                await asyncio.wait([self._task])
            await self._error("dead man: the line takes too long")

    async def _rest(self) -> None:
        await self._bench.shutter.follow(False)
        await self.state.write(0, **FIELDS)

    async def _error(self, text: str) -> None:
        await self.message.write(text[:399], **FIELDS)
        await self._bench.shutter.follow(False)
        await self.state.write(2, **FIELDS)

    async def _fly(self, first: int) -> None:
        """Fly lines to deadlines counted from the start, so nothing adds up."""
        try:
            await self._bench.ready()
            await self._bench.shutter.follow(True)
            columns = np.linspace(self.x_start.value, self.x_stop.value, self.nx.value)
            rows = np.linspace(self.y_start.value, self.y_stop.value, self.ny.value)
            begin = self._clock.now()
            for line in range(first, self.ny.value):
                if not await self._fly_line(line, columns, float(rows[line]), begin):
                    return
                begin += columns.size * self.dwell.value + self.flyback.value
                await self._clock.sleep_until(begin)
            await self._rest()
        except Exception as exc:
            log.exception("the scanner failed")
            await self._error(f"{type(exc).__name__}: {exc}")

    async def _fly_line(self, line: int, columns: np.ndarray, row: float, begin: float) -> bool:
        """Fly and publish one line; False when the scanner gave up."""
        dwell = self.dwell.value
        missed = self._faults.take("missed_trigger", line)
        if self._faults.take("hang", line):
            await asyncio.Event().wait()  # until it is halted
        if self._faults.take("scanner_error", line):
            await self._error("following error")
            return False
        if self._faults.take("exit", line):
            await self._clock.sleep_until(begin + columns.size * dwell / 2)
            os._exit(3)
        x, y, counts = self._bench.line(columns, row, dwell, begin)
        if missed:
            counts = {name: np.full(columns.size, np.nan) for name in counts}
        await self._clock.sleep_until(begin + columns.size * dwell)
        now = time.time()
        if not self._faults.take("lost_line", line):
            await self.x.write(x, timestamp=now, **FIELDS)
        await self.y.write(y, timestamp=now, **FIELDS)
        number = self.index.value + 1
        await self.info.write([number, line, int(missed)], timestamp=now, **FIELDS)
        await self._bench.publish(counts, now, lost=self._faults.take("lost_counts", line))
        await self.index.write(number, timestamp=now, **FIELDS)
        self._bench.shutter.expect_line(True)
        return True
