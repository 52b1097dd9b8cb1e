"""From what a user names as the sample to the model that serves it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ....optics import ZonePlateGeometry
from ..._layout import Layout
from .._checks import finite
from ._beam import Beam
from ._beamline import GEOMETRY, BeamlineModel
from ._lmr import lmr_sample
from ._measured import MeasuredStack
from ._primary import core_shell_sample, diffusion_sample
from ._sample import PhaseSample
from ._stage import Stage

__all__ = ["SAMPLES", "build_model", "open_sample"]

#: Simulated samples by name.
SAMPLES: dict[str, Callable[..., PhaseSample]] = {
    "lmr": lmr_sample,
    "diffusion": diffusion_sample,
    "core-shell": core_shell_sample,
}

_SUFFIXES = {".h5", ".hdf5", ".hdf", ".nxs"}


def open_sample(
    sample: str | os.PathLike[str], *, seed: int = 1, field_um: float | None = None
) -> PhaseSample | MeasuredStack:
    """Build a simulated sample, or open a measured stack.

    Parameters
    ----------
    sample : str or path
        A name in `SAMPLES`, or an HDF5 file in the layout of :class:`MeasuredStack`.
    seed : int
        Of a simulated sample.
    field_um : float, optional
        Side of a simulated sample (µm); by default the sample's own.

    Raises
    ------
    ValueError
        No such sample, no such file, or a file that is not such a stack.
    """
    if isinstance(sample, str) and sample in SAMPLES:
        own = {} if field_um is None else {"field_um": field_um}
        return SAMPLES[sample](seed, **own)
    path = Path(sample)
    if path.suffix.lower() not in _SUFFIXES and not path.is_file():
        raise ValueError(
            f"sample = {str(sample)!r} is neither a simulated sample ({', '.join(SAMPLES)}) nor a "
            "file (.h5)"
        )
    return MeasuredStack(path)


def build_model(
    sample: str | os.PathLike[str],
    *,
    seed: int = 1,
    a1_error: float = 0.0,
    drift_um_per_h: tuple[float, float] = (0.0, 0.0),
    field_um: float | None = None,
    geometry: ZonePlateGeometry | None = None,
    layout: Layout | None = None,
    **kwargs: Any,
) -> BeamlineModel | MeasuredStack:
    """Build the model that serves a sample.

    Parameters
    ----------
    sample : str or path
        As :func:`open_sample`. For a measured stack nothing else counts: its blur, drift and
        noise are in the data.
    seed : int
        Of sample and noise.
    a1_error : float
        Relative error of the A1 that the geometry states: stated over true, less 1.
    drift_um_per_h : (float, float)
        Drift of the stage along x and y (µm/h).
    field_um : float, optional
        Side of a simulated sample (µm); by default the sample's own.
    geometry : ZonePlateGeometry, optional
    layout : Layout, optional
        The beamline that is simulated: its zone plate and ring current.
    **kwargs
        Further keywords of :class:`BeamlineModel`.

    Raises
    ------
    ValueError
        As :func:`open_sample` and :class:`BeamlineModel`.
    """
    found = open_sample(sample, seed=seed, field_um=field_um)
    if isinstance(found, MeasuredStack):
        return found
    finite("a1_error", a1_error, "(relative)", -0.5, 0.5)
    if layout is not None:
        geometry = geometry or layout.zone_plate()
        current = float(layout.value("Ring:Current", 0.0))
        if current > 0:  # at a moment without beam it says nothing of tonight's
            kwargs.setdefault("beam", Beam(current_ma=current))
    geometry = geometry or GEOMETRY
    kwargs.setdefault("stage", Stage(drift_um_per_h=drift_um_per_h))
    return BeamlineModel(
        found, geometry=geometry, a1_true=geometry.a1 / (1 + a1_error), seed=seed, **kwargs
    )
