"""What is only read: the pressure in a chamber, the temperature of a cryostat."""

from __future__ import annotations

from typing import Any

from ._base import BeamlineDevice, pv
from ._positioner import FreshSignalRO

__all__ = ["PressureGauge", "Thermometer"]


class PressureGauge(BeamlineDevice):
    """Pressure in a chamber (mbar), in documents under the device's own name."""

    pressure = pv(FreshSignalRO, "Pressure", kind="hinted", auto_monitor=True, doc="mbar")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.pressure.name = name


class Thermometer(BeamlineDevice):
    """Temperature of a cryostat (K), in documents under the device's own name."""

    temperature = pv(FreshSignalRO, "Temperature", kind="hinted", auto_monitor=True, doc="K")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.temperature.name = name
