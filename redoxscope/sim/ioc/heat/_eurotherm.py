"""PVs of a Eurotherm 2216e; the contract is ``docs/reference/pvs.md``."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

import math
from typing import Any

from caproto import ChannelType
from caproto.server import pvproperty

from ._controller import READING, Controller, checked

__all__ = ["Eurotherm2216e"]

MODES = ("Auto", "Manual")
ENUM = ChannelType.ENUM
NO_READING = 32767
"""What its integers say where the sensor fails (tenths of a degC), with an alarm."""


class Eurotherm2216e(Controller):
    """Eurotherm 2216e: whole degC in, tenths out, no ramp; off is manual with no power."""

    sensor = pvproperty(
        name="SetPointSensor",
        value=200,
        dtype=int,
        units="dC",
        read_only=True,
        alarm_group=READING,
    )
    working = pvproperty(name="SetPointTemp", value=20, dtype=int, units="C", read_only=True)
    target = pvproperty(name="SetPointTempWrite", value=20, dtype=int, units="C")
    power = pvproperty(name="SetPointPower", value=0.0, units="%", precision=1, read_only=True)
    power_write = pvproperty(name="SetPointPowerWrite", value=0.0, units="%", precision=1)
    mode = pvproperty(name="Mode", value="Manual", dtype=ENUM, enum_strings=MODES, read_only=True)
    mode_write = pvproperty(name="ModeWrite", value="Manual", dtype=ENUM, enum_strings=MODES)
    program = pvproperty(name="ProgramNumber", value=0, dtype=int, read_only=True)

    def __init__(self, *args: Any, **kw: Any):
        super().__init__(*args, **kw)
        self.regulator = self.stage.regulator
        self.stage.mode = "manual"

    def switch_off(self) -> None:
        super().switch_off()
        self.stage.mode, self.stage.manual_percent = "manual", 0.0

    @target.putter
    async def target(self, instance: Any, value: Any) -> int:
        target = int(checked("SetPointTempWrite", value, 0.0, 1300.0, "degC"))

        def act() -> None:
            self.regulator.target_c = self.regulator.working_c = float(target)

        await self.take(act)
        return target

    @power_write.putter
    async def power_write(self, instance: Any, value: Any) -> float:
        percent = checked("SetPointPowerWrite", value, 0.0, 100.0, "%")

        def act() -> None:
            self.stage.manual_percent = percent

        await self.take(act)
        return percent

    @mode_write.putter
    async def mode_write(self, instance: Any, value: Any) -> Any:
        def act() -> None:
            auto = value in ("Auto", 0)
            if auto and self.stage.mode != "auto":
                self.regulator.reset()
            self.stage.mode = "auto" if auto else "manual"

        await self.take(act)
        return value

    async def publish(self, stamp: float, *, always: bool) -> None:
        reading = self.stage.reading_c
        tenths = round(10 * reading) if math.isfinite(reading) else NO_READING
        await self.show_reading(self.sensor, tenths, stamp, always=always)
        await self.show(self.target, round(self.regulator.target_c), stamp)
        await self.show(self.working, round(self.regulator.working_c), stamp)
        await self.show(self.power, round(self.stage.output_percent, 1), stamp)
        mode = "Auto" if self.stage.mode == "auto" else "Manual"
        await self.show(self.mode, mode, stamp)
        await self.show(self.mode_write, mode, stamp)
        await self.show(self.power_write, self.stage.manual_percent, stamp)
