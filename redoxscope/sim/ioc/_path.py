"""PVs of the path scanner: it drives the stage from place to place and gates a camera there."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import numpy as np
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty
from numpy.typing import NDArray

from ._clock import Clock
from ._faults import Faults
from ._pvs import FIELDS
from .camera import Camera

__all__ = ["Path"]

log = logging.getLogger("redoxscope.sim")

MAX_FRAMES = 10_000
"""Of a path: places, times the gates at each."""
MAX_TIMES = 4
MAX_RATE = 200.0
"""Most gates per second."""
TIMES = (1e-4, 60.0)
"""Shortest and longest gate (s)."""
POST_S = 0.1
"""Real time (s) between two posts of the index."""
GATE_SPREAD = 1e-3
"""By how much of itself a gate is longer or shorter (standard deviation)."""


class Path(PVGroup):
    """Drives the fine stage along a list of places, and gives gates at each."""

    x = pvproperty(name="X", value=[0.0], max_length=MAX_FRAMES, units="um", precision=5)
    y = pvproperty(name="Y", value=[0.0], max_length=MAX_FRAMES, units="um", precision=5)
    n = pvproperty(name="N", value=1, dtype=int)
    times = pvproperty(name="Times", value=[0.01], max_length=MAX_TIMES, units="s", precision=6)
    n_times = pvproperty(name="NTimes", value=1, dtype=int)
    settle = pvproperty(name="Settle", value=0.005, units="s", precision=5)
    series = pvproperty(name="Series", value=0, dtype=int)
    series_readback = pvproperty(name="Series_RBV", value=0, dtype=int, read_only=True)
    begin = pvproperty(name="Start", value=0, dtype=int)
    abort = pvproperty(name="Abort", value=0, dtype=int)
    state = pvproperty(
        name="State_RBV", value="Idle", dtype=ChannelType.ENUM,
        enum_strings=("Idle", "Running", "Error"), read_only=True,
    )  # fmt: skip
    message = pvproperty(
        name="Message", value="", dtype=ChannelType.CHAR, max_length=400, read_only=True
    )
    index = pvproperty(name="Index_RBV", value=0, dtype=int, read_only=True)
    done = pvproperty(name="Done_RBV", value=0, dtype=int, read_only=True)
    x_measured = pvproperty(
        name="XMeasured", value=[0.0], max_length=MAX_FRAMES, units="um",
        read_only=True,
    )  # fmt: skip
    y_measured = pvproperty(
        name="YMeasured", value=[0.0], max_length=MAX_FRAMES, units="um",
        read_only=True,
    )  # fmt: skip
    gate = pvproperty(name="Gate", value=[0.0], max_length=MAX_FRAMES, units="s", read_only=True)
    max_rate = pvproperty(name="MaxRate_RBV", value=MAX_RATE, units="1/s", read_only=True)

    def __init__(
        self, *args: Any, bench: Any, camera: Camera, clock: Clock, faults: Faults, seed: int,
        **kw: Any,
    ):  # fmt: skip
        super().__init__(*args, **kw)
        self._bench, self._camera, self._clock, self._faults = bench, camera, clock, faults
        self._noise = np.random.default_rng(seed)
        self._task: asyncio.Task[None] | None = None
        self._orders = asyncio.Lock()  # one after the other, as they come

    @property
    def runs(self) -> bool:
        """Whether it has the stage."""
        return self._task is not None and not self._task.done()

    @series.putter
    async def series(self, instance: Any, value: Any) -> Any:
        await self.series_readback.write(value, **FIELDS)
        return value

    @begin.putter
    async def begin(self, instance: Any, value: Any) -> int:
        if not value:
            return 0
        async with self._orders:
            if self.runs:
                await self._error("Start while running")
                return 0
            try:
                path = self._checked()
            except ValueError as exc:
                await self._error(str(exc))
                return 0
            await self.index.write(0, **FIELDS)
            await self.state.write("Running", **FIELDS)
            self._task = asyncio.create_task(self._run(int(self.series.value), *path))
        return 0

    def _checked(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Places (um) and times (s) that were asked for.

        Raises
        ------
        ValueError
            What it cannot drive, with its limits.
        """
        if self._bench.scanner.flies:
            raise ValueError("the raster scanner flies: it has the stage")
        n, n_times = int(self.n.value), int(self.n_times.value)
        if not 1 <= n <= MAX_FRAMES:
            raise ValueError(f"N = {n} is outside 1 to {MAX_FRAMES}")
        if not 1 <= n_times <= MAX_TIMES:
            raise ValueError(f"NTimes = {n_times} is outside 1 to {MAX_TIMES}")
        if n * n_times > MAX_FRAMES:
            raise ValueError(
                f"N x NTimes = {n} x {n_times} gates are more than {MAX_FRAMES} of a path"
            )
        if not 0 <= self.settle.value <= 10:
            raise ValueError(f"Settle = {self.settle.value:g} s is outside 0 to 10 s")
        found = []
        fine = {axis: self._bench.motors[f"Sample:Fine{axis}"].motor for axis in "XY"}
        for name, channel, count, low, high, unit in (
            ("X", self.x, n, fine["X"].lower_ctrl_limit, fine["X"].upper_ctrl_limit, "um"),
            ("Y", self.y, n, fine["Y"].lower_ctrl_limit, fine["Y"].upper_ctrl_limit, "um"),
            ("Times", self.times, n_times, *TIMES, "s"),
        ):
            values = np.atleast_1d(np.asarray(channel.value, dtype=float))
            if values.size < count:
                raise ValueError(f"{name} has {values.size} values, and {count} are asked for")
            values = values[:count]
            wrong = ~((values >= low) & (values <= high))  # NaN too
            if wrong.any():
                raise ValueError(
                    f"{name}[{int(np.argmax(wrong))}] = {values[wrong][0]:g} {unit} is outside "
                    f"{low:g} to {high:g} {unit}"
                )
            found.append(values)
        return found[0], found[1], found[2]

    @abort.putter
    async def abort(self, instance: Any, value: Any) -> int:
        if value:
            async with self._orders:
                await self._halt()
                await self._rest()
        return 0

    async def dead_man(self) -> None:
        """Nothing has come for too long: stop, which closes the shutter."""
        async with self._orders:
            await self._halt()
            await self._error("dead man: the path takes too long")

    async def _halt(self) -> None:
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
            self._camera.cut()

    async def _rest(self) -> None:
        await self._bench.shutter.follow(False)
        await self.state.write("Idle", **FIELDS)

    async def _error(self, why: str) -> None:
        await self.message.write(why[:399], **FIELDS)
        if not self.runs:
            await self._bench.shutter.follow(False)
            await self.state.write("Error", **FIELDS)

    async def _run(
        self,
        series: int,
        x: NDArray[np.float64],
        y: NDArray[np.float64],
        times: NDArray[np.float64],
    ) -> None:
        try:
            await self._bench.shutter.follow(True)
            begin, real = self._clock.now(), time.monotonic()
            frames = x.size * times.size
            ends = gate_ends(x.size, times, float(self.settle.value))
            x0, y0 = self._bench.coarse()
            at = self._bench.positions(
                np.repeat(x + x0, times.size), np.repeat(y + y0, times.size), begin
            )
            spread = 1 + GATE_SPREAD * self._noise.standard_normal(frames)
            gates = np.tile(times, x.size) * spread
            lost = frames // 2 if self._faults.take("path_hang") else frames
            await self._camera.gates(
                series,
                real,
                x=at.actual_x[:lost].tolist(),
                y=at.actual_y[:lost].tolist(),
                gate=gates[:lost].tolist(),
                end=ends[:lost].tolist(),
            )
            await self._follow(begin + ends[:lost])
            if lost < frames:
                await asyncio.Event().wait()  # until it is halted
            if self._faults.take("path_error"):
                raise ValueError("following error")
            # As long as frames come the dead man is not the one to end it.
            await self._camera.gates_over(lambda: self._bench.shutter.expect_line(True))
            for channel, values in (
                (self.x_measured, at.measured_x), (self.y_measured, at.measured_y),
                (self.gate, gates),
            ):  # fmt: skip
                await channel.write(values, **FIELDS)
            await self._bench.shutter.follow(False)
            await self.index.write(frames, **FIELDS)
            await self.done.write(series, **FIELDS)
            await self.state.write("Idle", **FIELDS)
        except Exception as exc:
            if not isinstance(exc, ValueError):
                log.exception("the path failed")
            self._camera.cut()
            await self.message.write(f"{exc}"[:399], **FIELDS)
            await self._bench.shutter.follow(False)
            await self.state.write("Error", **FIELDS)

    async def _follow(self, ends: NDArray[np.float64]) -> None:
        """Say how many gates are over, a few times a second, until all are."""
        posted = 0
        while True:
            over = int(np.searchsorted(ends, self._clock.now(), side="right"))
            if over != posted:
                posted = over
                await self.index.write(over, **FIELDS)
                self._bench.shutter.expect_line(True)
            if over >= ends.size:
                return
            soon = self._clock.now() + POST_S * self._clock.speed
            await self._clock.sleep_until(min(max(float(ends[over]), soon), float(ends[-1])))


def gate_ends(
    places: int, times: NDArray[np.float64], settle: float, rate: float = MAX_RATE
) -> NDArray[np.float64]:
    """When each gate is over (s from the begin): a place takes its settling and its gates, which
    begin no closer than the camera can follow.
    """
    slots = np.maximum(times, 1 / rate)
    within = settle + np.cumsum(slots) - slots + times
    place = settle + float(slots.sum())
    starts = place * np.arange(places)
    return (starts[:, None] + within).ravel()
