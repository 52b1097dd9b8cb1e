"""PVs of a Lakeshore 336, loop 1; the contract is ``docs/reference/pvs.md``."""

from __future__ import annotations

from typing import Any

from caproto import ChannelType
from caproto.server import pvproperty

from ._controller import OFF_ON, READING, Controller, checked, order, pair

__all__ = ["Lakeshore336"]

UNITS = ("Kelvin", "Celsius", "Sensor")
RANGES = {"Off": 0.0, "Low": 0.01, "Medium": 0.1, "High": 1.0}
"""Share of the heater's power in each range."""
MODES = ("Off", "Closed Loop PID", "Zone", "Open Loop", "Monitor Out", "Warmup")
KELVIN = 273.15
ENUM = ChannelType.ENUM


def _units(to: Any, value: Any) -> Any:
    unit = value if isinstance(value, str) else UNITS[int(value)]
    if unit == "Sensor":
        raise ValueError("IN1:Units: the loop regulates a temperature; Kelvin or Celsius")
    to.unit = unit
    return value


def _setpoint(to: Any, value: Any) -> None:
    target = to.celsius(checked("OUT1:SP", value, to.limits[0], to.limits[1], to.unit))
    to.regulator.target_c = target
    if not to.ramping:
        to.regulator.working_c = target


def _range(to: Any, value: Any) -> None:
    to.range = value if isinstance(value, str) else list(RANGES)[int(value)]
    to.apply()


def _mode(to: Any, value: Any) -> Any:
    to.mode = value if isinstance(value, str) else MODES[int(value)]
    to.apply()
    return value


def _manual(to: Any, value: Any) -> float:
    to.stage.manual_percent = checked("OUT1:MOUT", value, 0.0, 100.0, "%")
    return to.stage.manual_percent


def _ramp(to: Any, value: Any) -> Any:
    to.ramping = value in ("On", 1)
    to.apply_ramp()
    return value


def _rate(to: Any, value: Any) -> float:
    to.rate = checked("RampR1", value, 0.1, 100.0, "K/min")
    to.apply_ramp()
    return to.rate


def _p(to: Any, value: Any) -> float:
    to.regulator.gain = checked("P1", value, 0.1, 1000.0, "") / 10
    return float(value)


def _i(to: Any, value: Any) -> float:
    reset = checked("I1", value, 0.0, 1000.0, "")
    to.regulator.integral_s = 1000 / reset if reset else 0.0
    return reset


def _d(to: Any, value: Any) -> float:
    share = checked("D1", value, 0.0, 200.0, "%")
    to.regulator.derivative_s = share / 100 * to.regulator.integral_s / 4
    return share


class Lakeshore336(Controller):
    """Lakeshore 336: in kelvin at the start, as it comes; ramps from its working set point."""

    reading = pvproperty(
        name="IN1",
        value=293.15,
        units="K",
        precision=3,
        read_only=True,
        alarm_group=READING,
    )
    units = pair(
        name="IN1:Units", value="Kelvin", dtype=ENUM, enum_strings=UNITS, put=order(_units)
    )
    label = pvproperty(
        name="IN1:Name_RBV", value="sample", dtype=ChannelType.STRING, read_only=True
    )
    setpoint = pair(name="OUT1:SP", value=293.15, precision=3, put=order(_setpoint))
    heater = pvproperty(name="HTR1", value=0.0, units="%", precision=2, read_only=True)
    heater_range = pair(
        name="HTR1:Range", value="Off", dtype=ENUM, enum_strings=tuple(RANGES), put=order(_range)
    )
    p = pair(name="P1", value=10.0, precision=1, put=order(_p))
    i = pair(name="I1", value=5.6, precision=1, put=order(_i))
    d = pair(name="D1", value=0.0, units="%", precision=0, put=order(_d))
    rate_pv = pair(name="RampR1", value=2.0, units="K/min", precision=2, put=order(_rate))
    ramp = pair(name="OnRamp1", value="Off", dtype=ENUM, enum_strings=OFF_ON, put=order(_ramp))
    control = pair(name="OUT1:Cntrl", value=1, dtype=int)
    manual = pair(name="OUT1:MOUT", value=0.0, units="%", precision=2, put=order(_manual))
    mode_pv = pair(
        name="OUT1:Mode",
        value="Closed Loop PID",
        dtype=ENUM,
        enum_strings=MODES,
        put=order(_mode),
    )

    def __init__(self, *args: Any, **kw: Any):
        super().__init__(*args, **kw)
        self.unit, self.range, self.mode = "Kelvin", "Off", "Closed Loop PID"
        self.ramping, self.rate = False, 2.0
        self.regulator = self.stage.regulator
        _i(self, 5.6)

    @property
    def limits(self) -> tuple[float, float]:
        """Of a set point, in the unit of the loop."""
        return (0.0, 1505.0) if self.unit == "Kelvin" else (-KELVIN, 1231.85)

    def celsius(self, value: float) -> float:
        return value - KELVIN if self.unit == "Kelvin" else value

    def shown(self, temperature_c: float) -> float:
        return temperature_c + KELVIN if self.unit == "Kelvin" else temperature_c

    def apply(self) -> None:
        """Let range and mode say what the output is."""
        regulates = self.mode in ("Closed Loop PID", "Zone")
        wanted = "auto" if regulates else "manual" if self.mode == "Open Loop" else "off"
        if self.range == "Off":
            wanted = "off"
        else:
            self.stage.share = RANGES[self.range]
        if wanted == "off":
            self.stage.switch_off()
        else:
            self.stage.mode = wanted

    def apply_ramp(self) -> None:
        """Let the working set point go at the rate, or be at the target."""
        self.regulator.rate_c_min = self.rate if self.ramping else 0.0

    def switch_off(self) -> None:
        super().switch_off()
        self.range = "Off"

    async def publish(self, stamp: float, *, always: bool) -> None:
        unit = "K" if self.unit == "Kelvin" else "degC"
        if self.reading.units != unit:
            for channel in (self.reading, self.setpoint.setpoint, self.setpoint.readback):
                await channel.write_metadata(units=unit)
        reading = round(self.shown(self.stage.reading_c), 3)
        await self.show_reading(self.reading, reading, stamp, always=always)
        await self.show_target(self.setpoint.setpoint, self.shown(self.regulator.target_c), stamp)
        working = round(self.shown(self.regulator.working_c), 3)
        await self.show(self.setpoint.readback, working, stamp)
        await self.show(self.heater, round(self.stage.output_percent, 2), stamp)
        await self.show(self.heater_range.setpoint, self.range, stamp)
        await self.show(self.heater_range.readback, self.range, stamp)
