"""Device classes of somebody else, as a beamline file can name them."""

from __future__ import annotations

from ophyd import Component as Cpt
from ophyd import Device, EpicsMotor, EpicsSignal, Signal


class Attenuator(Device):
    """Filters; takes an option of its own."""

    chosen = Cpt(EpicsSignal, "Filter", doc="filter in the beam")
    wanted = Cpt(Signal, value="", doc="filter that is asked for")

    def __init__(self, prefix: str = "", *, name: str, filters: list[str], **kwargs):
        super().__init__(prefix, name=name, **kwargs)
        self.filters = list(filters)


class Pinhole(Device):
    """An aperture on plain motors, which nothing can guard."""

    x = Cpt(EpicsMotor, "X")
    y = Cpt(EpicsMotor, "Y")
    z = Cpt(EpicsMotor, "Z")


class Hasty(Device):
    """Cannot be made while its server does not answer."""

    value = Cpt(EpicsSignal, "Value")

    def __init__(self, prefix: str = "", *, name: str, **kwargs):
        super().__init__(prefix, name=name, **kwargs)
        raise TimeoutError("Value does not answer")


class Clock:
    """No device at all."""
