"""The spectrometer of a dry run: that it has a calibration, and how long its points take."""

from __future__ import annotations

from typing import Any

from ..analysis.tes import Calibration, PixelCalibration

__all__ = ["on_its_own_clock", "stand_in"]

PIXELS = 240
"""Of the simulated array."""


def stand_in(usable: int = PIXELS) -> Calibration:
    """A calibration that lets a run begin, with so many usable pixels. Its energies are none.

    A real one is of pixels that the simulated array does not have.
    """
    pixels = tuple(
        PixelCalibration(channel, True, "stand-in of a dry run", gain=(1.0, 0.0, 0.0, 0.0))
        for channel in range(1, usable + 1)
    )
    return Calibration(pixels, method="stand-in of a dry run")


def on_its_own_clock(tes: Any) -> None:
    """Have a spectrometer declare its points' time (s) by the clock of its server.

    The simulated server's clock runs ahead of ours, so that nobody waits for it; a real one's does
    not.
    """
    here, late, scale = tes.point_time, tes.lateness.get(), tes.time_scale.get()
    closing = here(0.0) - late / scale

    def point_time(dwell: float | None = None) -> float:
        return float((tes.dwell.get() if dwell is None else dwell) + late + closing)

    tes.point_time = point_time
