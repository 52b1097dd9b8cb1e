"""What speaks against overlapping frames: also whether neighbours see enough of the same."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from ..documents import PtychoInfo
from ..scan import Exposures, Role, Scan

__all__ = ["frame_checks"]

log = logging.getLogger("redoxscope.plans")

ENOUGH = 0.5
"""Share of the probe's diameter that neighbours should have in common; 0.6 is what Bunk et al.,
Ultramicroscopy 108, 481 (2008), found to be best."""


def _step(scan: Scan, part: Exposures) -> float:
    """Distance (µm) of neighbours; 0 for one place.

    That of the grid by which a region was filled, where there is one: of jittered places most have
    some neighbour that is nearer. Else that to the nearest neighbour, the median.
    """
    places = np.asarray(part.positions)
    if len(places) < 2:
        return 0.0
    distance = np.asarray(cKDTree(places).query(places, k=[2])[0])
    step = float(np.median(distance))
    if part.region is not None:
        region = scan.regions[part.region]
        nx, ny = region.pixels
        if nx * ny / 2 <= len(places) <= 2 * nx * ny:  # else its pixels are not of these places
            sides = zip(region.size, region.pixels, strict=True)
            step = max([step, *(side / n for side, n in sides if n > 1)])
    return step


def frame_checks(station: Any, scan: Scan) -> Iterator[Callable[[], Any]]:
    """What speaks against taking frames, check by check: each raises what it found."""
    if not hasattr(station.shutter, "dead_man"):
        yield partial(_no_darks, station, scan)
    yield from station.checks(scan)
    yield partial(_check_overlap, scan, station)


def _no_darks(station: Any, scan: Scan) -> None:
    if any(part.role is Role.DARK for part in scan.exposures):
        raise ValueError(
            f"the scan has dark frames, and {station.name} no shutter to close: dark_frames=0"
        )


def _check_overlap(scan: Scan, station: Any) -> None:
    """Compare the steps of a scan with its probe.

    Raises
    ------
    ValueError
        Neighbouring places are further apart than the probe is wide.
    """
    info = PtychoInfo(**station.info([max(scan.all_energies)]))  # off focus it is smallest there
    seen: set[tuple[tuple[float, float], ...]] = set()
    for i, part in enumerate(scan.exposures):
        if part.role is Role.DARK or part.positions in seen:
            continue
        seen.add(part.positions)
        step = _step(scan, part)
        if step > info.probe_um:
            raise ValueError(
                f"step = {step:.3g} µm between places of exposures[{i}] is above "
                f"{info.probe_um:.3g} µm, the diameter of the probe: frames must overlap"
            )
        if step > (1 - ENOUGH) * info.probe_um:
            log.warning(
                "places of exposures[%d] are %.3g µm apart and the probe is %.3g µm wide: they "
                "overlap by %.0f %%, and at least %.0f %% is advised",
                i, step, info.probe_um, 100 * (1 - step / info.probe_um), 100 * ENOUGH,
            )  # fmt: skip
