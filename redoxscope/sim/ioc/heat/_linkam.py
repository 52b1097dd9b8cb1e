"""PVs of a Linkam T96; the contract is ``docs/reference/pvs.md``."""

from __future__ import annotations

import math
from typing import Any

from caproto import ChannelType
from caproto.server import pvproperty

from ._controller import OFF_ON, READING, Controller, checked, order, pair

__all__ = ["LinkamT96"]

ENUM = ChannelType.ENUM


def _limit(to: Any, value: Any) -> None:
    to.regulator.target_c = checked("rampLimit", value, -196.0, 1500.0, "degC")
    to.begin()


def _rate(to: Any, value: Any) -> float:
    to.regulator.rate_c_min = checked("rampRate", value, 0.01, 150.0, "degC/min")
    return float(to.regulator.rate_c_min)


def _heating(to: Any, value: Any) -> None:
    on = value in ("On", 1)
    if on and to.stage.mode != "auto":
        to.stage.mode = "auto"
        to.begin()
    elif not on:
        to.stage.switch_off()


class LinkamT96(Controller):
    """Linkam T96: degC; its set point is the limit of a ramp, and heating is switched on apart."""

    reading = pvproperty(
        name="temperature_RBV",
        value=20.0,
        units="C",
        precision=2,
        read_only=True,
        alarm_group=READING,
    )
    limit = pair(name="rampLimit", value=20.0, units="C", precision=2, put=order(_limit))
    rate = pair(name="rampRate", value=2.0, units="C/min", precision=2, put=order(_rate))
    heating = pair(
        name="heating", value="Off", dtype=ENUM, enum_strings=OFF_ON, put=order(_heating)
    )
    at_limit = pvproperty(
        name="rampAtLimit_RBV", value="No", dtype=ENUM, enum_strings=("No", "Yes"), read_only=True
    )
    power = pvproperty(name="heaterPower_RBV", value=0.0, units="%", precision=2, read_only=True)
    config = pvproperty(name="controllerConfig_RBV", value=0, dtype=int, read_only=True)
    error = pvproperty(name="controllerError_RBV", value=0, dtype=int, read_only=True)
    status = pvproperty(name="controllerStatus_RBV", value=0, dtype=int, read_only=True)
    status_error = pvproperty(name="statusError_RBV", value=0, dtype=int, read_only=True)
    stage_config = pvproperty(name="stageConfig_RBV", value=0, dtype=int, read_only=True)
    lnp_mode = pair(name="lnpMode", value="Auto", dtype=ENUM, enum_strings=("Auto", "Manual"))
    lnp_speed = pair(name="lnpSpeed", value=0, dtype=int, units="%")
    lnp_status = pvproperty(name="lnpStatus_RBV", value=0, dtype=int, read_only=True)
    pressure = pvproperty(name="pressure_RBV", value=0.0, read_only=True)
    vacuum = pvproperty(name="vacuum", value="Off", dtype=ENUM, enum_strings=OFF_ON)
    vacuum_limit = pair(name="vacuumLimit", value=0.0)
    vacuum_at_limit = pvproperty(name="vacuumAtLimit_RBV", value=0, dtype=int, read_only=True)
    vacuum_status = pvproperty(name="vacuumStatus_RBV", value=0, dtype=int, read_only=True)

    def __init__(self, *args: Any, **kw: Any):
        super().__init__(*args, **kw)
        self.regulator = self.stage.regulator
        self.regulator.rate_c_min = 2.0

    def begin(self) -> None:
        """A ramp begins where the stage is."""
        if math.isfinite(self.stage.reading_c):
            self.regulator.working_c = self.stage.reading_c

    async def publish(self, stamp: float, *, always: bool) -> None:
        reading = round(self.stage.reading_c, 2)
        await self.show_reading(self.reading, reading, stamp, always=always)
        for channel in (self.limit.setpoint, self.limit.readback):
            await self.show_target(channel, self.regulator.target_c, stamp)
        await self.show(self.power, round(self.stage.output_percent, 2), stamp)
        arrived = self.stage.mode == "auto" and self.regulator.at_target
        await self.show(self.at_limit, "Yes" if arrived else "No", stamp)
        heating = OFF_ON[self.stage.mode != "off"]
        await self.show(self.heating.setpoint, heating, stamp)
        await self.show(self.heating.readback, heating, stamp)
