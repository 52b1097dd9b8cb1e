"""A real EPICS IOC with heating stages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

import redoxscope.devices.thermal

from ..epics_ioc import epics_ioc

HERE = Path(__file__).parent / "ioc"
GUARD = Path(redoxscope.devices.thermal.__file__).parent / "heater_guard.db"

OFF = {
    "lakeshore336": "TEMP={p}IN1,OFFSET=-273.15,SP={p}OUT1:SP,OFF1={p}HTR1:Range",
    "linkam_t96": "TEMP={p}temperature_RBV,SP={p}rampLimit,OFF1={p}heating",
    "eurotherm2216e": "TEMP={p}SetPointSensor,SLOPE=0.1,SPSLOPE=1,SP={p}SetPointTempWrite,"
    "OFF1={p}SetPointPowerWrite,OFF2={p}ModeWrite,VAL2=1",
}
"""As the guard's file says that it is to be loaded for each controller."""


@dataclass
class RealIOC:
    """Where the stages of the IOC are."""

    prefix: str

    def of(self, word: str) -> str:
        """Start of the PV names of a controller."""
        return f"{self.prefix}{word}:"


@pytest.fixture(scope="package")
def real_ioc():
    """An EPICS IOC with a stage and a guard for each controller."""

    def loaded(prefix):
        for word, macros in OFF.items():
            start = f"{prefix}{word}:"
            for name in ("stage", word):
                yield f"P={start}", HERE / f"{name}.db"
            yield f"P={start}Guard:,CEILING=500,DEADMAN=600,{macros.format(p=start)}", GUARD

    with epics_ioc(loaded) as prefix:
        yield RealIOC(prefix)
