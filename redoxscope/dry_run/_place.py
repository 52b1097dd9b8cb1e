"""Putting the devices where a scan would have left them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..plans.support import Foreseen

__all__ = ["put_in_place"]

MOVE_TIMEOUT = 30.0
"""Longest time (s) for a move, which on an instant simulation takes none."""


def put_in_place(scan: Any, instruments: Sequence[Any]) -> None:
    """Move energy and coarse stage to where the last step of a scan is; or what a plan says.

    Parameters
    ----------
    scan : redoxscope.scan.Scan or Foreseen
    instruments : sequence of device
        The microscope, or a station for ptychography; or the spectrometer and the monochromator.
    """
    if isinstance(scan, Foreseen):
        for device, value in scan.leaves:
            device.set(value).wait(timeout=MOVE_TIMEOUT)
        return
    parts = [*scan.frames, *scan.points, *scan.exposures]
    moves: list[Any] = []
    axis = _energy_axis(instruments)
    if axis is not None:
        moves.append(axis.set(parts[-1].energy))
    if not scan.points:
        (instrument,) = instruments
        stage = instrument.sample_stage
        if scan.frames:
            last = scan.frames[-1]
            there = instrument.place(scan.regions[last.region], last.dwell)
            targets = there.coarse_x, there.coarse_y
        else:
            targets = instrument.place(scan.exposures[-1])
        for motor, target in zip((stage.x, stage.y), targets, strict=True):
            if target is not None:
                moves.append(motor.set(target))
    for move in moves:
        move.wait(timeout=MOVE_TIMEOUT)


def _energy_axis(instruments: Sequence[Any]) -> Any:
    """What moves the energy: the microscope's, which takes the focus with it, or a device's own."""
    for instrument in instruments:
        axis = getattr(instrument, "energy", None)
        if hasattr(axis, "set") and (hasattr(axis, "focus") or hasattr(axis, "offset_at")):
            return axis
    return next((device for device in instruments if hasattr(device, "offset_at")), None)
