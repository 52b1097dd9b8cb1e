"""A sphere cut by a section: what the beam passes through, and how much of it is reduced."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Reduced", "add_sphere", "along_chord"]

Array = NDArray[np.float64]
Map = NDArray[np.float32]

Reduced = Callable[[Array, Array, Array], Array]
"""Reduced part (µm) of chords, from their squared distances from the axis (µm²) and their lower
and upper ends (µm)."""


def along_chord(profile: Callable[[Array], Array], radius: float, nodes: int) -> Reduced:
    """Integrate a radial profile along chords by Gauss-Legendre.

    What the beam sees is the mean along the chord, not the value at the projected distance.

    Parameters
    ----------
    profile : callable
        Reduced share against distance from the centre over the radius.
    radius : float
        µm.
    nodes : int
    """
    at, weights = np.polynomial.legendre.leggauss(nodes)

    def reduced(b2: Array, low: Array, high: Array) -> Array:
        length = np.maximum(high - low, 0.0)
        z = (high + low)[..., None] / 2 + length[..., None] / 2 * at
        r = np.sqrt(b2[..., None] + z**2) / radius
        return np.asarray(length * (profile(r) @ (weights / 2)))

    return reduced


def add_sphere(
    maps: tuple[Map, Map],
    origin: float,
    pixel: float,
    centre: tuple[float, float, float] | Array,
    radius: float,
    section: float,
    reduced: Reduced,
) -> None:
    """Add a sphere's chord and its reduced part, both within a section around z = 0.

    Parameters
    ----------
    maps : (ndarray, ndarray)
        Thickness and reduced thickness (µm), [ny, nx], changed in place.
    origin, pixel : float
        First pixel's centre and step (µm), in both directions.
    centre : (float, float, float)
        x, y, z (µm).
    radius, section : float
        µm.
    reduced : callable
        Of chords: see `Reduced`.
    """
    thickness, part = maps
    ny, nx = thickness.shape
    reach = radius / pixel
    cx, cy = (centre[0] - origin) / pixel, (centre[1] - origin) / pixel
    x0, x1 = max(0, int(np.ceil(cx - reach))), min(nx, int(cx + reach) + 1)
    y0, y1 = max(0, int(np.ceil(cy - reach))), min(ny, int(cy + reach) + 1)
    if x0 >= x1 or y0 >= y1:
        return
    bx = (np.arange(x0, x1) - cx) * pixel
    by = (np.arange(y0, y1) - cy) * pixel
    b2 = by[:, None] ** 2 + bx[None, :] ** 2
    half = np.sqrt(np.maximum(radius**2 - b2, 0.0))
    low = np.maximum(-half, -section / 2 - centre[2])
    high = np.minimum(half, section / 2 - centre[2])
    thickness[y0:y1, x0:x1] += np.maximum(high - low, 0.0)
    part[y0:y1, x0:x1] += reduced(b2, low, high)
