"""What a stepped scan has left where its beam stood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ...documents import flights
from ...scan import Scan
from .._documents import Doc, check_version
from ._snapshot import DoseSnapshot

__all__ = ["dose_of_spot", "is_spot"]


def is_spot(start: Doc) -> bool:
    """Whether a start document says what its beam leaves where it stands."""
    exposure = start.get("exposure")
    return isinstance(exposure, Mapping) and "spot_photons" in exposure


def dose_of_spot(start: Doc, statuses: Sequence[int]) -> DoseSnapshot:
    """A single pixel: the spot, or all that the sample was stepped over.

    Where the sample was stepped, every place counts as if it had what the spot of one point has:
    nobody knows to a spot's width where that was. Points count as often as they may have been
    measured, and those that were not reached are counted too.

    Parameters
    ----------
    start : dict
    statuses : sequence of int
        Of the points measured.

    Raises
    ------
    ValueError
        It does not say where the beam stood.
    """
    check_version(start)
    said, uid, scan = start["exposure"], str(start.get("uid", "")), Scan.from_start(start)
    if "center" not in said:
        raise ValueError(
            f"run {uid[:8]} does not say where its beam stood, or how wide it was: its microscope "
            "had no zone plate or fine stage"
        )
    times = [flights(status, scan.retries) for status in statuses] or [1]
    (x, y), (width, height), side = said["center"], said["size"], said["spot_size"]
    if max(width, height) > side:
        more: float = max(times)
    else:
        points = len(scan.points)
        more = max(1.0, (points - len(times) + sum(times)) / points)
    one, places = np.full((1, 1), more), width * height / side**2
    return DoseSnapshot(
        uid, "", "", np.array([float(x)]), np.array([float(y)]),
        photons=one * said["spot_photons"] * places, gray=one * said.get("spot_gray", math.nan),
        title=f"dose {uid[:8]}", pixel=(width, height),
    )  # fmt: skip
