"""Lakeshore 336, one of its loops 1 and 2."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignalRO

from .._base import DeviceError, pv
from .._positioner import FreshSignal, FreshSignalRO
from .._setting import Setting
from ._controller import Controller, Order, Readback
from ._units import unit_of

__all__ = ["RANGES", "Lakeshore336"]

RANGES = ("low", "medium", "high")
OFF = "Off"


def _range(value: Any) -> str:
    if isinstance(value, str) and (value == "" or value.casefold() in RANGES):
        return value.casefold()
    raise ValueError(f"must be one of {', '.join(map(repr, RANGES))}, or empty")


class Lakeshore336(Controller):
    """Loop 1 of a Lakeshore 336, by the PVs of the EPICS module *ip* (as apstools uses them).

    Its unit is what its sensor shows, K or degC. Its own ramp goes from the set point that it has,
    not from the temperature: so the set point is first brought to the temperature.

    Parameters
    ----------
    range : str
        Heater range that it is switched on with, ``"low"``, ``"medium"`` or ``"high"``. Without
        it an output that is off is not switched on.
    """

    reading = pv(FreshSignalRO, "IN1", kind="omitted", auto_monitor=True, doc="sensor, its unit")
    units = pv(Readback, "IN1:Units", kind="config", auto_monitor=True, doc="unit of all")
    demand = pv(FreshSignal, "OUT1:SP", kind="omitted", auto_monitor=True, doc="as asked for")
    ramped = pv(
        EpicsSignalRO, "OUT1:SP_RBV", kind="omitted", auto_monitor=True, doc="set point of now"
    )
    output = pv(FreshSignalRO, "HTR1", kind="omitted", auto_monitor=True, doc="%")
    heater_range = pv(
        Readback, "HTR1:Range", kind="config", auto_monitor=True, string=True, doc="Off, Low, …"
    )
    p = pv(Readback, "P1", kind="config", auto_monitor=True, doc="proportional")
    i = pv(Readback, "I1", kind="config", auto_monitor=True, doc="integral")
    d = pv(Readback, "D1", kind="config", auto_monitor=True, doc="derivative")
    ramp_rate = pv(Readback, "RampR1", kind="config", auto_monitor=True, doc="K/min")
    ramp_on = pv(Readback, "OnRamp1", kind="config", auto_monitor=True, string=False, doc="0, 1")
    range = Cpt(Setting, value="", check=_range, kind="config", doc="range it is switched on with")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        range: str = "",
        **kwargs: Any,
    ):
        self._shown: Any = None  # its unit, by the last monitor
        self._words: dict[Any, str] = {}  # what that is called
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.range.put(range)
        self.units.subscribe(self._unit_told)

    def _unit_told(self, *, value: Any, **_: Any) -> None:
        self._shown = value

    @property
    def knows_unit(self) -> bool:
        return self._shown in self._words

    def unit(self) -> str:
        if not self.knows_unit:
            self._shown = shown = self.units.get()
            self._words[shown] = str(self.units.get(as_string=True))
        try:
            return unit_of(f"{self.units.name} (PV {self.units.pvname})", self._words[self._shown])
        except ValueError as exc:
            raise DeviceError(f"{exc}: the loop must show a temperature") from None

    @property
    def is_on(self) -> bool:
        return str(self.heater_range.get()) != OFF

    def check_ready(self) -> None:
        self.unit()
        if not self.is_on and not self.range.get():
            raise DeviceError(
                f"{self.heater_range.name} (PV {self.heater_range.pvname}) is {OFF}, and no range "
                "is known to switch it on with: give the heater a range (low, medium, high)"
            )

    def orders_to_ramp(
        self, here: float, target: float, rate: float, *, on: bool
    ) -> Sequence[Order]:
        go = [(self.ramp_rate, rate), (self.ramp_on, 1), (self.demand, self.raw(target))]
        if on:
            return go
        # Its set point may be that of another day.
        return [*self.orders_to_hold(here), *go, (self.heater_range, self.range.get().capitalize())]

    def orders_to_cool(self, here: float, target: float, rate: float) -> Sequence[Order]:
        return [*self.orders_to_hold(here), *self.orders_to_ramp(here, target, rate, on=True)]

    def orders_to_hold(self, here: float) -> Sequence[Order]:
        # In this order: without its ramp it would go for the old target, were it for a moment only.
        return [(self.demand, self.raw(here)), (self.ramp_on, 0)]

    def orders_to_switch_off(self) -> Sequence[Order]:
        return [(self.heater_range, OFF)]
