"""Scans of a microscope that are no stacks of one image: lines, points, focus, steps, tiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from ..inputs import as_number, as_numbers, as_pair, as_whole
from ._make import check_once, stack_scan
from ._parts import Frame, Outer, Point
from ._regions import Region, as_region
from ._scan import MAX_PARTS, Scan

__all__ = [
    "ZONE_PLATE",
    "as_loops",
    "centres",
    "focus_lines_scan",
    "joined",
    "line_spectrum_scan",
    "point_spectrum_scan",
    "steps_scan",
    "tiled_scan",
    "tiles_of",
]

ZONE_PLATE = Outer("zone_plate_z", "um")
"""The loop of a focus scan: where the zone plate stands, 0 in the plane of the aperture."""

UNITS = {"temperature": "degC", "polarisation": "deg", "polarization": "deg"}
"""Unit of a loop whose name says what it is."""

Loops = Sequence[tuple[Outer, Sequence[float]]]


def as_loops(values: Any) -> Loops:
    """Loops around a scan from what a user gives: values by the name of what is set.

    Parameters
    ----------
    values : mapping of str to sequence of float, or None
        Outermost first: ``{"temperature": [25, 200], "polarisation": [0, 90]}``; degC and deg,
        any other in the unit of what is set.

    Raises
    ------
    ValueError
        No mapping, no values, or one that is no number; the zone plate.
    """
    if values is None:
        return ()
    if not isinstance(values, Mapping):
        raise ValueError(f"outer = {values!r:.80} must be a mapping, as {{'temperature': [25]}}")
    found = []
    for name, given in values.items():
        outer = Outer(name, UNITS.get(name, ""))
        if outer.name == ZONE_PLATE.name:
            raise ValueError(
                f"outer {outer.name}: the zone plate is no loop around a scan; focus_scan moves it"
            )
        listed = as_numbers(f"outer {outer.name}", given, outer.unit or "units of the axis")
        if not listed:
            raise ValueError(f"outer {outer.name} has no values")
        if len(set(listed)) < len(listed):
            raise ValueError(f"outer {outer.name} = {listed} has a value twice")
        found.append((outer, listed))
    return found


def line_spectrum_scan(
    *,
    energies: Sequence[float] | None = None,
    zones: Sequence[Any] | None = None,
    center: Sequence[float] = (0.0, 0.0),
    length: float = 5.0,
    pixels: int = 100,
    dwell: float = 0.001,
    edge: str | None = None,
    retries: int = 1,
    outer: Loops = (),
) -> Scan:
    """One line along x at each of several energies.

    Parameters
    ----------
    energies, zones, dwell, edge, retries, outer
        As of `stack_scan`.
    center : (x, y)
        Middle of the line (µm).
    length : float
        From the outer edge of its first to that of its last pixel (µm).
    pixels : int

    Returns
    -------
    Scan
        Of lines: each image is one.

    Raises
    ------
    ValueError
        A value that makes no sense; names it.
    """
    region = _line(center, length, pixels)
    return stack_scan(
        energies=energies, zones=zones, regions=[region], dwell=dwell, edge=edge, retries=retries,
        outer=outer,
    )  # fmt: skip


def _line(center: Any, length: Any, pixels: Any) -> Region:
    width = as_number("length", length, "µm", above=0)
    count = as_whole("pixels", pixels, at_least=1)
    return Region(as_pair("center", center, "µm"), (width, width / count), (count, 1), "line")


def point_spectrum_scan(
    *,
    positions: Sequence[Sequence[float]],
    energies: Sequence[float] | None = None,
    zones: Sequence[Any] | None = None,
    spot: float = 0.05,
    dwell: float = 0.01,
    edge: str | None = None,
    retries: int = 1,
    outer: Loops = (),
) -> Scan:
    """A few places of a sample at each of several energies.

    Parameters
    ----------
    positions : sequence of (x, y)
        Where (µm); the streams are called ``point_1``, ``point_2``, …
    spot : float
        Width that a place stands for (µm); nothing moves within it.
    energies, zones, dwell, edge, retries, outer
        As of `stack_scan`.

    Returns
    -------
    Scan
        Of lines: each place is an image of one pixel.

    Raises
    ------
    ValueError
        A value that makes no sense; names it.
    """
    width = as_number("spot", spot, "µm", above=0)
    if isinstance(positions, (str, Mapping)) or not hasattr(positions, "__len__"):
        raise ValueError(f"positions = {positions!r:.80} must be a list of (x, y) in µm")
    places = [
        Region(as_pair(f"positions[{i}]", place, "µm"), (width, width), (1, 1), f"point_{i + 1}")
        for i, place in enumerate(positions)
    ]
    if not places:
        raise ValueError("positions is empty; at least one (x, y) in µm is needed")
    return stack_scan(
        energies=energies, zones=zones, regions=places, dwell=dwell, edge=edge, retries=retries,
        outer=outer,
    )  # fmt: skip


def focus_lines_scan(
    *,
    positions: Sequence[tuple[float, Sequence[float]]],
    center: Sequence[float] = (0.0, 0.0),
    length: float = 5.0,
    pixels: int = 100,
    dwell: float = 0.001,
    edge: str | None = None,
    retries: int = 1,
    outer: Loops = (),
) -> Scan:
    """The same line with the zone plate at several places along the beam, at each energy.

    Parameters
    ----------
    positions : sequence of (float, sequence of float)
        For each photon energy (eV), where the zone plate goes (µm, 0 in the plane of the
        aperture), in that order.
    center, length, pixels
        As of `line_spectrum_scan`.
    dwell, edge, retries, outer
        As of `stack_scan`.

    Returns
    -------
    Scan
        Of lines: each image is one, in the loop `ZONE_PLATE`, the innermost.

    Raises
    ------
    ValueError
        A value that makes no sense; names it.
    """
    time = as_number("dwell", dwell, "s", above=0)
    places = [
        (energy, as_numbers(f"zone plate at {energy:g} eV", listed, "µm"))
        for energy, listed in positions
    ]
    check_once([energy for energy, _ in places])
    loops = [list(values) for _, values in outer]
    frames = [
        Frame(energy, time, 0, outer=(*around, z))
        for around in product(*loops)
        for energy, listed in places
        for z in listed
    ]
    return Scan(
        regions=(_line(center, length, pixels),),
        frames=tuple(frames),
        edge=edge,
        retries=retries,
        outer=(*(one for one, _ in outer), ZONE_PLATE),
    )


def steps_scan(
    *,
    energy: float,
    dwell: float,
    slow: tuple[Outer, Sequence[float]],
    fast: tuple[Outer, Sequence[float]],
    edge: str | None = None,
    retries: int = 1,
    outer: Loops = (),
) -> Scan:
    """Points on a grid of two axes that stand still while counters count.

    Parameters
    ----------
    energy : float
        True photon energy (eV).
    dwell : float
        Time of a point (s).
    slow, fast : (Outer, sequence of float)
        The axes and their values.
    edge, retries, outer
        As of `stack_scan`.

    Returns
    -------
    Scan
        Of points; the two axes are its innermost loops.

    Raises
    ------
    ValueError
        A value that makes no sense, or too many points; names it.
    """
    listed = [(one, as_numbers(one.name, values, one.unit)) for one, values in (*outer, slow, fast)]
    count = math.prod(len(values) for _, values in listed)
    if not 1 <= count <= MAX_PARTS:
        told = " x ".join(f"{len(values)} of {one.name}" for one, values in listed)
        raise ValueError(f"{told} make {count} points; 1 to {MAX_PARTS} can be measured")
    points = tuple(
        Point(energy, dwell, outer=at) for at in product(*(values for _, values in listed))
    )
    return Scan(points=points, edge=edge, retries=retries, outer=tuple(one for one, _ in listed))


def centres(center: float, size: float, count: int) -> list[float]:
    """Centres of so many equal parts of a width around a centre."""
    half = size * (count - 1) / (2 * count)
    return [float(value) for value in np.linspace(center - half, center + half, count)]


def tiles_of(region: Any, largest: Sequence[float]) -> list[Region]:
    """A region cut into tiles on its own grid of pixels, row by row.

    Parameters
    ----------
    region : Region or mapping
        What is imaged, as a whole.
    largest : (float, float)
        Width and height (µm) that a tile may have.

    Returns
    -------
    list of Region
        ``tile_<row>_<column>``, from 0; as many pixels in all as the region has.

    Raises
    ------
    ValueError
        A pixel is larger than a tile may be.
    """
    whole = as_region(region)
    limits = [
        as_number(f"tile {name}", side, "µm", above=0)
        for name, side in zip(
            ("width", "height"), as_pair("tile", largest, "µm", single=True), strict=True
        )
    ]
    cuts: list[list[tuple[float, float, int]]] = []
    for axis, name in enumerate(("width", "height")):
        count, pitch = whole.pixels[axis], whole.size[axis] / whole.pixels[axis]
        most = int(limits[axis] / pitch + 1e-9)
        if most < 1:
            raise ValueError(
                f"a pixel of {pitch:g} µm is larger than {limits[axis]:g} µm, the largest {name} "
                "of a tile"
            )
        parts = math.ceil(count / most)
        edges = [count * i // parts for i in range(parts + 1)]
        first = whole.center[axis] - whole.size[axis] / 2
        cuts.append(
            [
                (first + pitch * (a + b) / 2, pitch * (b - a), b - a)
                for a, b in zip(edges, edges[1:], strict=False)
            ]
        )
    return [
        Region((x, y), (width, height), (nx, ny), f"tile_{row}_{column}")
        for row, (y, height, ny) in enumerate(cuts[1])
        for column, (x, width, nx) in enumerate(cuts[0])
    ]


def joined(regions: Sequence[Region]) -> tuple[list[float], list[float], list[tuple[int, int]]]:
    """How tiles make one image: x, y of its pixels (µm), and column and row where each begins."""
    pitch = [regions[0].size[i] / regions[0].pixels[i] for i in (0, 1)]
    corners = [[one.center[i] - one.size[i] / 2 for i in (0, 1)] for one in regions]
    origin = [min(corner[i] for corner in corners) for i in (0, 1)]
    begins = [
        (round((x - origin[0]) / pitch[0]), round((y - origin[1]) / pitch[1])) for x, y in corners
    ]
    axes = []
    for i in (0, 1):
        count = max(at[i] + one.pixels[i] for at, one in zip(begins, regions, strict=True))
        axes.append([origin[i] + pitch[i] * (k + 0.5) for k in range(count)])
    return axes[0], axes[1], begins


def tiled_scan(
    *,
    energies: Sequence[float],
    region: Any,
    tile: Sequence[float],
    dwell: float = 0.001,
    edge: str | None = None,
    retries: int = 1,
    outer: Loops = (),
) -> Scan:
    """An image larger than the fine stage, in tiles, at one energy or several.

    Parameters
    ----------
    energies : sequence of float
        True photon energies (eV); all tiles are imaged at one before the next.
    region : Region or mapping
    tile : (float, float)
        Width and height (µm) that a tile may have.
    dwell, edge, retries, outer
        As of `stack_scan`.

    Raises
    ------
    ValueError
        As `stack_scan` and `tiles_of`.
    """
    return stack_scan(
        energies=energies, regions=tiles_of(region, tile), dwell=dwell, edge=edge,
        retries=retries, outer=outer,
    )  # fmt: skip
