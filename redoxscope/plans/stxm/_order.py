"""The order of a stack's energies, where the instrument has a say in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...analysis.oxidation import informative_order
from ...data import References, get_edge
from ...scan import Role, Scan

__all__ = ["informed", "without_spectra"]


def without_spectra(wanted: str, scan: Scan) -> str:
    """Why something cannot be had where the reference spectra that it needs are not known.

    Parameters
    ----------
    wanted : str
        What the user asked for, as ``order = 'informative'``.
    scan : Scan
    """
    said = f"{wanted} needs reference spectra"
    if scan.edge is None:
        return f"{said}: give references=…, or an edge that has some"
    if not get_edge(scan.edge).species:
        return f"{said}, and none are shipped for {scan.edge}: give references=…"
    number = len(scan.energies)
    return (
        f"{said}, and those of {scan.edge} cannot be told apart at {number} "
        f"energ{'y' if number == 1 else 'ies'}: give more, or other references=…"
    )


def informed(stxm: Any, scan: Scan, references: References) -> list[int]:
    """Indices of a scan's energies, those first that say most of the fraction per second.

    The time is that of all images at an energy, with the move to it: of monochromator and zone
    plate, and where it is approached from one side, of the way beyond. Devices tell what they
    declare; a microscope that declares none moves in no time.

    Raises
    ------
    ValueError
        The references do not suit these energies.
    """
    energies = np.array(scan.energies)
    live = dict.fromkeys(scan.energies, 0.0)
    for frame in scan.frames:
        if frame.role is Role.DOSE_CHECK:
            continue
        nx, ny = scan.regions[frame.region].pixels
        live[frame.energy] += frame.dwell * nx * ny
    design = references.design(energies)
    time_to = getattr(stxm.energy, "time_to", None)
    travel = None
    if time_to is not None:
        low = float(energies.min())
        steps = np.sort(energies) - low
        up = np.array([time_to(low + step, start=low) for step in steps])
        down = np.array([time_to(low, start=low + step) for step in steps])

        def travel(way: Any) -> Any:
            return np.where(way < 0, np.interp(-way, steps, down), np.interp(way, steps, up))

    return informative_order(
        design, design.shape[1] - 1, energies, time=list(live.values()), travel=travel
    )
