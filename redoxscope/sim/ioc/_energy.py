"""PVs of monochromator and undulator; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from caproto.server import PVGroup, pvproperty

from .._layout import Layout
from ._clock import Clock
from ._faults import Faults
from ._pvs import FIELDS

__all__ = ["EnergyAxis"]

log = logging.getLogger("redoxscope.sim")


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

    async def stand_at(self, energy: float) -> None:
        """A sweep has moved both axes there (eV)."""
        for prop in (self.setpoint, self.epu, self.readback, self.epu_readback):
            await prop.write(energy, **FIELDS)
        self._changed()

    def stop(self) -> None:
        """Have both axes come to rest where they are."""
        for stop in self._stops.values():
            stop.set()

    @halt.putter
    async def halt(self, instance: Any, value: Any) -> int:
        if value:
            self.stop()
        return 0
