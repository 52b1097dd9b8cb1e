"""Scans of overlapping exposures, for ptychography."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..inputs import as_number, as_numbers, as_whole, suggestion
from ._parts import MAX_POSITIONS, Exposures, Role, as_times
from ._regions import Region, as_region
from ._scan import Scan

__all__ = ["MAX_DARK_FRAMES", "TRAJECTORIES", "ptychography_scan"]

TRAJECTORIES = ("jittered-grid", "fermat", "grid")
"""How places are spread over a region. An even grid repeats itself in the reconstruction as a
pattern of its own period; the others do not."""

MAX_DARK_FRAMES = 10_000
"""Most frames of each exposure time behind the closed shutter."""

GOLDEN = math.pi * (3 - math.sqrt(5))
"""Angle between neighbours of a Fermat spiral (rad)."""


def ptychography_scan(
    regions: Any,
    *,
    energies: Any,
    step: float,
    exposures: Any,
    trajectory: str = "jittered-grid",
    jitter: float = 0.25,
    seed: int = 0,
    dark_frames: int = 5,
    edge: str | None = None,
    retries: int = 1,
) -> Scan:
    """Dark frames of each exposure time, then the same places at one energy after the other.

    Parameters
    ----------
    regions : Region, mapping, or a list of them
        Where: centre and size (µm). The pixels of an image's region play no part: the step says
        how many places there are.
    energies : sequence of float or float
        True photon energies (eV), in the order in which they are gone to.
    step : float
        Distance of neighbouring places (µm); where it does not divide a region, they are nearer.
    exposures : sequence of float or float
        Times of the frames at each place (s), the short one first.
    trajectory : {"jittered-grid", "fermat", "grid"}
        Grids go to and fro along x, and so do the places of the spiral, which has as many in an
        area as a grid.
    jitter : float
        How far a place of the jittered grid is off its grid at most (of the step, 0 to 0.5).
    seed : int
        Of the jitter. The places are written out in the scan, and are the same at each energy.
    dark_frames : int
        Frames of each exposure time behind the closed shutter, first of all; 10 000 at most.
    edge : str, optional
        Absorption edge whose energy offset applies.
    retries : int
        How often frames that failed are taken again.

    Returns
    -------
    Scan
        Of exposures, with the regions in which they lie.

    Raises
    ------
    ValueError
        A value that makes no sense, names it; too many places.

    Examples
    --------
    >>> scan = ptychography_scan(
    ...     {"center": (0, 0), "size": 2}, energies=[640], step=0.04, exposures=(0.01, 0.1)
    ... )
    >>> scan.exposures[2].frames
    5000
    """
    found = _regions(regions)
    listed = as_numbers(
        "energies", energies if _several(energies) else [energies], "eV", what="energies", above=0
    )
    if not listed:
        raise ValueError("energies is empty; at least one energy in eV is needed")
    for i, energy in enumerate(listed):
        if energy in listed[:i]:
            raise ValueError(f"energies[{i}] = {energy:g} eV is there twice")
    width = as_number("step", step, "µm", above=0)
    times = as_times("exposures", exposures)
    if trajectory not in TRAJECTORIES:
        raise ValueError(
            f"trajectory = {trajectory!r:.40} is none of {', '.join(TRAJECTORIES)}"
            f"{suggestion(trajectory, TRAJECTORIES)}"
        )
    off = as_number("jitter", jitter, at_least=0, at_most=0.5)
    rng = np.random.default_rng(as_whole("seed", seed))
    n_dark = as_whole("dark_frames", dark_frames, at_most=MAX_DARK_FRAMES)
    placed, places = [], []
    for region in found:
        sized = _sized(region, width)
        if trajectory == "fermat":
            xy = _spiral(sized)
        else:
            xy = _grid(sized)
            if trajectory == "jittered-grid":
                apart = np.array(sized.size) / np.array(sized.pixels)
                xy += rng.uniform(-off, off, xy.shape) * apart
        placed.append(sized)
        written = [(round(float(x), 6), round(float(y), 6)) for x, y in xy]
        places.append(Exposures(listed[0], times, tuple(written)).positions)
    here = (found[0].center,)
    parts = [Exposures(listed[0], time, here * n_dark, Role.DARK) for time in times if n_dark]
    dwell = times[0] if len(times) == 1 else times
    parts += [
        Exposures(energy, dwell, xy, region=i) for energy in listed for i, xy in enumerate(places)
    ]
    return Scan(regions=tuple(placed), exposures=tuple(parts), edge=edge, retries=retries)


def _several(value: Any) -> bool:
    return isinstance(value, Iterable) and getattr(value, "ndim", 1) != 0


def _regions(value: Any) -> list[Region]:
    if isinstance(value, (Region, Mapping)):
        return [_region(value, "region")]
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"region = {value!r:.80} must be a Region, or a list of them")
    found = [_region(one, f"regions[{i}]") for i, one in enumerate(value)]
    if not found:
        raise ValueError("regions is empty; at least one region is needed")
    return found


def _region(value: Any, name: str) -> Region:
    if isinstance(value, Mapping):
        value = {"pixels": 1, **value}
    return as_region(value, name)


def _sized(region: Region, step: float) -> Region:
    """The region with the places of a grid for pixels."""
    count = [max(1, math.ceil(side / step - 1e-6)) for side in region.size]
    if count[0] * count[1] > MAX_POSITIONS:
        raise ValueError(
            f"step = {step:g} µm makes {count[0]} x {count[1]} places of region {region.size} µm, "
            f"more than {MAX_POSITIONS}"
        )
    return Region(region.center, region.size, (count[0], count[1]), region.name)


def _grid(region: Region) -> np.ndarray:
    """Places (µm) [n, 2], to and fro along x."""
    (x0, x1), (y0, y1) = region.extents
    nx, ny = region.pixels
    x, y = np.meshgrid(np.linspace(x0, x1, nx), np.linspace(y0, y1, ny))
    x[1::2] = x[1::2, ::-1]
    return np.stack([x.ravel(), y.ravel()], axis=1)


def _spiral(region: Region) -> np.ndarray:
    """Places (µm) [n, 2] of a Fermat spiral from the middle, cut by the region.

    Place k lies at the radius ``c √(k + ½)`` and the angle ``k`` times the golden one, so that
    each takes the area ``π c²``: that of a place of the grid (Huang et al., Opt. Express 22, 12634
    (2014)). Places that follow each other there are a whole diameter apart, so they are gone
    through in bands of one step, to and fro.
    """
    (width, height), (nx, ny) = region.size, region.pixels
    c = math.sqrt(width * height / (nx * ny * math.pi))
    count = math.ceil((width**2 + height**2) / (4 * c**2)) + 1
    if count > 4 * MAX_POSITIONS:
        raise ValueError(
            f"trajectory = 'fermat': a spiral around a region of {width:g} x {height:g} µm has "
            f"{count} places, most of them outside; a grid suits a region that is so narrow"
        )
    k = np.arange(count)
    radius, angle = c * np.sqrt(k + 0.5), k * GOLDEN
    xy = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    inside = (np.abs(xy) <= np.array([width, height]) / 2).all(axis=1)
    xy = xy[inside]
    band = np.floor((xy[:, 1] / height + 0.5) * ny).clip(0, ny - 1)
    along = np.where(band % 2 == 0, xy[:, 0], -xy[:, 0])
    return xy[np.lexsort((along, band))] + region.center
