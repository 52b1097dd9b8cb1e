"""FLY group: flies one line of one axis, and has every counter count it."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from .._clock import Clock
from .._fly_faults import FlyFaults
from .._pvs import FIELDS
from ._daq import ERROR_LENGTH, MAX_POINTS, Daq
from ._shutter import FleetShutter

__all__ = ["FlyService", "Sky", "fly_service"]

log = logging.getLogger("redoxscope.sim")

AXES = ("x", "y")
OVERTIME = 2.0
"""What the whole line may take beyond the wait for its counters (s)."""


class Sky(Protocol):
    """What a line is flown through."""

    async def ready(self) -> None: ...

    def begin(self, axis: str, points: np.ndarray) -> None:
        """The line begins: these points (µm) of the axis, in the light there is now."""
        ...

    def end(self) -> None: ...


class LineFailedError(Exception):
    """The line failed; the text goes to ERROR."""


class LineAbortedError(Exception):
    """ABORT was written."""


class FlyService(PVGroup):
    """One line at a time, START to STOP.

    Notes
    -----
    Refusals and failures complete the put as success does: STATE and INDEX tell. STATE changes
    before ERROR, INDEX before STATE. Settings are read at GO and not checked again.
    """

    start = pvproperty(name="START", value=0.0, units="um", precision=5)
    stop = pvproperty(name="STOP", value=0.0, units="um", precision=5)
    npoints = pvproperty(name="NPOINTS", value=10, dtype=int)
    dwell = pvproperty(name="DWELL", value=1.0, units="ms", precision=4)
    axis = pvproperty(name="AXIS", value=AXES[0], dtype=ChannelType.ENUM, enum_strings=AXES)
    mode = pvproperty(
        name="MODE",
        value="raster",
        dtype=ChannelType.ENUM,
        enum_strings=("raster", "continuous"),
    )
    arm = pvproperty(name="ARM", value=0, dtype=int)
    go = pvproperty(name="GO", value=0, dtype=int)
    abort = pvproperty(name="ABORT", value=0, dtype=int)
    state = pvproperty(
        name="STATE",
        value="IDLE",
        dtype=ChannelType.ENUM,
        enum_strings=("IDLE", "ARMED", "FLYING", "ERROR"),
        read_only=True,
    )
    error = pvproperty(
        name="ERROR",
        value="",
        dtype=ChannelType.STRING,
        long_string_max_length=ERROR_LENGTH,
        read_only=True,
    )
    pos = pvproperty(name="POS", value=[0.0], max_length=MAX_POINTS, units="um", read_only=True)
    index = pvproperty(name="INDEX", value=0, dtype=int, read_only=True)

    def __init__(
        self,
        *args: Any,
        daqs: Sequence[Daq],
        shutters: Sequence[FleetShutter],
        limits: Mapping[str, Callable[[], tuple[float, float]]],
        sky: Sky,
        clock: Clock,
        faults: FlyFaults,
        poll: float,
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self._daqs, self._shutters, self._limits = daqs, shutters, limits
        self._sky, self._clock, self._faults, self._poll = sky, clock, faults, poll
        self._aborting = False
        self._written: dict[tuple[str, str], float | str] = {}

    @property
    def expects_lines(self) -> bool:
        """Whether a client has asked for lines."""
        return str(self.state.value) in ("ARMED", "FLYING")

    async def _tell(self, state: str, error: str = "") -> None:
        await self.state.write(state, **FIELDS)
        await self.error.write(error[:ERROR_LENGTH], **FIELDS)

    # -- ARM --------------------------------------------------------------------------------

    def _problems(self) -> list[str]:
        problems = []
        axis = str(self.axis.value)
        low, high = self._limits[axis]()
        for name, value in (("START", self.start.value), ("STOP", self.stop.value)):
            if not low <= value <= high:
                problems.append(f"{name} {value:g} outside limits [{low:g}, {high:g}] of {axis}")
        if not 1 <= self.npoints.value <= MAX_POINTS:
            problems.append(f"NPOINTS {self.npoints.value} must be 1..{MAX_POINTS}")
        if not self.dwell.value > 0:
            problems.append(f"DWELL {self.dwell.value:g} must be > 0")
        if self._faults.take("arm_refused"):
            problems.append("controller is not ready")
        return problems

    @arm.putter
    async def arm(self, instance: Any, value: int) -> int:
        if not value:
            return 0
        if str(self.state.value) == "FLYING":
            await self.error.write("ARM rejected: state is FLYING", **FIELDS)
            return 0
        self._aborting = False
        problems = self._problems()
        await self._tell("ERROR" if problems else "ARMED", "; ".join(problems))
        return 0

    @abort.putter
    async def abort(self, instance: Any, value: int) -> int:
        if value:
            self._aborting = True
        return 0

    # -- GO ---------------------------------------------------------------------------------

    @go.putter
    async def go(self, instance: Any, value: int) -> int:
        if not value:
            return 0
        if self._faults.take("restart"):
            self._written.clear()
            await self.index.write(0, **FIELDS)
            await self._tell("IDLE")
        state = str(self.state.value)
        if state == "FLYING":
            await self.error.write("GO rejected: state is FLYING", **FIELDS)
        elif state != "ARMED":
            await self._tell("ERROR", f"GO rejected: state is {state}")
        else:
            await self._fly()
        return 0

    async def _fly(self) -> None:
        await self._tell("FLYING")
        armed: list[Daq] = []
        try:
            await self._line(armed)
        except LineAbortedError:
            await self._give_up(armed)
            await self._tell("IDLE")
        except Exception as exc:
            if not isinstance(exc, LineFailedError):
                log.exception("the line failed")
            await self._give_up(armed)
            await self._tell("ERROR", str(exc) or type(exc).__name__)

    async def _give_up(self, armed: Sequence[Daq]) -> None:
        for daq in armed:
            await daq.abort_line()
        await self._shut()

    async def _shut(self) -> None:
        for shutter in self._shutters:
            await shutter.drive(False)
        self._sky.end()

    async def _until(self, done: Callable[[], bool], step: str, limit: float) -> None:
        """Look every poll, as their loop does, for the end, ABORT and the deadline."""
        loop = asyncio.get_running_loop()
        end = loop.time() + limit
        while True:
            if self._aborting:
                raise LineAbortedError
            if done():
                return
            if loop.time() > end:
                raise LineFailedError(f"line deadline exceeded in {step}")
            await asyncio.sleep(self._poll)

    async def _set(self, daq: Daq, name: str, value: float | str) -> None:
        """Write a counter's setting, only if other than what was written last."""
        if self._written.get((daq.key, name)) != value:
            await getattr(daq, name).write(value, **FIELDS)
            self._written[daq.key, name] = value

    async def _line(self, armed: list[Daq]) -> None:
        n, dwell = int(self.npoints.value), float(self.dwell.value)
        points = np.linspace(self.start.value, self.stop.value, n)
        axis = str(self.axis.value)
        live = n * dwell * 1e-3
        limit = self._daqs[0].deadline(n, dwell) + OVERTIME
        await self._sky.ready()
        for daq in self._daqs:
            await self._set(daq, "npoints", n)
            await self._set(daq, "dwell", dwell)
            await self._set(daq, "trigger", "EXT")
        before = {}
        await self._meddle()
        for daq in self._daqs:
            before[daq.key] = int(daq.index.value)
            daq.dead = self._faults.take("no_data")
            mine = not daq.busy
            await daq.arm_line()
            # True also where the line is another's: their IOC does not know whose it is.
            if str(daq.status.value) not in ("ARMED", "ACQUIRING"):
                raise LineFailedError(f"daq '{daq.key}' did not arm: {daq.error.value}")
            if mine:
                armed.append(daq)
        for shutter in self._shutters:
            await shutter.drive(True)
        self._sky.begin(axis, points)
        if self._faults.take("silent"):
            await self._until(lambda: False, "move", float("inf"))
        if self._faults.take("line_fails"):
            raise LineFailedError("move failed: the controller reports a following error")
        end = self._clock.now() + live
        await self._until(lambda: self._clock.now() >= end, "move", limit)
        for shutter in self._shutters:
            await shutter.drive(False)
        data = {}
        for daq in self._daqs:
            await self._until(lambda d=daq: self._over(d, before), "daq_wait", limit)  # type: ignore[misc]
            counts = np.atleast_1d(daq.waveform.value)
            if counts.size < n:
                raise LineFailedError(f"daq '{daq.key}' gave {counts.size} of {n} points")
            data[daq.key] = counts[:n]
        self._sky.end()
        await self._publish(data, points)

    def _over(self, daq: Daq, before: Mapping[str, int]) -> bool:
        if str(daq.status.value) == "ERROR":
            raise LineFailedError(f"daq '{daq.key}': {daq.error.value}")
        return int(daq.index.value) != before[daq.key]

    async def _publish(self, data: Mapping[str, np.ndarray], points: np.ndarray) -> None:
        for key, counts in data.items():
            await getattr(self, f"data_{key}").write(counts, **FIELDS)
        zeros = self._faults.take("zero_positions")
        await self.pos.write(np.zeros(points.size) if zeros else points, **FIELDS)
        await self.index.write(self.index.value + 1, **FIELDS)
        await self._tell("ARMED")

    async def _meddle(self) -> None:
        """What another client does to the counters, where that was asked for."""
        if self._faults.take("stale_dwell"):
            for daq in self._daqs:
                await daq.dwell.write(10 * float(daq.dwell.value), **FIELDS)
        if self._faults.take("foreign_line"):
            daq = self._daqs[0]
            await daq.npoints.write(min(2 * int(daq.npoints.value), MAX_POINTS), **FIELDS)
            await daq.arm_line()


def fly_service(keys: Sequence[str]) -> type[FlyService]:
    """The class with a DATA PV for each counter."""
    data = {
        f"data_{key}": pvproperty(
            name=f"DATA:{key}", value=[0.0], max_length=MAX_POINTS, units="counts", read_only=True
        )
        for key in keys
    }
    return type("FleetFly", (FlyService,), data)
