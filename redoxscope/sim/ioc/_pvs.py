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

from .._layout import Layout
from ._clock import Clock
from ._faults import Faults

__all__ = ["Counter", "EnergyAxis", "Ring", "Scanner", "ShutterBlade", "SimControl"]

log = logging.getLogger("redoxscope.sim")

MAX_POINTS = 4096
FIELDS = {"verify_value": False, "update_fields": False}


class EnergyAxis(PVGroup):
    """Monochromator and EPU: photon energies in eV, put-completion on arrival."""

    setpoint = pvproperty(
        name="Energy",
        value=640.0,
        units="eV",
        precision=4,
        lower_ctrl_limit=250.0,
        upper_ctrl_limit=1500.0,
    )
    readback = pvproperty(name="Energy:RBV", value=640.0, units="eV", precision=4, read_only=True)
    epu = pvproperty(
        name="EPU",
        value=640.0,
        units="eV",
        precision=4,
        lower_ctrl_limit=250.0,
        upper_ctrl_limit=1500.0,
    )
    epu_readback = pvproperty(name="EPU:RBV", value=640.0, units="eV", precision=4, read_only=True)
    velocity = pvproperty(name="Velocity", value=10.0, units="eV/s", read_only=True)
    settle = pvproperty(name="Settle", value=0.2, units="s", read_only=True)
    halt = pvproperty(name="Stop", value=0)

    def __init__(
        self,
        *args: Any,
        clock: Clock,
        faults: Faults,
        moved: Any,
        start: float,
        changed: Callable[[], None],
        limits: tuple[float, float] | None = None,
        known: Layout | None = None,
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self._clock, self._faults, self._moved, self._start = clock, faults, moved, start
        self._known = known or Layout("", {})
        self._changed = changed
        self._paths: dict[str, tuple[float, float, float, float]] = {}
        self._limits = limits
        self._stops = {"mono": asyncio.Event(), "epu": asyncio.Event()}

    async def place(self) -> None:
        """Stand at the start energy, within limits (eV) that the sample's model covers."""
        for name, prop in (("Mono:Energy", self.setpoint), ("Mono:EPU", self.epu)):
            own = self._limits or (prop.lower_ctrl_limit, prop.upper_ctrl_limit)
            low, high = self._known.limits(name, own)
            await prop.write_metadata(lower_ctrl_limit=low, upper_ctrl_limit=high)
        for prop in (self.setpoint, self.readback, self.epu, self.epu_readback):
            await prop.write(self._start, **FIELDS)

    @property
    def moving(self) -> bool:
        return bool(self._paths)

    def position(self, axis: str) -> float:
        """Where "mono" or "epu" is (eV), also on its way: the readback waits for the arrival."""
        if axis not in self._paths:
            return float((self.readback if axis == "mono" else self.epu_readback).value)
        start, target, began, duration = self._paths[axis]
        share = min((self._clock.now() - began) / duration, 1.0) if duration else 1.0
        return start + share * (target - start)

    def _check(self, target: float, axis: Any) -> float:
        low, high = axis.lower_ctrl_limit, axis.upper_ctrl_limit
        if not low <= target <= high:
            raise ValueError(f"energy {target} eV is outside {low} to {high} eV")
        return float(target)

    async def _move(self, axis: str, target: float, readback: Any) -> float:
        """Go there, or to where a stop finds the axis; a new target ends an earlier move."""
        self._stops[axis].set()
        stop = self._stops[axis] = asyncio.Event()
        start = float(readback.value)
        duration = abs(target - start) / self.velocity.value
        path = self._paths[axis] = (start, target, self._clock.now(), duration)
        reached = target
        if await self._clock.unless(stop, duration + self.settle.value):
            share = min((self._clock.now() - path[2]) / duration, 1.0) if duration else 1.0
            reached = start + share * (target - start)
        if self._paths.get(axis) is path:  # else a new target has taken over
            path = self._paths[axis] = (reached, reached, self._clock.now(), 0.0)
        self._changed()
        await readback.write(reached, **FIELDS)
        if self._paths.get(axis) is path:
            del self._paths[axis]
        return reached

    @setpoint.putter
    async def setpoint(self, instance: Any, value: float) -> float:
        if self._faults.take("mono_stuck"):
            value = (self.readback.value + value) / 2
        # At once, as a record does; caproto would wait.
        await instance.write(self._check(value, instance), **FIELDS)
        self._moved(value)
        return await self._move("mono", float(value), self.readback)

    @epu.putter
    async def epu(self, instance: Any, value: float) -> float:
        if self._faults.take("epu_stuck"):
            value = self.epu_readback.value
        await instance.write(self._check(value, instance), **FIELDS)
        return await self._move("epu", float(value), self.epu_readback)

    def stop(self) -> None:
        """Have both axes come to rest where they are."""
        for stop in self._stops.values():
            stop.set()

    @halt.putter
    async def halt(self, instance: Any, value: Any) -> int:
        if value:
            self.stop()
        return 0


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
    fault = pvproperty(name="Fault", value="", dtype=ChannelType.STRING)

    def __init__(self, *args: Any, request: Callable[[str], None], **kw: Any):
        super().__init__(*args, **kw)
        self._request = request

    @fault.putter
    async def fault(self, instance: Any, value: Any) -> Any:
        text = value if isinstance(value, str) else value[0]
        if text:
            self._request(text)
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

    @go.putter
    async def go(self, instance: Any, value: int) -> int:
        async with self._orders:
            await self._go(int(value))
        return value

    async def _go(self, first: int) -> None:
        if self._task is not None and not self._task.done():
            await self._error("Go while flying")
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
