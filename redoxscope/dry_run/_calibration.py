"""The calibration of a spectrometer in a dry run."""

from __future__ import annotations

from ..analysis.tes import Calibration, PixelCalibration

__all__ = ["stand_in"]

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
