"""Finds particles on a coarse map of optical density."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from ...inputs import as_number, as_whole

__all__ = ["Particle", "absorbance", "find_particles"]

Array = NDArray[np.float64]

MIXTURES = 101
"""Mixtures of the two extreme phases over which a thickness is averaged."""


@dataclass(frozen=True)
class Particle:
    """What was found at one place.

    Attributes
    ----------
    center : (float, float)
        x, y of the middle of the box around it (µm).
    size : (float, float)
        Width, height of that box (µm).
    area : float
        µm².
    density, density_sigma : float
        Mean optical density, and its standard deviation from counting.
    significance : float
        Mean optical density over its standard deviation.
    peak : float
        Largest optical density, of pixels smoothed over their neighbours.
    whole : bool
        It does not touch the border of the map, nor pixels that were not measured.
    thickness, thickness_sigma : float or None
        Mean thickness (µm), and its standard deviation from counting and from not knowing which
        of the pure phases it is; None where the absorption is not known.
    """

    center: tuple[float, float]
    size: tuple[float, float]
    area: float
    density: float
    density_sigma: float
    significance: float
    peak: float
    whole: bool
    thickness: float | None = None
    thickness_sigma: float | None = None

    @property
    def diameter(self) -> float:
        """Of a disc of its area (µm)."""
        return 2 * math.sqrt(self.area / math.pi)


def absorbance(counts: ArrayLike) -> tuple[Array, Array]:
    """Optical density of an image, with the bare membrane in it as I0.

    Parameters
    ----------
    counts : array_like [ny, nx]
        NaN where nothing was measured.

    Returns
    -------
    density, sigma : ndarray [ny, nx]
        NaN where nothing was measured or counted; sigma is that of counting, 1/√N.

    Raises
    ------
    ValueError
        No image, or nothing was counted.

    Notes
    -----
    I0 is the median of the brighter class of Otsu's threshold: the map has to show some bare
    membrane. Its own error is that of a mean over many pixels, and left out.
    """
    image = np.asarray(counts, dtype=float)
    if image.ndim != 2:
        raise ValueError(f"counts has shape {image.shape}; an image [ny, nx] is needed")
    known = image[np.isfinite(image) & (image > 0)]
    if known.size < 4:
        raise ValueError("counts has fewer than 4 pixels with counts, so there is no I0")
    bright = known[known >= threshold_otsu(known)] if np.ptp(known) > 0 else known
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(image > 0, -np.log(image / np.median(bright)), np.nan)
        sigma = np.where(image > 0, 1 / np.sqrt(image), np.nan)
    return density, sigma


def find_particles(
    density: ArrayLike,
    sigma: ArrayLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    smallest: float = 0.3,
    gap: float = 0.0,
    least: float = 0.05,
    sure: float = 5.0,
    most: int = 1000,
    absorption: ArrayLike | None = None,
) -> list[Particle]:
    """Particles of a map, the one with most material first.

    Parameters
    ----------
    density, sigma : array_like [ny, nx]
        Optical density, or a difference of two, and its standard deviation; NaN is left out.
    x, y : array_like [nx], [ny]
        Middles of the pixels (µm), evenly spaced.
    smallest : float
        Diameter (µm) from which on something counts.
    gap : float
        What lies no farther apart than this (µm) is one: an agglomerate.
    least : float
        Optical density from which on something is material.
    sure : float
        Standard deviations from which on something counts.
    most : int
        Of how many at most is told.
    absorption : array_like [K], optional
        Of each pure phase, at the energy of the map, or the difference of two (1/µm): gives the
        thickness. Where phases differ in sign there, or are not known (NaN), it does not.

    Raises
    ------
    ValueError
        Shapes that do not fit, no numbers; names the argument.

    Notes
    -----
    Material is where the density, smoothed by a pixel, is above ``least``, above three standard
    deviations of a single pixel, and above half of the largest within what is connected: so
    outlines are those of half height, and a thin particle is found beside a thick one that does not
    touch it. With few counts thin ones are missed; noise is none.

    The thickness is the density over the absorption, any mixture between the phase that absorbs
    least and the one that absorbs most being as likely as any other: of a particle of one of these
    phases it is wrong by up to √3 of its standard deviation.
    """
    od, err = np.asarray(density, float), np.asarray(sigma, float)
    xs, ys = (np.asarray(v, float).ravel() for v in (x, y))
    if od.ndim != 2 or od.shape != err.shape or od.shape != (ys.size, xs.size):
        raise ValueError(
            f"density {od.shape}, sigma {err.shape}, y ({ys.size},) and x ({xs.size},) do not fit"
        )
    smallest = as_number("smallest", smallest, "µm", at_least=0)
    gap, sure = as_number("gap", gap, "µm", at_least=0), as_number("sure", sure, at_least=0)
    least = as_number("least", least, at_least=0)
    most = as_whole("most", most, at_least=1)
    per_um, per_um_sigma = _per_absorption(absorption)
    dx, dy = (float(abs(v[-1] - v[0])) / (v.size - 1) if v.size > 1 else 1.0 for v in (xs, ys))
    known = np.isfinite(od) & np.isfinite(err) & (err > 0)
    if not known.any():
        return []
    smooth = _smoothed(od, known)
    level = max(least, 3 * float(np.median(err[known])))
    material = known & (smooth > level)
    labels, count = ndimage.label(material, structure=np.ones((3, 3)))
    if not count:
        return []
    peaks = np.asarray(ndimage.maximum(smooth, labels, np.arange(1, count + 1)), float)
    material &= smooth > np.concatenate([[0.0], peaks / 2])[labels]
    joined = material
    if gap > 0:
        reach = ndimage.distance_transform_edt(~material, sampling=(dy, dx))
        joined = reach <= gap / 2
    labels, count = ndimage.label(joined, structure=np.ones((3, 3)))
    labels = np.where(material, labels, 0)
    edge = ndimage.binary_dilation(~known, structure=np.ones((3, 3), bool), border_value=True)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels, max_label=count), 1):
        if box is None:
            continue
        inside = labels[box] == number
        pixels = int(inside.sum())
        area = pixels * dx * dy
        mean = float(od[box][inside].mean())
        spread = float(np.sqrt((err[box][inside] ** 2).sum()) / pixels)
        if 2 * math.sqrt(area / math.pi) < smallest or mean < sure * spread:
            continue
        rows, columns = box
        thick = thick_sigma = None
        if per_um is not None and per_um_sigma is not None:
            thick = mean * per_um
            thick_sigma = math.hypot(spread * per_um, mean * per_um_sigma)
        found.append(
            Particle(
                center=(_middle(xs[columns]), _middle(ys[rows])),
                size=(float(columns.stop - columns.start) * dx, float(rows.stop - rows.start) * dy),
                area=area,
                density=mean,
                density_sigma=spread,
                significance=mean / spread,
                peak=float(smooth[box][inside].max()),
                whole=not bool((edge[box] & inside).any()),
                thickness=thick,
                thickness_sigma=thick_sigma,
            )
        )
    found.sort(key=lambda one: one.area * one.density, reverse=True)
    return found[:most]


def _per_absorption(absorption: ArrayLike | None) -> tuple[float | None, float | None]:
    """Thickness of an optical density of 1, and its standard deviation (µm)."""
    if absorption is None:
        return None, None
    phases = np.asarray(absorption, float).ravel()
    if not phases.size or not np.isfinite(phases).all() or phases.min() <= 0:
        return None, None
    mixed = 1 / np.linspace(phases.min(), phases.max(), MIXTURES)
    return float(mixed.mean()), float(mixed.std())


def _smoothed(od: Array, known: NDArray[np.bool_]) -> Array:
    """Mean over neighbours of a pixel's width; what is not known counts for nothing."""
    weight = ndimage.gaussian_filter(known.astype(float), 1.0, mode="constant")
    value = ndimage.gaussian_filter(np.where(known, od, 0.0), 1.0, mode="constant")
    return np.asarray(np.divide(value, weight, out=np.zeros_like(value), where=known))


def _middle(values: Array) -> float:
    return float((values[0] + values[-1]) / 2)
