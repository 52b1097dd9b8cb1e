"""What the camera behind the sample sees of the beamline."""

from __future__ import annotations

from typing import Any

from ...optics import focus_z
from ..physics.stxm import GEOMETRY, Beam

__all__ = ["beam_on_camera"]

_BEAM = Beam()
"""Of a measured stack, which has none of its own."""


def beam_on_camera(bench: Any) -> tuple[float, float, float]:
    """True energy (eV), photons/s on the sample, zone plate position minus that in focus (um)."""
    energy, share = bench.beam_now
    model = bench.model
    beam = getattr(model, "beam", _BEAM)
    flux = share * beam.flux
    z = bench.motors["ZP:Z"].position - bench.motors["Sample:Z"].position
    if beam is _BEAM:
        focus = focus_z(GEOMETRY, energy)
    else:
        focus = model.focus_z(energy)
        flux *= model.osa_clearance(energy)
    return energy, flux, z - focus
