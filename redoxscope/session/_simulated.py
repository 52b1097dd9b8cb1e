"""The simulated beamline of a session: its spectrometer, its heating stages, and its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..sim import Simulation, SimulationError

__all__ = ["as_served", "at_binning", "at_heat_speed", "cause_of", "simulated_tes"]


def simulated_tes(data: str | Path | None) -> dict[str, Any]:
    """Options of the simulated Dastard: where it writes."""
    from ..storage import data_folder

    folder = data_folder(data) / "dastard"
    folder.mkdir(exist_ok=True)
    return {"data": folder}


def as_served(config: Any, simulation: Simulation, frames: Path) -> Any:
    """The beamline with what only its simulation knows: ports of Dastard, which take what is free,
    how fast time passes, how its camera is read, and a folder for that one's files where the
    beamline names none.
    """
    if simulation.dastard is not None:
        served = {"port": simulation.dastard.base, "time_scale": simulation.speed}
        for name in config.of_class("tes"):
            config = config.changed(name, **served)
    for name in config.of_class("area_detector"):
        if not config.devices[name].options.path:
            config = config.changed(name, path=str(frames.absolute()))
    return at_binning(at_heat_speed(config, simulation), simulation)


def at_binning(config: Any, simulation: Simulation) -> Any:
    """The beamline with pixels of the camera that are as large as the simulation bins them."""
    for name, instrument in config.instruments.items():
        if "camera" in instrument.roles:
            pixel = instrument.options.pixel * simulation.camera_binning
            config = config.with_instrument(name, pixel=pixel)
    return config


def at_heat_speed(config: Any, simulation: Simulation) -> Any:
    """The beamline with heating stages whose seconds are those of the simulation."""
    for name in config.heaters:
        config = config.changed(name, time_scale=simulation.heat_speed)
    return config


def cause_of(simulation: Simulation | None, failure: Exception) -> Exception:
    """What made a run fail: where the simulation ended, that and not what it showed as.

    Parameters
    ----------
    simulation : Simulation or None
    failure : Exception
        As the RunEngine raised it.
    """
    if simulation is None or simulation.alive:
        return failure
    return SimulationError(
        f"the simulated beamline ended during the run (exit status {simulation.exit_status}), "
        "and its shutter and scanner with it; what was taken until then is kept. "
        f"It was noticed as: {failure}"
    )
