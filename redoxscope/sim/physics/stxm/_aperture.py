"""What aperture and detector let through: discs that move in rings of light."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ....optics import ZonePlateGeometry, rayleigh_resolution

__all__ = ["Passing", "passing", "ring_share"]

ZERO_ORDER = (1 / 4) / (1 / math.pi**2)
"""Light that a zone plate of opaque zones leaves undiffracted, over that of its first order: 25 %
and 1/π² of what falls on it (D. Attwood, Soft X-Rays and Extreme Ultraviolet Radiation, ch. 9)."""

DETECTOR_RADIUS = 500.0
"""Of what counts behind the sample (µm)."""
DETECTOR_DISTANCE = 10_000.0
"""From the focus to it (µm)."""


@dataclass(frozen=True)
class Passing:
    """Light behind aperture and detector, over the first order of a microscope in alignment.

    Attributes
    ----------
    first : float
        First order, which is focused on the sample.
    direct : float
        Zero order, which an aperture out of the central stop's shadow lets through.
    """

    first: float = 1.0
    direct: float = 0.0


def _lens(a: float, b: float, distance: float) -> float:
    """Area that two discs of radii a and b share."""
    if distance >= a + b:
        return 0.0
    small, large = sorted((a, b))
    if distance <= large - small:
        return math.pi * small**2
    angle_a = math.acos((distance**2 + a**2 - b**2) / (2 * distance * a))
    angle_b = math.acos((distance**2 + b**2 - a**2) / (2 * distance * b))
    return a**2 * (angle_a - math.sin(2 * angle_a) / 2) + b**2 * (
        angle_b - math.sin(2 * angle_b) / 2
    )


def ring_share(radius: float, inner: float, outer: float, offset: float) -> float:
    """Share of an evenly lit ring that lies in a disc whose middle is off by ``offset``.

    Parameters
    ----------
    radius : float
        Of the disc (µm).
    inner, outer : float
        Of the ring (µm).
    offset : float
        Distance of the middles (µm).
    """
    lit = math.pi * (outer**2 - inner**2)
    return (_lens(radius, outer, offset) - _lens(radius, inner, offset)) / lit


def passing(
    geometry: ZonePlateGeometry,
    energy_ev: float,
    a1: float,
    to_focus_um: float,
    osa_off_um: float,
    detector_off_um: float,
) -> Passing:
    """What reaches the detector.

    Parameters
    ----------
    geometry : ZonePlateGeometry
    energy_ev : float
        True photon energy (eV).
    a1 : float
        True focal length over energy (µm/eV).
    to_focus_um : float
        From the aperture to the focus along the beam (µm); A0 in alignment.
    osa_off_um, detector_off_um : float
        Distance of the aperture, and of the detector, from the axis (µm).

    Notes
    -----
    At a distance s from the focus the first-order cone is a ring of radii ``D_stop |s| / 2f`` and
    ``D |s| / 2f``; no smaller than the spot, whose radius is that of Rayleigh. The zero order is
    parallel: a ring of the radii of central stop and zone plate.
    """
    f = a1 * energy_ev
    spot = rayleigh_resolution(geometry.outer_zone_nm) * 1e-3
    cone = abs(to_focus_um) / (2 * f)
    outer = math.hypot(geometry.diameter_um * cone, spot)
    inner = geometry.central_stop_um * cone
    radius = geometry.osa_diameter_um / 2
    first = ring_share(radius, inner, outer, osa_off_um)
    direct = ring_share(radius, geometry.central_stop_um / 2, geometry.diameter_um / 2, osa_off_um)
    far = DETECTOR_DISTANCE / (2 * f)
    ring = geometry.central_stop_um * far, geometry.diameter_um * far
    seen = ring_share(DETECTOR_RADIUS, *ring, detector_off_um)
    centred = ring_share(DETECTOR_RADIUS, *ring, 0.0)
    hit = detector_off_um < DETECTOR_RADIUS  # a pencil of parallel light on the axis
    return Passing(first * seen / centred, ZERO_ORDER * direct * hit)
