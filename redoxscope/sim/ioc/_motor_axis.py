"""A motor record of the simulated beamline."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
from typing import Any

from caproto.server import PVGroup, pvproperty

from ._clock import Clock

__all__ = ["RAMP", "motor_axis"]


RAMP = 0.2
"""Time (s) to its velocity that a motor declares; its moves here have none."""


def motor_axis(
    low: float, high: float, velocity: float, value: float = 0.0, ramp: float = RAMP
) -> type[PVGroup]:
    """Class of a motor with real limits (µm), velocity (µm/s), ramp (s), DMOV and STOP."""

    class MotorAxis(PVGroup):
        motor = pvproperty(
            value=value,
            name="",
            record="motor",
            precision=4,
            units="um",
            lower_ctrl_limit=low,
            upper_ctrl_limit=high,
            lower_disp_limit=low,
            upper_disp_limit=high,
        )

        def __init__(
            self, *args: Any, clock: Clock, moved: Any = None, stuck: Any = None, **kw: Any
        ):
            super().__init__(*args, **kw)
            self._clock, self._moved, self._stuck = clock, moved, stuck
            self._task: asyncio.Task[None] | None = None
            self.halted = asyncio.Event()

        @property
        def position(self) -> float:
            return float(self.motor.field_inst.user_readback_value.value)

        @property
        def target(self) -> float:
            return float(self.motor.value)

        async def arrived(self) -> None:
            """Wait until the present move is over."""
            if self._task is not None:
                await asyncio.wait([self._task])

        @motor.startup
        async def motor(self, instance: Any, async_lib: Any) -> None:
            fields = instance.field_inst
            await fields.velocity.write(velocity)
            await fields.seconds_to_velocity.write(ramp)
            await fields.user_low_limit.write(low)
            await fields.user_high_limit.write(high)
            await fields.user_readback_value.write(value)
            await fields.done_moving_to_value.write(1)

            async def go(_: Any, target: float) -> None:
                self.halted.set()
                if self._task is not None:
                    await asyncio.wait([self._task])
                self.halted.clear()
                await fields.done_moving_to_value.write(0)
                await fields.motor_is_moving.write(1)
                if self._moved is not None:
                    self._moved()
                self._task = asyncio.create_task(self._travel(fields, float(target)))

            fields.value_write_hook = go

        async def _travel(self, fields: Any, target: float) -> None:
            start, began = self.position, self._clock.now()
            if self._stuck is not None and self._stuck():
                target = (start + target) / 2
            duration = abs(target - start) / velocity
            end = began + duration

            def here() -> float:
                now = self._clock.now()
                return target if now >= end else start + (target - start) * (now - began) / duration

            while (now := self._clock.now()) < end and not self.halted.is_set():
                await fields.user_readback_value.write(here())
                await self._clock.sleep_until(min(now + 0.1 * self._clock.speed, end))
            reached = here()
            await fields.user_readback_value.write(reached)
            await fields.motor_is_moving.write(0)
            await fields.done_moving_to_value.write(1)

        @motor.fields.stop.putter
        async def motor(fields: Any, instance: Any, value: Any) -> Any:  # noqa: N805
            if value:
                fields.parent.group.halted.set()
            return 0

    return MotorAxis
