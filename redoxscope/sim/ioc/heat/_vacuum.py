"""PVs of the chamber, the gas analyser and the cryostat; see ``docs/reference/pvs.md``."""

from __future__ import annotations

from typing import Any

from caproto.server import PVGroup, pvproperty

from ...physics.thermal import GASES

__all__ = ["ChamberPVs", "CryostatPVs", "analyser"]

PLACES = 10
"""Decimals of a partial pressure (mbar): with fewer it is 0."""


class ChamberPVs(PVGroup):
    """Total pressure."""

    pressure = pvproperty(name="Pressure", value=2e-9, units="mbar", precision=11, read_only=True)


class CryostatPVs(PVGroup):
    """Temperature of the spectrometer's cold stage."""

    temperature = pvproperty(name="Temperature", value=0.05, units="K", precision=5, read_only=True)


def analyser(prefix: str) -> PVGroup:
    """A residual gas analyser that runs: one mass per channel, in the order of `GASES`.

    It is shared, so nobody's client starts or stops it; the commands are there and do nothing.
    """
    body: dict[str, Any] = {
        name: pvproperty(name=f"Cmd:{pv}", value=0, dtype=int)
        for name, pv in (
            ("start_mid", "MID_Start-Cmd"),
            ("abort", "ScanAbort-Cmd"),
            ("environment", "Env-Cmd"),
        )
    }
    for number in range(1, len(GASES) + 1):
        body[f"mid{number}"] = pvproperty(
            name=f"P:MID{number}-I", value=0.0, units="mbar", precision=PLACES, read_only=True
        )
        body[f"detector{number}"] = pvproperty(name=f"Type:MID{number}Detr-Sel", value=1, dtype=int)
    return type("Analyser", (PVGroup,), body)(prefix=prefix)
