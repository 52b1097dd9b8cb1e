"""Where an order-sorting aperture is to stand, from an image of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.focus import find_aperture
from ..inputs import unless_unmeasured
from ._proposal import Proposal
from ._runs import Rows, beamline_of, documents_of, rows_of

__all__ = ["calibrate_aperture"]

Array = NDArray[np.float64]


@unless_unmeasured()
def calibrate_aperture(run: Any) -> Proposal:
    """Propose the place of the order-sorting aperture from a run of ``osa_image``.

    Parameters
    ----------
    run : run or iterable of (name, document)

    Returns
    -------
    Proposal
        Of ``x`` and ``y`` (µm); `Calibrations.apply` moves the aperture there.

    Raises
    ------
    ValueError
        It is no such run, or one with a loop around it; the aperture was not where it was to be;
        there is no bright disc in it, or not all of it.
    """
    rows = rows_of(documents_of(run), "osa_image")
    run = str(rows.start.get("uid", ""))[:8]
    loops = [loop.name for loop in rows.scan.outer]
    if loops != ["osa_y", "osa_x"]:
        raise ValueError(
            f"run {run} has loops over {', '.join(loops)}: take one with nothing around it"
        )
    ny, nx = (int(n) for n in rows.start["shape"][-2:])
    counts = np.full(ny * nx, np.nan)
    measured = rows.counts(rows.start["detectors"][0])
    counts[rows.data["point"].astype(int)] = measured
    known = np.isfinite(measured)
    points = rows.scan.points
    columns = _stood(rows, known, "osa_x", np.array([points[i].outer[1] for i in range(nx)]))
    lines = _stood(rows, known, "osa_y", np.array([points[i * nx].outer[0] for i in range(ny)]))
    disc = find_aperture(counts.reshape(ny, nx), columns, lines)
    (place,) = {k.removesuffix("_x") for k in rows.configuration if k.endswith("_osa_x")} or {""}
    was = {"x": rows.configuration.get(f"{place}_x"), "y": rows.configuration.get(f"{place}_y")}
    return Proposal(
        kind="aperture", of="aperture", device=place, values={"x": disc.x, "y": disc.y},
        sigma={"x": disc.x_sigma, "y": disc.y_sigma}, units={"x": "µm", "y": "µm"}, was=was,
        energies=(), found=(disc, counts.reshape(ny, nx), columns, lines),
        beamline=beamline_of([rows.start]),
        source={
            "runs": [str(rows.start.get("uid", ""))],
            "diameter": disc.diameter, "diameter_sigma": disc.diameter_sigma, "chi2": disc.chi2,
        },
    )  # fmt: skip


def _stood(rows: Rows, known: NDArray[np.bool_], axis: str, asked: Array) -> Array:
    """Where the aperture stood in each column or row (µm): as read, on the mean of its points.

    Of points that were measured; elsewhere as asked for.

    Raises
    ------
    ValueError
        Not within half a step of where it was to be: then it is not told which pixel is which.
    """
    point = rows.data["point"].astype(int)[known]
    which = (
        point % len(asked) if axis == "osa_x" else point // (len(rows.scan.points) // len(asked))
    )
    read = np.asarray(rows.data[axis], dtype=float)[known]
    allowed = 0.5 * float(np.abs(np.diff(asked)).min()) if len(asked) > 1 else np.inf
    away = np.abs(read - asked[which])
    wrong = np.flatnonzero(~(away <= allowed))
    if len(wrong):
        first = wrong[0]
        raise ValueError(
            f"run {str(rows.start.get('uid', ''))[:8]}: {axis} was {read[first]:.6g} µm at point "
            f"{point[first]}, and was to be {asked[which[first]]:.6g} µm within "
            f"{allowed:.3g} µm, half a step"
        )
    number = np.bincount(which, minlength=len(asked))
    total = np.bincount(which, read, len(asked))
    return np.where(number > 0, total / np.maximum(number, 1), asked)
