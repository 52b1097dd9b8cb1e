"""Dose of each image of a scan, on one pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.dose import absorbed_dose
from ...data import References
from ...scan import Scan
from .._schedule import schedule
from ._dose import EXPOSED, absorber_of, focus_side, lit_area

__all__ = ["FrameDoses", "frame_doses"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameDoses:
    """What each image of a scan leaves in one pixel, or why that is not known.

    Attributes
    ----------
    flux : float
        Photons/s on the sample; 0: not known.
    photons : numpy.ndarray [frames] or None
    gray : numpy.ndarray [frames] or None
        Of the pure phase that absorbs most (Gy).
    unknown : str
        Why one of them is None; empty where both are known.
    lacking : str
        What is not in them because nobody says it.
    """

    flux: float
    photons: Array | None
    gray: Array | None
    unknown: str = ""
    lacking: str = ""

    def as_start(self) -> dict[str, Any]:
        """For a start document; one number stands for images that are all alike."""
        found: dict[str, Any] = {"flux": self.flux}
        for name, values in (("photons", self.photons), ("gray", self.gray)):
            if values is not None:
                plain = [float(f"{value:.6g}") for value in values]
                found[name] = plain[0] if len(set(plain)) == 1 else plain
        return found


def frame_doses(
    scan: Scan,
    stxm: Any,
    *,
    references: References | None = None,
    density: float | None = None,
    thickness: float | None = None,
) -> FrameDoses:
    """Photons and dose that each image leaves in a pixel, as `estimate` has them.

    Parameters
    ----------
    scan : Scan
        Of images.
    stxm : Microscope
        Says the photons per second in its ``flux``.
    references, density, thickness
        As of `estimate`.

    Returns
    -------
    FrameDoses
        Of images whose role does not expose the sample: 0.
    """
    flux = float(stxm.flux.get()) if hasattr(stxm, "flux") else 0.0
    if not flux > 0:
        why = (
            f"the flux is not known; set {stxm.name}.flux (photons/s on the sample), in the "
            "beamline file"
        )
        return FrameDoses(0.0, None, None, why)
    times = schedule(scan, stxm)
    pixels = [region.pixels[0] * region.pixels[1] for region in scan.regions]
    side = focus_side(stxm)
    areas = [lit_area(region, side) for region in scan.regions]
    each = np.array([pixels[frame.region] for frame in scan.frames])
    area = np.array([areas[frame.region] for frame in scan.frames])
    open_for = (np.asarray(times.live) + np.nan_to_num(times.flight)) / each
    exposed = np.array([frame.role in EXPOSED for frame in scan.frames])
    photons = np.where(exposed, flux * open_for, 0.0)
    energies = np.array([frame.energy for frame in scan.frames])
    try:
        absorber = absorber_of(scan.edge, references, density, thickness)
        absorption = absorber.spectra(energies)
    except ValueError as exc:
        return FrameDoses(flux, photons, None, str(exc))
    blind = energies[~np.isfinite(absorption).all(axis=0)]
    if blind.size:
        why = f"the references do not reach {blind[0]:g} eV"
        return FrameDoses(flux, photons, None, why)
    kind: dict[str, Any] = {
        "absorption" if absorber.unit == "1/µm" else "optical_density": absorption
    }
    # Of 1 µm²: areas differ from region to region.
    gray = absorbed_dose(
        photons / area, energies, 1.0, density=absorber.density, thickness=thickness, **kind
    )
    blind_flight = np.isnan(times.flight[exposed]).any()
    lacking = "how long the fly-back between lines takes is not known" if blind_flight else ""
    return FrameDoses(flux, photons, np.asarray(gray.max(axis=0)), lacking=lacking)
