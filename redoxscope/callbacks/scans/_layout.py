"""Where each line or point of a scan belongs in its pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...documents import FOCUS_SCAN, LINE_SPECTRUM, POINT_SPECTRUM, STEPPED_SCANS, TILED_IMAGE
from ...scan import Frame, Region, Scan, joined

__all__ = ["Picture", "Place", "pictures_of"]

Axis = tuple[str, str, list[float]]


@dataclass
class Picture:
    """Counts against two axes, (name, unit, values) each."""

    slow: Axis
    fast: Axis
    energy: float = math.nan
    counts: NDArray[np.float64] = field(init=False)
    i0: NDArray[np.float64] = field(init=False)

    def fill(self) -> None:
        """Make the arrays, when the axes are complete."""
        shape = len(self.slow[2]), len(self.fast[2])
        self.counts, self.i0 = np.full(shape, np.nan), np.full(shape, np.nan)


@dataclass(frozen=True)
class Place:
    """Row and column of the first pixel of a frame, or of a point."""

    picture: str
    row: int
    column: int


def pictures_of(plan_name: str, scan: Scan) -> tuple[dict[str, Picture], list[Place]]:
    """Pictures by name, and the place of each frame or point of the scan.

    Raises
    ------
    ValueError
        The scan is none of those that the plan makes.
    """
    pictures: dict[str, Picture] = {}
    if (plan_name in STEPPED_SCANS) is (scan.kind != "points"):
        raise ValueError(f"a {plan_name} has no scan of {scan.kind}")
    makers: dict[str, Any] = {
        FOCUS_SCAN: _focus,
        LINE_SPECTRUM: _line,
        POINT_SPECTRUM: _point,
        TILED_IMAGE: _tiles,
    }
    places = makers.get(plan_name, _steps)(scan, pictures)
    for picture in pictures.values():
        picture.fill()
    return pictures, places


def _named(scan: Scan, around: tuple[float, ...], energy: float | None = None) -> str:
    words = [f"{one.name} {value:g}" for one, value in zip(scan.outer, around, strict=False)]
    if energy is not None and len(scan.all_energies) > 1:
        words.append(f"{energy:g} eV")
    return ", ".join(words)


def _centres(region: Region) -> list[float]:
    (x0, x1), _ = region.extents
    return [float(x) for x in np.linspace(x0, x1, region.pixels[0])]


def _rows(
    scan: Scan, pictures: dict[str, Picture], name: str, frame: Frame, slow: tuple[str, str, float]
) -> Place:
    """A frame that is the next row of its picture."""
    if name not in pictures:
        pictures[name] = Picture(
            (slow[0], slow[1], []), ("sample_x", "um", _centres(scan.regions[0]))
        )
    picture = pictures[name]
    picture.slow[2].append(slow[2])
    return Place(name, len(picture.slow[2]) - 1, 0)


def _focus(scan: Scan, pictures: dict[str, Picture]) -> list[Place]:
    places = []
    for frame in scan.frames:
        name = _named(scan, frame.outer[:-1], frame.energy)
        slow = scan.outer[-1].name, scan.outer[-1].unit, frame.outer[-1]
        places.append(_rows(scan, pictures, name, frame, slow))
        pictures[name].energy = frame.energy
    return places


def _line(scan: Scan, pictures: dict[str, Picture]) -> list[Place]:
    return [
        _rows(scan, pictures, _named(scan, f.outer), f, ("energy", "eV", f.energy))
        for f in scan.frames
    ]


def _point(scan: Scan, pictures: dict[str, Picture]) -> list[Place]:
    energies = scan.energies
    column = {energy: i for i, energy in enumerate(energies)}
    numbers = [float(i + 1) for i in range(len(scan.regions))]
    places = []
    for frame in scan.frames:
        name = _named(scan, frame.outer)
        if name not in pictures:
            pictures[name] = Picture(("place", "", numbers), ("energy", "eV", list(energies)))
        places.append(Place(name, frame.region, column[frame.energy]))
    return places


def _tiles(scan: Scan, pictures: dict[str, Picture]) -> list[Place]:
    x, y, first = joined(scan.regions)
    places = []
    for frame in scan.frames:
        name = _named(scan, frame.outer, frame.energy)
        if name not in pictures:
            pictures[name] = Picture(("sample_y", "um", y), ("sample_x", "um", x), frame.energy)
        column, row = first[frame.region]
        places.append(Place(name, row, column))
    return places


def _steps(scan: Scan, pictures: dict[str, Picture]) -> list[Place]:
    axes = [list(dict.fromkeys(point.outer[i] for point in scan.points)) for i in (-2, -1)]
    index = [{value: k for k, value in enumerate(axis)} for axis in axes]
    places = []
    for point in scan.points:
        name = _named(scan, point.outer[:-2])
        if name not in pictures:
            slow, fast = (
                (one.name, one.unit, axis) for one, axis in zip(scan.outer[-2:], axes, strict=True)
            )
            pictures[name] = Picture(slow, fast, point.energy)
        places.append(Place(name, index[0][point.outer[-2]], index[1][point.outer[-1]]))
    return places
