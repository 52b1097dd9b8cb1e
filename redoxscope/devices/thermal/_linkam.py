"""Linkam T96."""

from __future__ import annotations

from collections.abc import Sequence

from ophyd import EpicsSignalRO

from .._base import pv
from .._positioner import FreshSignal, FreshSignalRO
from ._controller import Controller, Order, Readback

__all__ = ["LinkamT96"]

OFF, ON = "Off", "On"


class LinkamT96(Controller):
    """Linkam T96, by the PVs that apstools uses.

    Its set point is called ``rampLimit``: it ramps to it from the temperature that it has.
    Heating is switched on and off by itself.
    """

    reading = pv(FreshSignalRO, "temperature_RBV", kind="omitted", auto_monitor=True, doc="degC")
    demand = pv(FreshSignal, "rampLimit", kind="omitted", auto_monitor=True, doc="degC")
    output = pv(FreshSignalRO, "heaterPower_RBV", kind="omitted", auto_monitor=True, doc="%")
    ramp_rate = pv(Readback, "rampRate", kind="config", auto_monitor=True, doc="degC/min")
    heating = pv(Readback, "heating", kind="config", auto_monitor=True, string=True, doc="Off, On")
    error = pv(
        EpicsSignalRO, "controllerError_RBV", kind="config", auto_monitor=True, doc="0: none"
    )

    @property
    def is_on(self) -> bool:
        return str(self.heating.get()) != OFF

    def orders_to_ramp(
        self, here: float, target: float, rate: float, *, on: bool
    ) -> Sequence[Order]:
        go = [(self.ramp_rate, rate), (self.demand, self.raw(target))]
        return go if on else [*go, (self.heating, ON)]

    def orders_to_cool(self, here: float, target: float, rate: float) -> Sequence[Order]:
        return self.orders_to_ramp(here, target, rate, on=True)

    def orders_to_hold(self, here: float) -> Sequence[Order]:
        return [(self.demand, self.raw(here))]

    def orders_to_switch_off(self) -> Sequence[Order]:
        return [(self.heating, OFF)]

    def fault(self) -> str:
        code = int(self.error.get())
        return f"{self.error.name} (PV {self.error.pvname}) is {code}" if code else ""
