"""Zone plate, order-sorting aperture and focus: formulas and the collision check.

Convention. The optical axis is z, positive downstream. The zone plate's axis has its **zero at
the plane of the order-sorting aperture (OSA)**, and the zone plate stands upstream of it:

    ``z = -(A1 * E - A0)``

brings the sample into focus, with the focal length ``f = A1 * E`` and ``A0`` the distance from
the OSA to the sample (both in µm, E in eV). Other instruments put the zero at the sample, where
the same position reads ``-f``; :func:`to_sample_zero` and :func:`to_osa_zero` convert. To mix the
two is an error of the size of A0, which is a collision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike

__all__ = [
    "HC_EV_NM",
    "MIN_GAP_UM",
    "InterlockError",
    "ZonePlateGeometry",
    "check_focus",
    "defocus_sigma",
    "depth_of_focus",
    "focal_length",
    "focal_slope",
    "focus_area",
    "focus_z",
    "largest_a0",
    "rayleigh_resolution",
    "to_osa_zero",
    "to_sample_zero",
    "wavelength_nm",
    "zone_count",
]

#: Planck's constant times the speed of light (eV nm), CODATA 2018.
HC_EV_NM = 1239.841984

#: Smallest gap allowed between zone plate, OSA and sample (µm).
MIN_GAP_UM = 100.0


class InterlockError(ValueError):
    """A move or a plan that the geometry does not allow; the message names what and the limit."""


@dataclass(frozen=True)
class ZonePlateGeometry:
    """Zone plate and order-sorting aperture.

    Parameters
    ----------
    diameter_um : float
        Outer diameter of the zone plate (µm).
    outer_zone_nm : float
        Width of its outermost zone (nm).
    central_stop_um : float
        Diameter of its central stop (µm), larger than the OSA.
    osa_diameter_um : float
        Diameter of the OSA (µm).
    a0_um : float
        Distance from the OSA to the sample (µm).
    a1_um_per_ev : float, optional
        Focal length over photon energy (µm/eV) as calibrated; by default what the diameter and
        the outermost zone give.

    Raises
    ------
    InterlockError
        A value is NaN, not positive or impossible beside the others. `a0_um` is judged by
        :func:`check_focus`, because its limits depend on energy.
    """

    # No default of any of these: they are one instrument's, and hardware hangs on them.
    diameter_um: float
    outer_zone_nm: float
    central_stop_um: float
    osa_diameter_um: float
    a0_um: float
    a1_um_per_ev: float = cast(float, None)  # filled in from the zones

    def __post_init__(self) -> None:
        for name, label, unit in (
            ("diameter_um", "zone_plate.diameter", "µm"),
            ("outer_zone_nm", "zone_plate.outer_zone", "nm"),
            ("central_stop_um", "zone_plate.central_stop", "µm"),
            ("osa_diameter_um", "zone_plate.osa_diameter", "µm"),
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise InterlockError(f"{label} = {value:g} {unit} must be above 0 {unit}")
        if not math.isfinite(self.a0_um):
            raise InterlockError(f"zone_plate.a0 = {self.a0_um:g} µm is not a finite number of µm")
        if not self.central_stop_um < self.diameter_um:
            raise InterlockError(
                f"zone_plate.central_stop = {self.central_stop_um:g} µm is not below "
                f"{self.diameter_um:g} µm, the zone plate's diameter"
            )
        if not self.osa_diameter_um < self.central_stop_um:
            raise InterlockError(
                f"zone_plate.osa_diameter = {self.osa_diameter_um:g} µm is not below "
                f"{self.central_stop_um:g} µm, the central stop: undiffracted light would pass"
            )
        ideal = focal_slope(self.diameter_um, self.outer_zone_nm)
        if self.a1_um_per_ev is None:
            object.__setattr__(self, "a1_um_per_ev", ideal)
        if not abs(self.a1_um_per_ev / ideal - 1) <= 0.2:
            # peers carry tables whose A1 contradicts their own zone plate
            raise InterlockError(
                f"zone_plate.a1 = {self.a1_um_per_ev:g} µm/eV is not within 20 % of "
                f"{ideal:.4f} µm/eV, which its diameter and outermost zone give"
            )

    @property
    def a1(self) -> float:
        """Focal length over photon energy (µm/eV)."""
        return self.a1_um_per_ev


def wavelength_nm(energy_ev: float) -> float:
    """Wavelength (nm) at a photon energy (eV)."""
    return HC_EV_NM / energy_ev


def focal_slope(diameter_um: float, outer_zone_nm: float) -> float:
    """A1 = D dr / (h c) (µm/eV): the first-order focal length over photon energy."""
    return diameter_um * outer_zone_nm / HC_EV_NM


def focal_length(energy_ev: float, diameter_um: float, outer_zone_nm: float) -> float:
    """First-order focal length f = D dr / λ (µm)."""
    return focal_slope(diameter_um, outer_zone_nm) * energy_ev


def rayleigh_resolution(outer_zone_nm: float) -> float:
    """Rayleigh resolution 1.22 dr (nm), incoherent illumination."""
    return 1.22 * outer_zone_nm


def focus_area(outer_zone_nm: float) -> float:
    """Area (µm²) over which the light of a focus has its peak irradiance: 4 dr² / π.

    Of an Airy disc, P A / (λ f)² per area with A = π D² / 4 and f = D dr / λ (M. Born, E. Wolf,
    Principles of Optics, 8.5.2). A central stop and a source that is not a point widen it.
    """
    return 4 * outer_zone_nm**2 / math.pi * 1e-6


def depth_of_focus(energy_ev: float, outer_zone_nm: float) -> float:
    """Half depth of focus (µm): in focus within ± 2 dr² / λ. Conventions differ; this is half."""
    return 2 * outer_zone_nm**2 / wavelength_nm(energy_ev) * 1e-3


def zone_count(diameter_um: float, outer_zone_nm: float) -> float:
    """Number of zones D / (4 dr); the beam's E/ΔE must not be below it."""
    return diameter_um * 1e3 / (4 * outer_zone_nm)


def defocus_sigma(defocus_um: float, energy_ev: float, geometry: ZonePlateGeometry) -> float:
    """Rms radius per axis (µm) of the geometric blur disc at a distance from focus (µm).

    A cone from an aperture D at distance f has diameter ``D |dz| / f`` at ``dz``; a
    uniform disc of that diameter has a standard deviation of a quarter of it per axis.
    """
    return geometry.diameter_um * abs(defocus_um) / (4 * geometry.a1 * energy_ev)


def focus_z(geometry: ZonePlateGeometry, energy_ev: float) -> float:
    """Zone plate position (µm, zero at the OSA plane) that focuses on the sample at A0."""
    return -(geometry.a1 * energy_ev - geometry.a0_um)


def to_sample_zero(z_um: float, a0_um: float) -> float:
    """Zone plate position with the zero at the sample, from one with the zero at the OSA (µm)."""
    return z_um - a0_um


def to_osa_zero(z_um: float, a0_um: float) -> float:
    """Zone plate position with the zero at the OSA, from one with the zero at the sample (µm)."""
    return z_um + a0_um


def largest_a0(geometry: ZonePlateGeometry, energy_ev: float) -> float:
    """Largest A0 (µm) at which the first-order cone still fits through the OSA.

    At the OSA, ``A0`` before the focus, the cone is ``D_zp * A0 / f`` wide; hence
    ``D_osa * f / D_zp``.
    """
    return geometry.osa_diameter_um * geometry.a1 * energy_ev / geometry.diameter_um


def check_focus(
    geometry: ZonePlateGeometry,
    energies: ArrayLike | Iterable[float],
    z_limits: tuple[float, float] | None = None,
    sample_z_um: float = 0.0,
) -> None:
    """Check that a whole list of energies can be focused without a collision.

    Parameters
    ----------
    geometry : ZonePlateGeometry
    energies : array_like
        All energies of the plan (eV); none may be left out, the lowest decides.
    z_limits : (float, float), optional
        Soft limits of the zone plate axis (µm, zero at the OSA plane).
    sample_z_um : float
        Where the sample stands off its plane at A0 (µm, positive away from the OSA).

    Raises
    ------
    InterlockError
        Names device, value, limit and unit. A NaN anywhere is an error.

    Notes
    -----
    The window ``100 µm < A0 < D_osa f / D_zp`` at the lowest energy, a gap of 100 µm at
    least between zone plate and OSA and between OSA and sample, and the soft limits at
    every energy.
    """
    e = np.atleast_1d(np.asarray(energies, dtype=float)).ravel()
    if e.size == 0:
        raise InterlockError("energies: none given, so the focus cannot be checked (eV)")
    bad = ~(np.isfinite(e) & (e > 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise InterlockError(f"energies[{at}] = {e[at]:g} eV must be a finite energy above 0 eV")
    if not math.isfinite(sample_z_um):
        raise InterlockError(f"sample.z = {sample_z_um:g} µm is not a finite number of µm")
    low = float(e.min())
    a0 = geometry.a0_um
    if not a0 > MIN_GAP_UM:
        raise InterlockError(
            f"zone_plate.a0 = {a0:g} µm is not above {MIN_GAP_UM:g} µm, the smallest distance "
            "allowed between order-sorting aperture and sample"
        )
    limit = largest_a0(geometry, low)
    if not a0 < limit:
        raise InterlockError(
            f"zone_plate.a0 = {a0:g} µm is above {limit:.0f} µm, the largest A0 that keeps the "
            f"order-sorting aperture clear at the lowest energy {low:g} eV (D_osa·f/D_zp)"
        )
    gap = a0 + sample_z_um
    if not gap >= MIN_GAP_UM:
        raise InterlockError(
            f"sample.z = {sample_z_um:g} µm leaves {gap:g} µm between order-sorting aperture and "
            f"sample, below {MIN_GAP_UM:g} µm"
        )
    gap = -focus_z(geometry, low)
    if not gap >= MIN_GAP_UM:
        raise InterlockError(
            f"zone_plate.z = {-gap:.1f} µm at the lowest energy {low:g} eV leaves {gap:.1f} µm "
            f"between zone plate and order-sorting aperture, below {MIN_GAP_UM:g} µm"
        )
    if z_limits is not None:
        _check_limits(geometry, e, z_limits)


def _check_limits(
    geometry: ZonePlateGeometry, energies: np.ndarray, z_limits: tuple[float, float]
) -> None:
    bottom, top = z_limits
    # (0, 0) is how an unset pair of limits reads over EPICS; it must not pass as "no limits"
    if not (math.isfinite(bottom) and math.isfinite(top) and bottom < top):
        raise InterlockError(
            f"zone_plate.z limits ({bottom:g}, {top:g}) µm are not a range, so nothing is allowed"
        )
    for energy in energies.tolist():
        z = focus_z(geometry, energy)
        if not bottom <= z <= top:
            side, limit = ("below", bottom) if z < bottom else ("above", top)
            raise InterlockError(
                f"zone_plate.z = {z:.1f} µm at {energy:g} eV is {side} its limit {limit:g} µm"
            )
