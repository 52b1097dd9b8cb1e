"""What the stage asks of a temperature controller, whatever its EPICS interface."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from ophyd import EpicsSignal

from .._base import BeamlineDevice
from .._positioner import FreshSignal, FreshSignalRO
from ._units import celsius, from_celsius

__all__ = ["Controller", "Order", "Readback"]

INVALID = 3
"""Severity of an EPICS alarm with which a value means nothing."""

Order = tuple[Any, Any]
"""A signal, and what is to be written to it."""


class Readback(EpicsSignal):
    """PV that is written, and read back as another of the same name with ``_RBV``."""

    def __init__(self, prefix: str, **kwargs: Any):
        super().__init__(prefix + "_RBV", write_pv=prefix, **kwargs)


class Controller(BeamlineDevice):
    """Maps one controller's PVs; it decides nothing, and holds no state.

    A class has the signals ``reading`` (temperature), ``demand`` (the set point as it was asked
    for last), ``output`` (%), and says in ``orders_to_…`` what is to be written, in that order.
    The temperatures that it takes and gives are degC.
    """

    reading: FreshSignalRO
    demand: FreshSignal
    output: FreshSignalRO
    ramps: ClassVar[bool] = True
    """Whether the controller ramps; where not, the stage steps the set point."""
    resolution: ClassVar[float] = 0.01
    """By how much (degC) a set point may be read back otherwise than it was written."""
    lag_s: ClassVar[float] = 1.0
    """Time (s, here) within which it is read back as it was written."""

    def unit(self) -> str:
        """Its unit, ``"degC"`` or ``"K"``.

        Raises
        ------
        DeviceError
            It shows something that is no temperature.
        """
        return "degC"

    @property
    def knows_unit(self) -> bool:
        """Whether its unit is known without asking: a callback must not wait for it."""
        return True

    def reading_celsius(self, raw: Any) -> float:
        """What the sensor's PV says, in degC."""
        return celsius(float(raw), self.unit())

    def demand_celsius(self, raw: Any) -> float:
        """What the set point's PV says, in degC."""
        return celsius(float(raw), self.unit())

    def raw(self, temperature: float) -> float:
        """A set point (degC) as it is written."""
        return from_celsius(temperature, self.unit())

    @property
    @abstractmethod
    def is_on(self) -> bool:
        """Whether its output is switched on, by the last monitor."""

    def check_ready(self) -> None:
        """Refuse to heat with settings that cannot be right.

        Raises
        ------
        DeviceError
        """

    @abstractmethod
    def orders_to_ramp(
        self, here: float, target: float, rate: float, *, on: bool
    ) -> Sequence[Order]:
        """Go from where it is (degC) to a target (degC) at a rate (degC/min).

        ``on`` says whether the output is switched on; where not, it is, as the last.
        """

    @abstractmethod
    def orders_to_cool(self, here: float, target: float, rate: float) -> Sequence[Order]:
        """Go down at a rate (degC/min) from where it is (degC), never with more heat than now."""

    @abstractmethod
    def orders_to_hold(self, here: float) -> Sequence[Order]:
        """Stay where it is (degC), the output left as it is."""

    @abstractmethod
    def orders_to_switch_off(self) -> Sequence[Order]:
        """No output, whatever the set point."""

    def orders_to_step(self, temperature: float) -> Sequence[Order]:
        """The next set point (degC) of a ramp that the stage makes.

        Raises
        ------
        NotImplementedError
            A class with ``ramps = False`` that does not say how.
        """
        raise NotImplementedError(
            f"{type(self).__name__}: the stage makes its ramp, and orders_to_step is missing"
        )

    def fault(self) -> str:
        """What it says is wrong, by its last monitors; empty where nothing is."""
        return ""
