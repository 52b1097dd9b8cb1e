"""The calibrations of a session's optics."""

from __future__ import annotations

from pathlib import Path

from bluesky import RunEngine

from ..beamline import Beamline
from ..calibrations import FOLDER, Calibrations
from ..devices import Monochromator, OrderSortingAperture, ZonePlate

__all__ = ["in_force"]


def in_force(beamline: Beamline, engine: RunEngine, data: Path) -> Calibrations:
    """What was applied on a beamline, in force again, and told in every run.

    But each simulated beamline is as it was started: there nothing of an earlier one applies.

    Parameters
    ----------
    beamline : Beamline
    engine : bluesky.RunEngine
    data : path
        The session's data folder.
    """
    kinds = (Monochromator, ZonePlate, OrderSortingAperture)
    made = Calibrations(
        data / FOLDER,
        [device for device in beamline.devices.values() if isinstance(device, kinds)],
        beamline=beamline.file.name,
        busy=lambda: engine.state != "idle",
    )
    if not beamline.file.simulated:
        made.restore()
    engine.preprocessors.append(made.told)
    return made
