"""Where the agglomerates of a map lie: primary particles that are close together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from ...inputs import as_number

__all__ = ["Agglomerate", "Agglomerates", "agglomerates", "as_map"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SMOOTH = 1.0
"""Standard deviation (pixels) over which the thickness is smoothed before."""
GAP, LEAST = 6.0, 40.0
"""Widest gap between neighbours, and least diameter, in pixels, where nobody says them."""
EIGHT = np.ones((3, 3), dtype=bool)


@dataclass(frozen=True, eq=False)
class Agglomerate:
    """One agglomerate.

    Attributes
    ----------
    label : int
        From 1 on, the largest first.
    mask : numpy.ndarray of bool [ny, nx]
        All within its outline, the gaps between its particles too.
    depth : numpy.ndarray [ny, nx]
        Distance of each pixel from its outline (µm); negative outside.
    diameter : float
        Of the circle of the same area (µm).
    cut : bool
        Whether it goes on beyond the map. Where it does there is no edge to be near.
    """

    label: int
    mask: Mask
    depth: Array
    diameter: float
    cut: bool

    def __repr__(self) -> str:
        cut = ", cut off by the map" if self.cut else ""
        return f"<Agglomerate {self.label}: diameter {self.diameter:.3g} µm{cut}>"


@dataclass(frozen=True, eq=False)
class Agglomerates:
    """What a map holds.

    Attributes
    ----------
    found : tuple of Agglomerate
        The large ones.
    material : numpy.ndarray of bool [ny, nx]
        Where there are particles, in agglomerates and outside.
    threshold : float
        Thickness above which there is one, in the unit of the map.
    pixel : float
        Side of a pixel (µm).
    gap, least_diameter : float
        What they were found with (µm).
    """

    found: tuple[Agglomerate, ...]
    material: Mask
    threshold: float
    pixel: float
    gap: float
    least_diameter: float

    def __repr__(self) -> str:
        return f"<Agglomerates: {len(self.found)} of at least {self.least_diameter:.3g} µm>"

    @property
    def inside(self) -> Mask:
        """Within the outline of any of them [ny, nx]."""
        return np.any([one.mask for one in self.found], axis=0) if self.found else self._none

    @property
    def depth(self) -> Array:
        """Distance from the outline of the nearest (µm) [ny, nx], positive inside; -inf: none."""
        if not self.found:
            return np.full(self.material.shape, -np.inf)
        return np.asarray(np.max([one.depth for one in self.found], axis=0))

    @property
    def _none(self) -> Mask:
        return np.zeros_like(self.material)


def agglomerates(
    thickness: ArrayLike,
    *,
    pixel: float,
    gap: float | None = None,
    least_diameter: float | None = None,
    threshold: float | None = None,
) -> Agglomerates:
    """Find the large agglomerates of a map.

    Parameters
    ----------
    thickness : array_like of float [ny, nx]
        How much there is in each pixel, in any unit. NaN counts as nothing.
    pixel : float
        Side of a pixel (µm).
    gap : float, optional
        Particles that are no farther apart (µm) belong together, and what is no wider and sticks
        out does not belong to them; 6 pixels where not given.
    least_diameter : float, optional
        Diameter (µm) of the circle of its area from which on an agglomerate is a large one;
        40 pixels where not given. What is smaller counts as outside.
    threshold : float, optional
        Thickness above which there is particle at all; by Otsu's method where not given
        (IEEE Trans. Syst. Man Cybern. 9, 62, 1979).

    Returns
    -------
    Agglomerates

    Raises
    ------
    ValueError
        The map has no two dimensions or holds no number, or a length is not positive.
    """
    pixel = as_number("pixel", pixel, "µm", above=0)
    gap = as_number("gap", GAP * pixel if gap is None else gap, "µm", above=0)
    least = LEAST * pixel if least_diameter is None else least_diameter
    least = as_number("least_diameter", least, "µm", above=0)
    t = as_map("thickness", thickness)
    blank = ~np.isfinite(t)
    if blank.all():
        raise ValueError("thickness holds no number")
    t = ndimage.gaussian_filter(np.where(blank, 0.0, t), SMOOTH)
    if threshold is None:
        threshold = _otsu(t)
    else:
        threshold = as_number("threshold", threshold)
    material = t > threshold
    whole = _whole(material, gap / pixel)
    labels, count = ndimage.label(whole, EIGHT)
    found = []
    for number in range(1, count + 1):
        mask = labels == number
        diameter = 2.0 * float(np.sqrt(mask.sum() / np.pi)) * pixel
        if diameter >= least:
            found.append((diameter, mask))
    found.sort(key=lambda one: -one[0])
    made = tuple(
        Agglomerate(i, mask, _depth(mask, pixel), diameter, _cut(mask))
        for i, (diameter, mask) in enumerate(found, 1)
    )
    return Agglomerates(made, material, float(threshold), pixel, gap, least)


def _whole(material: Mask, gap: float) -> Mask:
    """Gaps (pixels) closed and holes filled, then what is as thin as they are taken off.

    The map goes on beyond its border as it is there.
    """
    margin = 2 * int(np.ceil(gap)) + 2
    wide = np.pad(material, margin, mode="edge")
    near = ndimage.distance_transform_edt(~wide) <= gap / 2
    closed = ndimage.distance_transform_edt(near) > gap / 2
    filled = ndimage.binary_fill_holes(closed | wide)
    core = ndimage.distance_transform_edt(filled) > gap / 2
    if not core.any():
        return np.zeros_like(material)
    opened = ndimage.distance_transform_edt(~core) <= gap / 2
    return np.asarray((opened & filled)[margin:-margin, margin:-margin])


def as_map(name: str, given: ArrayLike, shape: tuple[int, ...] | None = None) -> Array:
    values = np.asarray(given, float)
    if values.ndim != 2 or min(values.shape) < 3:
        raise ValueError(f"{name} has shape {values.shape}; it must be a map of at least 3 x 3")
    if shape is not None and values.shape != shape:
        raise ValueError(f"{name} has shape {values.shape}, not {shape}; they must be one map")
    return values


def _depth(mask: Mask, pixel: float) -> Array:
    """Signed distance of the pixels' middles from the outline, which the map's border is not."""
    ny, nx = mask.shape
    margin = max(ny, nx)
    wide = np.pad(mask, margin, mode="edge")
    inner = ndimage.distance_transform_edt(wide)[margin:-margin, margin:-margin]
    outer = ndimage.distance_transform_edt(~mask)
    return np.asarray(np.where(mask, inner - 0.5, 0.5 - outer) * pixel)


def _cut(mask: Mask) -> bool:
    return bool(mask[[0, -1]].any() or mask[:, [0, -1]].any())


def _otsu(t: Array) -> float:
    """Threshold between two classes, with the largest variance between them."""
    counts, edges = np.histogram(t, 256)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    first = np.cumsum(counts * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (first / below - (first[-1] - first) / above) ** 2
    between[(below == 0) | (above == 0)] = -1.0
    return float(edges[1:][int(between.argmax())])
