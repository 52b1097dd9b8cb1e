"""Where single particles lie in a map, and how far each pixel is from the edge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from scipy.spatial import Delaunay

from ...inputs import as_number, as_whole
from ._types import LeftOut, Outline, Outlines

__all__ = ["LEVEL", "SMOOTH", "as_map", "outline", "outlines"]

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LEVEL = 0.25
"""Part of a particle's own thickness at which its edge is drawn: low, for a sphere thins out."""
SMOOTH = 1.0
"""Standard deviation (pixels) over which the thickness is smoothed before."""
FINE = 4
"""Parts of a pixel in which distances are measured."""
SOLID = 0.965
"""Least area over that of the convex hull of a single particle; 0.99 with much noise."""
UNEVEN = 0.25
"""Largest relative scatter of the thickness at one distance from the edge."""


def outlines(
    thickness: ArrayLike,
    *,
    pixel: float,
    threshold: float | None = None,
    least_radius: float | None = None,
) -> Outlines:
    """Find the single whole particles in a map.

    Parameters
    ----------
    thickness : array_like of float [ny, nx]
        How much there is in each pixel, in any unit: optical density, the sum of the
        coefficients. NaN counts as nothing.
    pixel : float
        Side of a pixel (um).
    threshold : float, optional
        Thickness above which there is particle at all; by Otsu's method where not given
        (IEEE Trans. Syst. Man Cybern. 9, 62, 1979).
    least_radius : float, optional
        Smallest radius of a particle (um); 5 pixels where not given.

    Returns
    -------
    Outlines
        The edge of each is where its thickness is a quarter of its own; what touches the map's
        border, overlaps with another or is too small is left out, each with its reason.

    Raises
    ------
    ValueError
        The map has no two dimensions, or holds no number.
    """
    pixel = as_number("pixel", pixel, "um", above=0)
    if least_radius is None:
        least = 5.0
    else:
        least = as_number("least_radius", least_radius, "um", above=0) / pixel
    t = as_map("thickness", thickness)
    blank = ~np.isfinite(t)
    if blank.all():
        raise ValueError("thickness holds no number")
    t = ndimage.gaussian_filter(np.where(blank, 0.0, t), SMOOTH)
    if threshold is None:
        threshold = _otsu(t)
    else:
        threshold = as_number("threshold", threshold)
    labels, count = ndimage.label(t > threshold)
    found, left = [], []
    for number in range(1, count + 1):
        seed = labels == number
        if seed.sum() < np.pi * least**2 / 2:  # a quarter of it may lie below the threshold
            left.append(LeftOut(seed, "it is too small"))
            continue
        level = LEVEL * float(np.quantile(t[seed], 0.9))
        whole, _ = ndimage.label(t > min(level, threshold))
        mask = whole == whole[tuple(np.argwhere(seed)[0])]
        reason = _doubt(mask, labels, number, blank)
        if not reason:
            one = _measure(np.where(mask, t, np.minimum(t, level)), level, pixel, mask)
            if one.radius < least * pixel:
                reason = f"it is too small: radius {one.radius:.3g} um"
            elif (spread := _spread(t, one)) > UNEVEN:
                reason = (
                    f"it overlaps with another: at one distance from the edge its thickness "
                    f"scatters by {100 * spread:.0f} %"
                )
            else:
                found.append(one)
        if reason:
            left.append(LeftOut(mask, reason))
    found.sort(key=lambda o: -o.radius)
    numbered = tuple(
        Outline(i, o.mask, o.distance, pixel, o.radius, o.inscribed, LEVEL)
        for i, o in enumerate(found, 1)
    )
    return Outlines(numbered, tuple(left), float(threshold))


def outline(mask: ArrayLike, *, pixel: float, label: int = 1) -> Outline:
    """The outline of a particle whose pixels are known: an own segmentation, or the truth.

    Parameters
    ----------
    mask : array_like of bool [ny, nx]
    pixel : float
        Side of a pixel (um).
    label : int

    Raises
    ------
    ValueError
        The mask is empty, or no map of truth values.
    """
    pixel = as_number("pixel", pixel, "um", above=0)
    inside = np.asarray(mask)
    if inside.dtype != bool or inside.ndim != 2:
        raise ValueError(
            f"mask has shape {inside.shape} and type {inside.dtype}; it must be a map of bool"
        )
    if not inside.any():
        raise ValueError("mask is empty: it holds no pixel of a particle")
    # Smoothed, or the corners of the pixels would be the nearest edge everywhere.
    one = _measure(ndimage.gaussian_filter(inside.astype(float), SMOOTH), 0.5, pixel, inside)
    number = as_whole("label", label, at_least=1)
    return Outline(number, inside, one.distance, pixel, one.radius, one.inscribed)


def as_map(name: str, given: ArrayLike) -> Array:
    values = np.asarray(given, float)
    if values.ndim != 2 or min(values.shape) < 3:
        raise ValueError(f"{name} has shape {values.shape}; it must be a map of at least 3 x 3")
    return values


def _otsu(t: Array) -> float:
    """Threshold between two classes, with the largest variance between them."""
    counts, edges = np.histogram(t, 256)
    middle = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    first = np.cumsum(counts * middle)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = below * above * (first / below - (first[-1] - first) / above) ** 2
    return float(edges[1:][int(np.nanargmax(np.where(above > 0, between, np.nan)))])


def _doubt(mask: Mask, labels: NDArray[np.integer[Any]], number: int, blank: Mask) -> str:
    """Why a particle is no single whole one; empty where it is."""
    border = np.ones_like(mask)
    border[1:-1, 1:-1] = False
    if (mask & border).any():
        return "it touches the map's border"
    near = ndimage.binary_dilation(mask, iterations=2)
    if ((labels > 0) & (labels != number) & near).any():
        return "it overlaps with another"
    if (blank & mask).any():
        return "some of its pixels have no value"
    solid = mask.sum() / _hull_area(mask)
    if solid < SOLID:
        return f"it overlaps with another: its outline is not convex ({solid:.2f} of its hull)"
    return ""


def _hull_area(mask: Mask) -> int:
    """Pixels whose middle lies in the convex hull of the middles of the mask's pixels."""
    y, x = np.nonzero(mask ^ ndimage.binary_erosion(mask))
    rows, columns = np.meshgrid(
        np.arange(y.min(), y.max() + 1), np.arange(x.min(), x.max() + 1), indexing="ij"
    )
    hull = Delaunay(np.column_stack([y, x]))
    return int((hull.find_simplex(np.column_stack([rows.ravel(), columns.ravel()])) >= 0).sum())


def _spread(t: Array, one: Outline) -> float:
    """Relative scatter of the thickness at one distance from the edge, the worst but a tenth.

    One particle on another raises the thickness in a part of it.
    """
    inner = one.mask & (one.distance > 2 * one.pixel)
    bins = (one.distance[inner] / (2 * one.pixel)).astype(int)
    values = t[inner]
    n = np.bincount(bins)
    mean = np.bincount(bins, values) / np.maximum(n, 1)
    variance = np.bincount(bins, (values - mean[bins]) ** 2) / np.maximum(n - 1, 1)
    used = n >= 8
    return float(np.quantile(np.sqrt(variance[used]) / mean[used], 0.9)) if used.any() else 0.0


def _measure(t: Array, level: float, pixel: float, mask: Mask) -> Outline:
    """Signed distance from the line where ``t`` is ``level``, found in parts of a pixel."""
    y, x = np.nonzero(mask)
    margin = 12
    top, left = max(0, y.min() - margin), max(0, x.min() - margin)
    box = (slice(top, y.max() + margin + 1), slice(left, x.max() + margin + 1))
    part = t[box]
    ny, nx = part.shape
    # Middles of the parts, in pixels of the box.
    rows = (np.arange(ny * FINE) + 0.5) / FINE - 0.5
    columns = (np.arange(nx * FINE) + 0.5) / FINE - 0.5
    grid = np.meshgrid(rows, columns, indexing="ij")
    inside = ndimage.map_coordinates(part, grid, order=1, mode="nearest") > level
    near = ndimage.distance_transform_edt(inside) - ndimage.distance_transform_edt(~inside)
    near -= np.sign(near) / 2  # to the border between parts, not to the next part's middle
    # The pixel's middle is a corner of four parts: its distance is their mean.
    half = FINE // 2
    cells = near.reshape(ny, FINE, nx, FINE)[:, half - 1 : half + 1, :, half - 1 : half + 1]
    distance = np.full(t.shape, -np.inf)
    distance[box] = cells.mean(axis=(1, 3)) * pixel / FINE
    return Outline(
        0, mask, distance, pixel,
        float(np.sqrt(inside.sum() / np.pi) / FINE * pixel),
        float(near.max() / FINE * pixel),
    )  # fmt: skip
