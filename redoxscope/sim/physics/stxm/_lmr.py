"""Sample ``lmr``: a section through a Li-rich layered oxide electrode after cycling.

Agglomerates of about 5 µm and smaller ones, each packed with primary particles of about 200 nm
and cut by the microtome to a lamella of at most 200 nm. Each particle is reduced from its own
surface inwards by vacancy diffusion, less so deep inside a large agglomerate: the picture of
Csernica et al., Nature Energy 6, 642 (2021). Mn and Co are drawn as after cycling and
discharge, Ni and O as in a charged electrode, so that every edge has something to show; a real
electrode would not be in both states at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._diffusion import profile_table
from ._sample import PhaseSample
from ._sphere import Reduced, add_sphere, along_chord

__all__ = ["lmr_sample"]

_LAMELLA = 0.2  # µm, thickest the section gets
_D = 1e-17  # cm²/s, oxygen vacancy diffusion
_AGE = 60 * 3600.0  # s
_MEAN_MN3 = 0.20  # mean Mn valence 3.80
_EDGES = {"Mn L3": 0.0, "Co L3": 0.1, "Ni L3": 0.35, "O K": 0.45}  # reduced share in the core
_PIXEL = 0.02  # µm


@dataclass(frozen=True)
class _Agglomerate:
    x: float
    y: float
    radius: float
    squash: float  # ratio of the axes
    phase: float  # rad, where its outline bulges

    def depth(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance below the outline (µm), negative outside."""
        dx, dy = x - self.x, (y - self.y) / self.squash
        angle = np.arctan2(dy, dx)
        outline = 1 + 0.07 * np.sin(3 * angle + self.phase) + 0.04 * np.sin(5 * angle - self.phase)
        return self.radius * outline - np.hypot(dx, dy)


def _agglomerates(rng: np.random.Generator, field: float) -> list[_Agglomerate]:
    """One large agglomerate by the middle, others around it, no overlap, bare gaps."""
    found = [_Agglomerate(0.45, 0.1, 2.6, 0.98, float(rng.uniform(0, 6)))]
    for low, high, tries in ((1.7, 2.6, 120), (0.7, 1.3, 300), (0.25, 0.6, 900)):
        for _ in range(tries):
            radius = float(rng.uniform(low, high))
            x, y = rng.uniform(-field / 2, field / 2, 2)
            # the strip at the left is where the section ends: always bare
            if x - 1.15 * radius < -field / 2 + 0.8 or not _fits(x, y, radius, found, rng):
                continue
            found.append(
                _Agglomerate(
                    float(x), float(y), radius, float(rng.uniform(0.85, 1.1)), rng.uniform(0, 6)
                )
            )
    return found


def _fits(
    x: float, y: float, radius: float, found: list[_Agglomerate], rng: np.random.Generator
) -> bool:
    if -3.0 < x + 1.12 * radius and x - 1.12 * radius < -2.3 and abs(y) < 2.6 + radius:
        return False  # keeps the left of the default region bare
    gap = rng.uniform(0.0, 0.25)
    return all(np.hypot(x - o.x, y - o.y) > 1.05 * (radius + o.radius) + gap for o in found)


def _particles(
    rng: np.random.Generator, agglomerate: _Agglomerate
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spheres of an agglomerate: centres [n, 3] and radii [n] (µm)."""
    pitch = 0.185
    span = np.arange(-agglomerate.radius * 1.3, agglomerate.radius * 1.3, pitch)
    layers = []
    for layer, z in enumerate((-0.07, 0.07)):  # two layers fill the gaps between round particles
        gx, gy = np.meshgrid(span, span * np.sqrt(0.75))
        gx = gx + (np.arange(gy.shape[0]) % 2)[:, None] * pitch / 2 + layer * pitch / 2
        xyz = np.stack([gx + agglomerate.x, gy + agglomerate.y, np.full_like(gx, z)], axis=-1)
        layers.append(xyz.reshape(-1, 3))
    centres = np.concatenate(layers)
    centres += rng.normal(0, (0.03, 0.03, 0.03), centres.shape)
    radii = np.clip(rng.lognormal(np.log(0.1), 0.18, len(centres)), 0.06, 0.15)
    inside = agglomerate.depth(centres[:, 0], centres[:, 1]) > 0.6 * radii
    inside &= rng.random(len(centres)) > 0.12  # pores
    return centres[inside], radii[inside]


def _reduced(radius: float, surface: float, age_s: float) -> Reduced:
    theta = _D * 1e8 * age_s / radius**2  # cm²/s to µm²/s
    table = profile_table(theta)
    return along_chord(lambda r: surface * np.interp(r, *table), radius, 8)


def lmr_sample(seed: int = 1, *, field_um: float = 12.0) -> PhaseSample:
    """Build the simulated section of a cycled Li-rich layered oxide electrode.

    Parameters
    ----------
    seed : int
        The same seed gives the same sample.
    field_um : float
        Side of the square it covers (µm), centred at (0, 0).

    Returns
    -------
    PhaseSample
        Maps for Mn L3, Co L3, Ni L3 and O K; thickness-weighted mean Mn valence 3.80.

    Raises
    ------
    ValueError
        `field_um` is not within 6..100 µm.
    """
    if not 6 <= field_um <= 100:
        raise ValueError(f"field = {field_um:g} µm is not within 6..100 µm")
    rng = np.random.default_rng(seed)
    n = round(field_um / _PIXEL) + 1
    origin = -_PIXEL * (n - 1) / 2
    thickness = np.zeros((n, n), dtype=np.float32)
    reduced = np.zeros((n, n), dtype=np.float32)
    for agglomerate in _agglomerates(rng, field_um):
        centres, radii = _particles(rng, agglomerate)
        depth = agglomerate.depth(centres[:, 0], centres[:, 1])
        # the interior of a large agglomerate is shielded; a small one has no interior
        shielded = 0.65 * (1 - np.exp(-np.maximum(depth, 0) / 0.6))
        surface = (1 - shielded) * np.clip(rng.normal(1, 0.15, len(radii)), 0.5, 1.4)
        age = _AGE * rng.lognormal(0, 0.35, len(radii))
        for i in range(len(radii)):
            of_sphere = _reduced(radii[i], surface[i], age[i])
            maps = thickness, reduced
            add_sphere(maps, origin, _PIXEL, centres[i], radii[i], _LAMELLA, of_sphere)
    # spheres that overlap in projection cannot both be whole: the lamella is no thicker
    squeeze = np.ones_like(thickness)
    full = thickness > 0
    squeeze[full] = _LAMELLA * np.tanh(thickness[full] / _LAMELLA) / thickness[full]
    thickness *= squeeze
    reduced *= squeeze
    shape = reduced / reduced.sum(dtype=float) * thickness.sum(dtype=float)  # mean 1
    oxidised = {}
    for edge, core in _EDGES.items():
        # no pixel beyond fully reduced; the little that this cuts off is far inside ± 0.02
        part = core * thickness + (1 - core) * _MEAN_MN3 * shape
        oxidised[edge] = thickness - np.minimum(part, thickness)
    return PhaseSample(
        name="lmr",
        x0_um=origin,
        y0_um=origin,
        pixel_um=_PIXEL,
        thickness=thickness,
        oxidised=oxidised,
        region_um=(0.0, 0.0, 6.0, 6.0),
    )
