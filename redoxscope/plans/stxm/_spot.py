"""What a stepped scan leaves where the beam stands still on the sample."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...scan import Scan
from ._steps import PER_POINT

__all__ = ["spot_exposure"]

MOVES_SAMPLE = ("coarse_x", "coarse_y")


def spot_exposure(stxm: Any, scan: Scan, axes: Mapping[str, Any]) -> dict[str, Any]:
    """Photons on the place that has most, for a start document.

    Aperture and detector are moved and the sample is not: one place has the beam of all points,
    and of the moves between two of a row, in which the shutter stays open. An upper bound where
    the aperture stops some of it; points that are measured again are not in it.

    Parameters
    ----------
    stxm : AlignableMicroscope
        Says the photons per second in its ``flux``.
    scan : Scan
        Of points; the innermost loop is the fast axis.
    axes : mapping of str to device
        For each loop, by its name.

    Returns
    -------
    dict
        ``exposure``, or nothing where the flux is not known or no shutter ends it.
    """
    flux = float(stxm.flux.get()) if hasattr(stxm, "flux") else 0.0
    if not flux > 0 or not getattr(stxm.shutter, "takes_beam", True):
        return {}
    fast = scan.outer[-1].name
    time_to = getattr(axes[fast], "time_to", lambda target, start: 0.0)
    moves: dict[tuple[float, float], float] = {}
    most = total = 0.0
    before: tuple[float, ...] | None = None
    for point in scan.points:
        here = point.dwell + PER_POINT
        most, total = max(most, here), total + here
        if before is not None and before[:-1] == point.outer[:-1]:
            way = before[-1], point.outer[-1]
            if way not in moves:
                moves[way] = float(time_to(way[1], way[0]))
            total += moves[way]
        before = point.outer
    seconds = most if fast in MOVES_SAMPLE else total
    return {"exposure": {"flux": flux, "spot_photons": float(f"{flux * seconds:.6g}")}}
