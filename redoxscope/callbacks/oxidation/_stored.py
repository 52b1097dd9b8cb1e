"""What is stored of an oxidation map."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import PixelFlag
from .._results import Result
from ._snapshot import OxidationSnapshot

__all__ = ["results_of"]


def results_of(snapshot: OxidationSnapshot) -> Iterator[Result]:
    """Give the arrays of a finished map: of the pixels, of the energies, of the area's spectrum."""
    r, made = snapshot.result, snapshot.made_with
    part = snapshot.region if len(snapshot.regions) > 1 else ""
    thickness = "µm" if snapshot.unit == "1/µm" else ""
    attrs = {
        "title": snapshot.title,
        "species": list(snapshot.names),
        "references": {
            "names": list(snapshot.names),
            "unit": snapshot.unit,
            "source": made.references,
            "digest": made.digest,
            "borrowed": made.borrowed,
        },
        "parameters": {
            "i0": made.i0,
            "min_thickness": made.min_thickness,
            "max_od": made.max_od,
            "dead_time_s": made.dead_time,
            "counts_per_unit": made.counts_per_unit,
            "drift_undone": snapshot.drift is not None and snapshot.drift.undone,
        },
        "fraction_mean": r.mean,
        "fraction_std": r.std,
        "n_mask": r.n_mask,
        "lines": dict(snapshot.lines),
        "until": None if snapshot.until is None else snapshot.until.words,
        "message": snapshot.message,
        "doubts": [
            {"kind": doubt.kind, "value": float(doubt.value), "text": doubt.text}
            for doubt in snapshot.doubts
        ],
        "dose": [
            {"energy_eV": c.energy, "change": c.change, "sigma": c.sigma} for c in snapshot.dose
        ],
        "flags": {flag.name: int(flag) for flag in PixelFlag if flag},
    }

    def of(
        name: str, array: NDArray[Any], dims: tuple[str, ...], unit: str = "", sigma_of: str = ""
    ) -> Result:
        known = {
            "x": snapshot.x, "y": snapshot.y, "energy": snapshot.energies,
            "column": np.arange(len(r.coefficients)),
        }  # fmt: skip
        units = {"x": "µm", "y": "µm", "energy": "eV"}
        if snapshot.spectrum is not None:
            known["area_energy"], units["area_energy"] = snapshot.spectrum.energies, "eV"
        return Result(
            "oxidation_map", name, array, dims, part,
            {d: known[d] for d in dims}, {d: units[d] for d in dims if d in units},
            unit, sigma_of, attrs,
        )  # fmt: skip

    image = ("y", "x")
    if snapshot.names:
        yield of("fraction", r.fraction, image)
        yield of("fraction_sigma", r.sigma, image, sigma_of="fraction")
        yield of("thickness", r.thickness, image, thickness)
        yield of("thickness_sigma", r.thickness_sigma, image, thickness, "thickness")
        yield of("chi2", r.chi2, image)
        yield of("mask", r.mask, image)
        yield of("coefficients", r.coefficients, ("column", *image))
    yield of("flags", r.flags, image)
    yield of("n_energies", r.n_energies, ("y",))
    if r.blank is not None:
        yield of("blank", r.blank, image)
    yield of("ln_i0", r.ln_i0, ("energy",))
    yield of("ln_i0_sigma", r.ln_i0_sigma, ("energy",), sigma_of="ln_i0")
    d = snapshot.drift
    if d is not None:
        for i, axis in enumerate("yx"):
            yield of(f"shift_{axis}", d.shifts[:, i], ("energy",), "pixels")
            yield of(f"shift_{axis}_sigma", d.sigma[:, i], ("energy",), "pixels", f"shift_{axis}")
            yield of(f"movement_{axis}", d.movement[:, i], ("energy",), "µm")
    s = snapshot.spectrum
    if s is not None and snapshot.area is not None:
        yield of("area", snapshot.area, image)
        yield of("area_od", s.od, ("area_energy",))
        yield of("area_od_sigma", s.sigma, ("area_energy",), sigma_of="area_od")
        yield of("area_fit", s.fit, ("area_energy",))
