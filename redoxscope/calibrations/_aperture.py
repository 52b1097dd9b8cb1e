"""Where an order-sorting aperture is to stand, from an image of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..analysis.focus import find_aperture
from ._proposal import Proposal
from ._runs import documents_of, rows_of

__all__ = ["calibrate_aperture"]


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
        It is no such run; or there is no bright disc in it, or not all of it.
    """
    rows = rows_of(documents_of(run), "osa_image")
    ny, nx = (int(n) for n in rows.start["shape"][-2:])
    counts, x, y = (np.full(ny * nx, np.nan) for _ in range(3))
    at = rows.data["point"].astype(int)
    counts[at] = rows.counts(rows.start["detectors"][0])
    x[at], y[at] = rows.data["osa_x"], rows.data["osa_y"]
    points = rows.scan.points
    columns = np.array([points[i].outer[-1] for i in range(nx)])
    lines = np.array([points[i * nx].outer[-2] for i in range(ny)])
    disc = find_aperture(counts.reshape(ny, nx), columns, lines)
    (place,) = {k.removesuffix("_x") for k in rows.configuration if k.endswith("_osa_x")} or {""}
    was = {"x": rows.configuration.get(f"{place}_x"), "y": rows.configuration.get(f"{place}_y")}
    return Proposal(
        kind="aperture", of="aperture", device=place, values={"x": disc.x, "y": disc.y},
        sigma={"x": disc.x_sigma, "y": disc.y_sigma}, units={"x": "µm", "y": "µm"}, was=was,
        energies=(), found=(disc, counts.reshape(ny, nx), columns, lines),
        source={
            "runs": [str(rows.start.get("uid", ""))],
            "diameter": disc.diameter, "diameter_sigma": disc.diameter_sigma, "chi2": disc.chi2,
        },
    )  # fmt: skip
