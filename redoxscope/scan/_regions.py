"""Where an image is taken: regions of the sample, and the rasters that a scanner flies."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from ..inputs import as_number, as_pair, as_whole, check_keys

__all__ = [
    "MAX_PIXELS",
    "MAX_RETRIES",
    "Raster",
    "Region",
    "as_region",
    "as_regions",
    "lines_of",
]

MAX_PIXELS = 65_536
"""Most columns, and most lines, of an image. The scanner's own limit is lower for columns."""
MAX_RETRIES = 100
"""Most tries of a line after the first."""

TAKEN_NAMES = ("primary", "baseline", "interruptions")
"""Streams that a run may have besides those of its regions; bluesky writes the last by itself."""

RESULTS = re.compile(
    r"(dose|oxidation_map|scan_image|agglomerates|profiles|ptychography|rixs_map|xas)(_v\d+)?"
)
"""What analyses are called: their results lie beside the streams in a catalog."""


@dataclass(frozen=True)
class Region:
    """Rectangle on the sample, in pixels whose centres the scan visits.

    Parameters
    ----------
    center : tuple of float
        x, y of the middle (µm), in sample coordinates (coarse plus fine stage).
    size : tuple of float
        Width, height (µm) from the outer edge of the first to that of the last pixel.
    pixels : tuple of int
        Columns nx, rows ny.
    name : str
        What it is called, in streams and pictures; letters, digits, ``_`` and ``-``. Needed
        where a scan has several.

    Raises
    ------
    ValueError
        A length that is not a positive finite number, a pixel count that is not a positive whole
        number, or a name that cannot be one.
    """

    center: tuple[float, float]
    size: tuple[float, float]
    pixels: tuple[int, int]
    name: str = ""

    def __post_init__(self) -> None:
        center = [
            as_number(f"region center {axis}", value, "µm")
            for axis, value in zip("xy", as_pair("region center", self.center, "µm"), strict=True)
        ]
        sides = zip(
            ("width", "height"), as_pair("region size", self.size, "µm", single=True), strict=True
        )
        size = [as_number(f"region {side}", value, "µm", above=0) for side, value in sides]
        counts = zip(("nx", "ny"), as_pair("region pixels", self.pixels, single=True), strict=True)
        pixels = [
            as_whole(f"region pixels {axis}", count, at_least=1, at_most=MAX_PIXELS)
            for axis, count in counts
        ]
        for name, values in (("center", center), ("size", size), ("pixels", pixels)):
            object.__setattr__(self, name, tuple(values))
        object.__setattr__(self, "name", _region_name(self.name))

    @property
    def extents(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Centres of the first and last pixel, ((x0, x1), (y0, y1)) in µm."""
        spans = []
        for center, size, count in zip(self.center, self.size, self.pixels, strict=True):
            half = size * (count - 1) / (2 * count)
            spans.append((center - half, center + half))
        return spans[0], spans[1]

    @property
    def edges(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Outer edges of the first and last pixel, ((x0, x1), (y0, y1)) in µm."""
        (x, y), (width, height) = self.center, self.size
        return (x - width / 2, x + width / 2), (y - height / 2, y + height / 2)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "name": self.name,
            "center": list(self.center),
            "size": list(self.size),
            "pixels": list(self.pixels),
        }


@dataclass(frozen=True)
class Raster:
    """What a scanner flies: lines along x, in the coordinates of its own (fine) stage.

    Parameters
    ----------
    x_start, x_stop, y_start, y_stop : float
        Centres of the first and last pixel (µm).
    nx, ny : int
        Pixels of a line and lines.
    dwell : float
        Time per pixel (s).
    retries : int
        How often a line that failed is flown again.

    Raises
    ------
    ValueError
        As `Region`; a dwell that is not positive.
    """

    x_start: float
    x_stop: float
    nx: int
    y_start: float
    y_stop: float
    ny: int
    dwell: float
    retries: int = 1

    def __post_init__(self) -> None:
        checked: dict[str, float] = {}
        for name in ("x_start", "x_stop", "y_start", "y_stop"):
            checked[name] = as_number(f"raster {name}", getattr(self, name), "µm")
        for name in ("nx", "ny"):
            value = getattr(self, name)
            checked[name] = as_whole(f"raster {name}", value, at_least=1, at_most=MAX_PIXELS)
        checked["dwell"] = as_number("raster dwell", self.dwell, "s", above=0)
        checked["retries"] = as_whole("raster retries", self.retries, at_most=MAX_RETRIES)
        for name, number in checked.items():
            object.__setattr__(self, name, number)

    @property
    def line_time(self) -> float:
        """Live time of a line (s)."""
        return self.nx * self.dwell


def _region_name(name: Any) -> str:
    if not isinstance(name, str) or (name and not re.fullmatch(r"[\w-]{1,40}", name)):
        raise ValueError(f"region name = {name!r:.60} must be at most 40 letters, digits, _ and -")
    if name in TAKEN_NAMES:
        raise ValueError(f"region name = {name!r} is that of another stream of a run; take another")
    if RESULTS.fullmatch(name):
        raise ValueError(f"region name = {name!r} is that of results of a run; take another")
    return name


def as_region(value: Any, name: str = "region") -> Region:
    """A region from what a user or a file gives: a `Region`, or a mapping of its fields.

    Raises
    ------
    ValueError
        It is neither, lacks a field, has an unknown one, or one that makes no sense; names it.
    """
    if isinstance(value, Region):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(
            f"{name} = {value!r:.80} must be a Region, or as "
            "{'center': [0, 0], 'size': [5, 5], 'pixels': [100, 100], 'name': 'A'}"
        )
    known = [field.name for field in fields(Region)]
    check_keys(name, value, known, needed=3)
    try:
        return Region(**value)
    except ValueError as exc:
        raise ValueError(f"{name}: {exc}") from exc


def as_regions(values: Any, name: str = "regions") -> list[Region]:
    """Regions from a list of what `as_region` takes.

    Raises
    ------
    ValueError
        No list, an empty one, or a member that is none; names it.
    """
    if isinstance(values, (str, Mapping, Region)) or not isinstance(values, Iterable):
        raise ValueError(f"{name} = {values!r:.80} must be a list of regions")
    found = [as_region(value, f"{name}[{i}]") for i, value in enumerate(values)]
    if not found:
        raise ValueError(f"{name} is empty; at least one region is needed")
    return found


def lines_of(region: Region, lines: range) -> Region:
    """Some lines of a region, as one of their own; itself where they are all of them.

    Raises
    ------
    ValueError
        It has no such lines.
    """
    (width, height), (nx, ny) = region.size, region.pixels
    first = as_whole("first line", lines.start, at_most=ny - 1)
    stop = as_whole("end of lines", lines.stop, at_least=first + 1, at_most=ny)
    if stop - first == ny:
        return region
    x, y = region.center
    middle = y + height * ((first + stop) / 2 / ny - 0.5)
    size = (width, height * (stop - first) / ny)
    return replace(region, center=(x, middle), size=size, pixels=(nx, stop - first))
