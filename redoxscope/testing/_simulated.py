"""Devices of the simulated beamline, for tests against it."""

from __future__ import annotations

from ..beamline import BeamlineFile, make_beamline, simulated_beamline
from ..devices import STXM

__all__ = ["made_stxm", "simulated_stxm"]


def made_stxm(file: BeamlineFile) -> STXM:
    """The microscope of a beamline file, without what the file has besides; not yet connected."""
    for name in file.instruments:
        if name != "stxm":
            file = file.without(name)
    stxm: STXM = make_beamline(file).instruments["stxm"]
    return stxm


def simulated_stxm(prefix: str) -> STXM:
    """The microscope of the simulated beamline that has this PV prefix; not yet connected."""
    return made_stxm(simulated_beamline(prefix))
