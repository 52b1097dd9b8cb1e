"""Eurotherm 2216e."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ophyd import EpicsSignal

from .._base import pv
from .._positioner import FreshSignal, FreshSignalRO
from ._controller import Controller, Order

__all__ = ["Eurotherm2216e"]

AUTO, MANUAL = 0, 1


class SetPoint(FreshSignal):
    """Set point that is written under a longer name."""

    def __init__(self, prefix: str, **kwargs: Any):
        super().__init__(prefix, write_pv=prefix + "Write", **kwargs)


class Eurotherm2216e(Controller):
    """Eurotherm 2216e, by the PVs that apstools uses.

    Its sensor is published in tenths of a degree, its set point in whole degrees. The
    interface has no rate: the stage steps the set point. Off is manual mode with no power.
    """

    ramps = False
    resolution = 1.01  # its set point is in whole degrees
    lag_s = 3.0

    reading = pv(FreshSignalRO, "SetPointSensor", kind="omitted", auto_monitor=True, doc="0.1 degC")
    demand = pv(SetPoint, "SetPointTemp", kind="omitted", auto_monitor=True, doc="degC")
    output = pv(FreshSignalRO, "SetPointPower", kind="omitted", auto_monitor=True, doc="%")
    power = pv(
        EpicsSignal, "SetPointPowerWrite", kind="omitted", auto_monitor=True, doc="in manual, %"
    )
    mode = pv(
        EpicsSignal, "ModeWrite", kind="config", auto_monitor=True, doc="0 automatic, 1 manual"
    )

    def reading_celsius(self, raw: Any) -> float:
        return 0.1 * float(raw)

    def raw(self, temperature: float) -> float:
        return float(round(temperature))

    @property
    def is_on(self) -> bool:
        return int(self.mode.get()) != MANUAL or float(self.power.get()) > 0

    def orders_to_ramp(
        self, here: float, target: float, rate: float, *, on: bool
    ) -> Sequence[Order]:
        """Begins where it is; the stage goes on with `orders_to_step`."""
        return [*self.orders_to_hold(here), (self.mode, AUTO)]

    def orders_to_cool(self, here: float, target: float, rate: float) -> Sequence[Order]:
        """At once: it cools as fast as it does, also where this client is gone."""
        return self.orders_to_hold(target)

    def orders_to_step(self, temperature: float) -> Sequence[Order]:
        return self.orders_to_hold(temperature)

    def orders_to_hold(self, here: float) -> Sequence[Order]:
        return [(self.demand, self.raw(here))]

    def orders_to_switch_off(self) -> Sequence[Order]:
        return [(self.power, 0.0), (self.mode, MANUAL), (self.power, 0.0)]
