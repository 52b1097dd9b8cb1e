"""PVs of a stage's guard; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from typing import Any

from caproto import ChannelType
from caproto.server import PVGroup, pvproperty

from ...physics.thermal import TRIPS, Stage
from .._pvs import FIELDS
from ._controller import checked

__all__ = ["GuardPVs"]

log = logging.getLogger("redoxscope.sim")


class GuardPVs(PVGroup):
    """Ceiling and dead man, where they outlive the client."""

    heartbeat = pvproperty(name="Heartbeat", value=0, dtype=int)
    dead_man = pvproperty(name="DeadMan", value=30.0, units="s", precision=1)
    ceiling = pvproperty(name="Ceiling", value=620.0, units="C", precision=1)
    safe = pvproperty(name="Safe", value=25.0, units="C", precision=1)
    temperature = pvproperty(name="Temperature", value=20.0, units="C", precision=2, read_only=True)
    tripped = pvproperty(name="Tripped", value="OK", dtype=ChannelType.ENUM, enum_strings=TRIPS)
    reason = pvproperty(name="Reason", value="", dtype=ChannelType.STRING, read_only=True)

    def __init__(
        self,
        *args: Any,
        stage: Stage,
        now: Callable[[], None],
        changed: Callable[[], Coroutine[Any, Any, None]],
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self.stage, self._now, self._changed = stage, now, changed
        self._alarm: asyncio.TimerHandle | None = None
        self._beating = False
        self._told = ""

    def _wind(self, seconds: float) -> None:
        """Wind up the dead man (in real seconds, unlike the rest of the simulation)."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._beating and seconds > 0:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(seconds, self._dead, loop, seconds)

    def _dead(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._now()
        self.stage.guard.trip("DeadMan", f"no heartbeat for {seconds:g} s")
        self.stage.obey()
        self._beating = False  # whoever comes back has to say so
        task = loop.create_task(self._changed())
        task.add_done_callback(_tell_failure)

    @heartbeat.putter
    async def heartbeat(self, instance: Any, value: int) -> int:
        self._beating = value > 0
        self._wind(self.dead_man.value)
        return value

    @dead_man.putter
    async def dead_man(self, instance: Any, value: float) -> float:
        seconds = checked("DeadMan", value, 0.0, 1e6, "s")
        self._wind(seconds)
        return seconds

    @ceiling.putter
    async def ceiling(self, instance: Any, value: float) -> float:
        ceiling = checked("Ceiling", value, -273.15, 2000.0, "degC")
        self._now()
        self.stage.guard.ceiling_c = ceiling
        self.stage.guard.check(self.stage.guard_c)
        self.stage.obey()
        await self._changed()
        return ceiling

    @safe.putter
    async def safe(self, instance: Any, value: float) -> float:
        self.stage.guard.safe_c = checked("Safe", value, -273.15, 2000.0, "degC")
        return self.stage.guard.safe_c

    @tripped.putter
    async def tripped(self, instance: Any, value: Any) -> Any:
        if value not in ("OK", 0):
            raise ValueError(f"Tripped: {value!r} is not for a client to say; OK resets")
        self._now()
        self.stage.guard.reset(self.stage.guard_c)
        self._told = "OK"
        await self.reason.write("", **FIELDS)
        return "OK"

    async def publish(self, stamp: float) -> None:
        """Say what the guard sees and does; why before that."""
        here = self.stage.guard_c
        shown = float(self.temperature.value)
        if not (abs(here - shown) < 0.005 or (math.isnan(here) and math.isnan(shown))):
            await self.temperature.write(here, timestamp=stamp, **FIELDS)
        guard = self.stage.guard
        if not guard.closed:  # whoever heats after the reset says so again
            self._beating = False
            self._wind(0.0)
            if self.heartbeat.value:
                await self.heartbeat.write(0, timestamp=stamp, **FIELDS)
        if guard.tripped != self._told:
            self._told = guard.tripped
            await self.reason.write(guard.reason[:39], timestamp=stamp, **FIELDS)
            await self.tripped.write(guard.tripped, timestamp=stamp, **FIELDS)


def _tell_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("the guard could not say that it tripped", exc_info=task.exception())
