"""What a stepped scan leaves where the beam stands still on the sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...analysis.dose import absorbed_dose
from ...scan import Scan
from .._schedule import spot_seconds, steps_schedule
from ..estimates import absorber_of, focus_side
from ._frames import where

__all__ = ["spot_exposure"]

COARSE = ("coarse_x", "coarse_y")


def spot_exposure(stxm: Any, scan: Scan, axes: Mapping[str, Any]) -> dict[str, Any]:
    """Photons and dose on the place that has most, for a start document.

    Aperture and detector are moved and the sample is not: one place has the beam of all points,
    and of the moves between two of a row, in which the shutter stays open. It is high rather than
    low: the aperture may stop some of it, it is taken to be in focus, and each point is taken to be
    lit for `LIT_PER_STEP` beyond dwell and way. Points that are measured again are not in it, nor
    is a wait for a device that failed.

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
        ``exposure``, or nothing where the flux or the time of a move is not known, or no shutter
        ends it.
    """
    flux = float(stxm.flux.get()) if hasattr(stxm, "flux") else 0.0
    if not flux > 0 or not getattr(stxm.shutter, "takes_beam", True):
        return {}
    seconds = float(spot_seconds(scan, steps_schedule(scan, stxm, axes)).sum())
    if not math.isfinite(seconds):
        return {}
    said: dict[str, Any] = {"flux": flux, "spot_photons": _short(flux * seconds)}
    side = focus_side(stxm)
    if side is not None:
        said |= {"spot_size": _short(side), **_place(stxm, scan, side)}
        gray = _gray(scan, said["spot_photons"], side**2)
        said |= {} if gray is None else {"spot_gray": gray}
    return {"exposure": said}


def _place(stxm: Any, scan: Scan, side: float) -> dict[str, Any]:
    """Where on the sample (µm) the spot is, or all spots are."""
    stage = stxm.sample_stage
    fine = [_here(getattr(stage, name, None)) for name in ("fine_x", "fine_y")]
    center, size = [], []
    for name, axis, own in zip(COARSE, (stage.x, stage.y), fine, strict=True):
        loop = next((i for i, outer in enumerate(scan.outer) if outer.name == name), None)
        values = [_here(axis)] if loop is None else sorted({p.outer[loop] for p in scan.points})
        step = (values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else side
        center.append(round((values[0] + values[-1]) / 2 + own, 4))
        size.append(_short(max(values[-1] - values[0] + step, side)))
    return {"center": center, "size": size} if all(map(math.isfinite, center)) else {}


def _here(axis: Any) -> float:
    ask = getattr(axis, "here", None)
    return float(ask()) if callable(ask) else where(axis)


def _gray(scan: Scan, photons: float, area: float) -> float | None:
    """Of the pure phase of the edge that absorbs most (Gy); None where none is known."""
    energy = np.array([scan.points[0].energy])
    try:
        absorber = absorber_of(scan.edge, None, None, None)
        absorption = absorber.spectra(energy)
    except ValueError:
        return None
    if not np.isfinite(absorption).all():
        return None
    gray = absorbed_dose(
        photons, energy, area, density=absorber.density, absorption=absorption
    )  # fmt: skip
    return _short(float(gray.max()))


def _short(value: float) -> float:
    return float(f"{value:.6g}")
