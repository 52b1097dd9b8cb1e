"""What is stored of a run of ptychography."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._results import Result
from ._snapshot import PtychoSnapshot

__all__ = ["results_of"]


def results_of(snapshot: PtychoSnapshot) -> Iterator[Result]:
    """Give each energy's object and probe on its own grid, and all that is on the common one."""
    part = snapshot.region if len(snapshot.regions) > 1 else ""
    attrs: dict[str, Any] = {
        "title": snapshot.title,
        "energies_eV": [image.energy_ev for image in snapshot.images],
        "pixel_um": [image.pixel_um for image in snapshot.images],
        "residual": [image.residual for image in snapshot.images],
        "frames": [image.frames for image in snapshot.images],
        "updates": [image.updates for image in snapshot.images],
        "half_pitch_um": None if snapshot.resolution is None else snapshot.resolution.half_pitch_um,
        "half_pitch_at_eV": snapshot.resolution_ev,
        "pace": asdict(snapshot.pace),
        "message": snapshot.message,
        "doubts": [
            {"kind": d.kind, "value": float(d.value), "text": d.text} for d in snapshot.doubts
        ],
    }

    def of(
        name: str,
        array: NDArray[Any],
        dims: tuple[str, ...],
        coords: dict[str, NDArray[Any]],
        units: dict[str, str],
        unit: str = "",
        sigma_of: str = "",
    ) -> Result:
        return Result("ptychography", name, array, dims, part, coords, units, unit, sigma_of, attrs)

    for k, image in enumerate(snapshot.images):
        x, y = f"x_{k}", f"y_{k}"
        place = {x: image.x_um, y: image.y_um}
        micro = {x: "µm", y: "µm"}
        yield of(f"object_{k}", image.object, (y, x), place, micro)
        if image.sigma is not None:
            known = np.where(image.covered, image.sigma, np.float32(np.nan))
            yield of(f"sigma_{k}", known, (y, x), place, micro)  # of the optical density
        yield of(f"coverage_{k}", image.coverage, (y, x), place, micro, "photons")
        yield of(f"probe_{k}", image.probe, ("mode", f"probe_y_{k}", f"probe_x_{k}"), {}, {})
        yield of(f"positions_{k}", image.positions_um, (f"frame_{k}", "axis"), {}, {}, "µm")
    rings = snapshot.resolution
    if rings is not None:
        along = {"frequency": rings.frequency}
        for name, values in (("ring_correlation", rings.value), ("ring_limit", rings.threshold)):
            yield of(name, values, ("frequency",), along, {"frequency": "1/µm"})
    found = snapshot.map
    if found is None:
        return
    axes = {"energy": found.energies, "y": found.y, "x": found.x}
    micro = {"energy": "eV", "y": "µm", "x": "µm"}
    cube, image_dims = ("energy", "y", "x"), ("y", "x")

    def on_grid(
        name: str, array: NDArray[Any], dims: tuple[str, ...], unit: str = "", sigma_of: str = ""
    ) -> Result:
        coords = {d: axes[d] for d in dims if d in axes}
        return of(name, array, dims, coords, {d: micro[d] for d in coords}, unit, sigma_of)

    yield on_grid("od", found.od, cube)
    yield on_grid("od_sigma", found.od_sigma, cube, sigma_of="od")
    yield on_grid("phase", found.phase, cube, "rad")
    yield on_grid("shift", found.shift, ("energy", "axis"), "µm")
    yield on_grid("shift_sigma", found.shift_sigma, ("energy", "axis"), "µm", "shift")
    yield on_grid("zero_sigma", found.zero_sigma, ("energy",))
    yield on_grid("excess", found.excess, ("energy",))
    r = found.result
    if r is None:
        return
    attrs |= {
        "species": list(found.names),
        "references_unit": found.unit,
        "references": found.source,
        "fraction_mean": r.mean,
        "fraction_std": r.std,
        "n_mask": r.n_mask,
    }
    thickness = "µm" if found.unit == "1/µm" else ""
    yield on_grid("fraction", r.fraction, image_dims)
    yield on_grid("fraction_sigma", r.sigma, image_dims, sigma_of="fraction")
    yield on_grid("thickness", r.thickness, image_dims, thickness)
    yield on_grid("thickness_sigma", r.thickness_sigma, image_dims, thickness, "thickness")
    yield on_grid("chi2", r.chi2, image_dims)
    yield on_grid("mask", r.mask, image_dims)
    yield on_grid("flags", np.asarray(r.flags), image_dims)
