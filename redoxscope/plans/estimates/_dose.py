"""Photons and dose of the parts of a scan that fall on one place."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.dose import absorbed_dose
from ...data import DENSITY, References, get_edge, phase_absorption
from ...optics import InterlockError, focus_area
from ...scan import Exposures, Frame, Point, Region, Role

__all__ = ["Absorber", "absorber_of", "exposure", "focus_side", "lit_area"]

Array = NDArray[np.float64]

EXPOSED = (Role.SAMPLE, Role.DOSE_CHECK)
"""Roles in which the beam falls on the sample."""


@dataclass(frozen=True)
class Absorber:
    """What is in the beam.

    Attributes
    ----------
    spectra : callable
        Absorption [K, n] of each pure phase at energies [n] (eV); NaN where it is not known.
    unit : str
        ``1/µm`` or ``OD``.
    density : float
        g/cm³.
    thickness : float or None
        µm.
    """

    spectra: Callable[[Array], Array]
    unit: str
    density: float
    thickness: float | None


def absorber_of(
    edge: str | None,
    references: References | None,
    density: float | None,
    thickness: float | None,
) -> Absorber:
    """What is in the beam, from what is known of it.

    Raises
    ------
    ValueError
        Too little is known, or not what is needed.
    """
    if references is None:
        if edge is None:
            raise ValueError(
                "what absorbs is not known; give edge=…, or references=… and density=…"
            )
        if not get_edge(edge).species:
            raise ValueError(
                f"what absorbs is not known: no references are shipped for {get_edge(edge).name}; "
                "a plan or estimate that takes references=… and density=… can be given its own"
            )
        name = get_edge(edge).name
        own = DENSITY if density is None else density
        return Absorber(lambda energies: _of_edge(name, tuple(energies)), "1/µm", own, thickness)
    if density is None:
        raise ValueError("the sample's density is not known; give density=… (g/cm³)")
    if references.unit == "OD" and thickness is None:
        raise ValueError(
            "the references are optical densities; give the thickness=… (µm) that has them"
        )

    def spectra(energies: Array) -> Array:
        known = references.energies
        return np.stack(
            [np.interp(energies, known, row, np.nan, np.nan) for row in references.spectra]
        )

    return Absorber(spectra, references.unit, density, thickness)


@lru_cache(maxsize=16)
def _of_edge(name: str, energies: tuple[float, ...]) -> Array:
    """A night's runs ask for the same again and again."""
    return phase_absorption(name, energies)


def focus_side(stxm: Any) -> float | None:
    """Side (µm) of a square with the area of the focus; None where nothing says its zone plate."""
    zone_plate = getattr(stxm, "zone_plate", None)
    if zone_plate is None:
        return None
    try:
        return math.sqrt(focus_area(zone_plate.geometry.outer_zone_nm))
    except InterlockError:  # which ends the plan before its first move
        return None


def lit_area(region: Region, side: float | None) -> float:
    """Over what area (µm²) the photons of a pixel fall.

    The beam sweeps over pixels that lie side by side, and each has its own area. Along an axis of
    one pixel nothing is swept: no more than the focus is lit, however large the pixel is said to
    be.
    """
    area = 1.0
    for size, count in zip(region.size, region.pixels, strict=True):
        area *= size / count if count > 1 or side is None else min(size, side)
    return area


def exposure(
    parts: Sequence[Frame | Point | Exposures],
    photons: Array,
    area: float,
    absorber: Absorber | None,
    unknown: list[str],
) -> tuple[float | None, float | None, float | None]:
    """Photons on one place, dose and its standard deviation (Gy).

    Parameters
    ----------
    parts : sequence of Frame, Point or Exposures
    photons : ndarray [n]
        On the place, in each of them.
    area : float
        Of the place (µm²).
    absorber : Absorber or None
    unknown : list of str
        Gets why there is no dose.
    """
    on = np.array([part.role in EXPOSED for part in parts], bool)
    total = float(photons[on].sum())
    if absorber is None:
        return total, None, None
    energies = np.array([part.energy for part in parts])[on]
    if not energies.size:
        return total, 0.0, 0.0
    distinct, at = np.unique(energies, return_inverse=True)
    try:
        absorption = absorber.spectra(distinct)
    except ValueError as exc:
        unknown.append(f"dose: {exc}")
        return total, None, None
    blind = distinct[~np.isfinite(absorption).all(axis=0)]
    if blind.size:
        unknown.append(
            f"dose: the references do not reach {', '.join(f'{e:g}' for e in blind[:3])} eV"
            + (f" and {blind.size - 3} more" if blind.size > 3 else "")
        )
        return total, None, None
    kind: dict[str, Any] = {
        "absorption" if absorber.unit == "1/µm" else "optical_density": absorption[:, at]
    }
    doses = absorbed_dose(
        photons[on],
        energies,
        area,
        density=absorber.density,
        thickness=absorber.thickness,
        **kind,
    ).sum(axis=1)
    return total, float(doses.mean()), float(np.ptp(doses) / np.sqrt(12))
