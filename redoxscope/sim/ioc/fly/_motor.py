"""Motor records of the fleet: their put completes when the move is over."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from caproto.server import PVGroup, pvproperty

from .._energy import EnergyAxis
from .._pvs import FIELDS

__all__ = ["Drive", "EnergyDrive", "MotorDrive", "fleet_motor"]

IDLE_POLL = 0.1
"""Time (s) between two looks at an axis that rests."""


class Drive(Protocol):
    """The axis behind a record."""

    @property
    def position(self) -> float: ...

    async def move(self, target: float) -> None: ...

    def stop(self) -> None: ...


class MotorDrive:
    """A motor of the simulated beamline, by another name."""

    def __init__(self, axis: Any):
        self._axis = axis

    @property
    def position(self) -> float:
        return float(self._axis.position)

    async def move(self, target: float) -> None:
        await self._axis.motor.write(target)
        await self._axis.arrived()

    def stop(self) -> None:
        self._axis.halted.set()


class EnergyDrive:
    """Monochromator and undulator as one axis (eV)."""

    def __init__(self, mono: EnergyAxis):
        self._mono = mono

    @property
    def position(self) -> float:
        return self._mono.position("mono")

    async def move(self, target: float) -> None:
        await asyncio.gather(self._mono.setpoint.write(target), self._mono.epu.write(target))

    def stop(self) -> None:
        self._mono.stop()


def fleet_motor(
    limits: Callable[[], tuple[float, float]], velocity: float, units: str = "um"
) -> type[PVGroup]:
    """Class of a motor record.

    Parameters
    ----------
    limits : callable
        Low and high limit, asked for when the server starts and at each move.
    velocity : float
        What VELO says, per s.
    units : str
        EGU; theirs say "um" whatever the axis, energy too.
    """

    class FleetMotor(PVGroup):
        motor = pvproperty(value=0.0, name="", record="motor", precision=4, units=units)

        def __init__(self, *args: Any, drive: Drive, poll: float, **kw: Any):
            super().__init__(*args, **kw)
            self.drive, self._poll = drive, poll
            self._moving = 0

        @property
        def limits(self) -> tuple[float, float]:
            return limits()

        @property
        def position(self) -> float:
            return self.drive.position

        @motor.startup
        async def motor(self, instance: Any, async_lib: Any) -> None:
            fields, (low, high) = instance.field_inst, limits()
            await instance.write_metadata(
                lower_ctrl_limit=low,
                upper_ctrl_limit=high,
                lower_disp_limit=low,
                upper_disp_limit=high,
            )
            await fields.velocity.write(velocity)
            await fields.engineering_units.write(units)
            await fields.user_low_limit.write(low)
            await fields.user_high_limit.write(high)
            await fields.user_readback_value.write(self.position)
            await fields.done_moving_to_value.write(1)
            await instance.write(self.position, **FIELDS)
            asyncio.get_running_loop().create_task(self._watch(fields))

        async def _watch(self, fields: Any) -> None:
            while True:
                await asyncio.sleep(IDLE_POLL)
                if not self._moving and fields.user_readback_value.value != self.position:
                    await fields.user_readback_value.write(self.position)

        @motor.putter
        async def motor(self, instance: Any, value: float) -> float:
            target, (low, high) = float(value), limits()
            if not low <= target <= high:
                raise ValueError(f"{self.prefix} {target} {units} is outside {low} to {high}")
            await instance.write(target, **FIELDS)  # at once, as a record does
            fields = instance.field_inst
            self._moving += 1
            try:
                await fields.done_moving_to_value.write(0)
                await fields.motor_is_moving.write(1)
                move = asyncio.ensure_future(self.drive.move(target))
                while not move.done():
                    await asyncio.sleep(self._poll)
                await move
            finally:
                self._moving -= 1
                if not self._moving:  # else a new target has taken over
                    await fields.user_readback_value.write(self.position)
                    await fields.motor_is_moving.write(0)
                    await fields.done_moving_to_value.write(1)
            return float(instance.value)

        @motor.fields.stop.putter
        async def motor(fields: Any, instance: Any, value: Any) -> Any:  # noqa: N805
            if value:
                fields.parent.group.drive.stop()
            return 0

    return FleetMotor
