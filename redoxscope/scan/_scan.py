"""A scan as data: what will be measured, in which order."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, Self

from ..documents import STREAM
from ..inputs import as_name, as_whole
from . import _json
from ._parts import Exposures, Frame, Outer, Point, Role
from ._regions import MAX_RETRIES, Region, as_region

__all__ = ["MAX_PARTS", "Scan", "as_scan"]

MAX_PARTS = 1_000_000
"""Most images, points or exposures of a scan."""


@dataclass(frozen=True, repr=False)
class Scan:
    """What will be measured: images, points or exposures, in the order in which they come.

    Nothing in it depends on a device. A plan measures it, the start document carries it, and each
    event names its part (``frame`` and ``line``, or ``point``).

    Parameters
    ----------
    regions : tuple of Region
        Of the images, or of exposures. Several need names, which tell streams of images apart.
    frames : tuple of Frame
        Images.
    points : tuple of Point
        Points of a step scan.
    exposures : tuple of Exposures
        Frames of an area detector.
    edge : str, optional
        Absorption edge whose energy offset applies.
    retries : int
        How often a line, point or exposure that failed is measured again.
    outer : tuple of Outer
        Loops around the parts, outermost first.

    Raises
    ------
    ValueError
        Not exactly one of frames, points and exposures is given; a region that is in no image or
        not there; the same energy twice in one region, where no role says why; regions whose names
        are the same, or loops; values of outer loops that do not fit them.
    """

    regions: tuple[Region, ...] = ()
    frames: tuple[Frame, ...] = ()
    points: tuple[Point, ...] = ()
    exposures: tuple[Exposures, ...] = ()
    edge: str | None = None
    retries: int = 1
    outer: tuple[Outer, ...] = ()

    def __post_init__(self) -> None:
        for name, kind in (
            ("frames", Frame), ("points", Point), ("exposures", Exposures), ("outer", Outer)
        ):  # fmt: skip
            object.__setattr__(self, name, _parts(name, getattr(self, name), kind))
        given = [name for name in ("frames", "points", "exposures") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                f"a scan needs frames, points or exposures, and one kind only; this one has "
                f"{' and '.join(given) or 'none'}"
            )
        if self.edge is not None:
            as_name("scan edge", self.edge, "Mn L3")
        retries = as_whole("scan retries", self.retries, at_most=MAX_RETRIES)
        object.__setattr__(self, "retries", retries)
        object.__setattr__(self, "regions", self._named(_parts("regions", self.regions, None)))
        loops = [outer.name for outer in self.outer]
        for i, name in enumerate(loops):
            if name in loops[:i]:
                raise ValueError(f"two outer loops are called {name!r}; axes are given by name")
        for i, part in enumerate(self.parts):
            if len(part.outer) != len(self.outer):
                raise ValueError(
                    f"{given[0]}[{i}] has {len(part.outer)} values of outer loops; the scan has "
                    f"{len(self.outer)} loops"
                )
        self._check_frames()
        self._check_exposures()
        self._check_regions()

    def _named(self, regions: tuple[Any, ...]) -> tuple[Region, ...]:
        found = [as_region(region, f"regions[{i}]") for i, region in enumerate(regions)]
        several = len(found) > 1
        for i, region in enumerate(found):
            if not region.name:
                found[i] = replace(region, name=f"region_{i + 1}" if several else "region")
        names = [region.name for region in found]
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"two regions are called {name!r}; streams are told apart by name")
        return tuple(found)

    def _check_frames(self) -> None:
        seen = set()
        for i, frame in enumerate(self.frames):
            if frame.region >= len(self.regions):
                raise ValueError(
                    f"frames[{i}] is of region {frame.region}; there are {len(self.regions)}"
                )
            key = frame.energy, frame.region, frame.outer
            if frame.role is Role.DOSE_CHECK and key not in seen:
                raise ValueError(
                    f"frames[{i}]: a dose check at {frame.energy:g} eV compares with an image of "
                    f"region {self.regions[frame.region].name!r} at that energy, and there is none "
                    "before it"
                )
            if frame.role is Role.SAMPLE:
                if key in seen:
                    raise ValueError(
                        f"frames[{i}]: {frame.energy:g} eV is there twice in region "
                        f"{self.regions[frame.region].name!r}; give the second the role "
                        f"{Role.DOSE_CHECK.value!r}"
                    )
                seen.add(key)

    def _check_exposures(self) -> None:
        for i, part in enumerate(self.exposures):
            if part.region is None:
                if self.regions and part.role is Role.SAMPLE:
                    raise ValueError(f"exposures[{i}] says none of the scan's regions")
            elif part.region >= len(self.regions):
                raise ValueError(
                    f"exposures[{i}] is of region {part.region}; there are {len(self.regions)}"
                )

    def _check_regions(self) -> None:
        used = {part.region for part in self.frames} | {part.region for part in self.exposures}
        what = "frame" if self.frames else "exposure" if self.exposures else "point"
        for i, region in enumerate(self.regions):
            if i not in used:
                raise ValueError(f"region {region.name!r} is in no {what}")

    def __repr__(self) -> str:
        """In one line, since a scan may have thousands of parts; `to_json` says all."""
        low, high = min(self.all_energies), max(self.all_energies)
        said = [
            {"lines": "images", "points": "points", "exposures": "exposures"}[self.kind]
            + f": {len(self.parts)} at {len(self.all_energies)} energies, {low:g} to {high:g} eV"
        ]
        dwells = (
            [time for part in self.exposures for time in part.times]
            if self.exposures
            else [part.dwell for part in self.frames or self.points]
        )
        shortest, longest = min(dwells), max(dwells)
        said.append(f"dwell {shortest:g} s" + (f" to {longest:g} s" if longest > shortest else ""))
        if self.regions:
            said.append("regions " + ", ".join(region.name for region in self.regions))
        said += [f"loop {outer.name}" for outer in self.outer]
        roles = dict.fromkeys(str(p.role) for p in self.parts if p.role is not Role.SAMPLE)
        said += [f"with {role}" for role in roles]
        if self.edge is not None:
            said.append(f"edge {self.edge}")
        return f"<Scan of {'; '.join(said)}; live time {self.live_time:g} s>"

    @property
    def kind(self) -> Literal["lines", "points", "exposures"]:
        """What it consists of: ``lines`` of images, ``points`` or ``exposures``."""
        return "lines" if self.frames else "points" if self.points else "exposures"

    @property
    def parts(self) -> Sequence[Frame | Point | Exposures]:
        """Its frames, points or exposures."""
        if self.frames:
            return self.frames
        return self.points or self.exposures

    @property
    def energies(self) -> list[float]:
        """Energies (eV) at which the sample is measured, each once, as first visited."""
        return list(dict.fromkeys(p.energy for p in self.parts if p.role is Role.SAMPLE))

    @property
    def all_energies(self) -> list[float]:
        """Every energy (eV) that is gone to, each once, as first visited."""
        return list(dict.fromkeys(part.energy for part in self.parts))

    @property
    def passes(self) -> int:
        """How often the points are gone through; 0 without points."""
        return max((point.repeat for point in self.points), default=-1) + 1

    @property
    def lines(self) -> int:
        """Lines of all images: events of a run."""
        rows = [region.pixels[1] for region in self.regions]
        return sum(rows[frame.region] for frame in self.frames)

    @property
    def events(self) -> int:
        """Events of a whole run: lines, points, or frames of exposures."""
        if self.frames:
            return self.lines
        return len(self.points) or sum(part.frames for part in self.exposures)

    @property
    def live_time(self) -> float:
        """Time (s) in which detectors count."""
        if self.frames:
            pixels = [region.pixels[0] * region.pixels[1] for region in self.regions]
            return sum(frame.dwell * pixels[frame.region] for frame in self.frames)
        if self.points:
            return sum(point.dwell for point in self.points)
        return sum(sum(part.times) * len(part.positions) for part in self.exposures)

    def stream_of(self, region: int) -> str:
        """Stream of the lines of a region (an index); regions differ in shape."""
        return STREAM if len(self.regions) == 1 else self.regions[region].name

    def region_in(self, stream: str) -> int | None:
        """Index of the region whose lines a stream holds; None where it holds none."""
        names = [self.stream_of(i) for i in range(len(self.regions))]
        return names.index(stream) if stream in names else None

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: ``docs/reference/scan.md``."""
        return _json.as_dict(self.kind, {one.name: getattr(self, one.name) for one in fields(self)})

    def to_json(self) -> str:
        """The same as text."""
        return json.dumps(self.as_dict(), allow_nan=False)

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """A scan from its dictionary.

        Raises
        ------
        ValueError
            Another version, a key that is missing or unknown, or a value that makes no sense.
        """
        return cls(**_json.parts_of(content))

    @classmethod
    def from_json(cls, source: str | Path) -> Self:
        """A scan from JSON text, or from a file (a path, or text that ends in ``.json``).

        Raises
        ------
        ValueError
            As `from_dict`; also when there is no such file, or it holds no JSON.
        """
        return cls.from_dict(_json.loaded(source))

    @classmethod
    def from_start(cls, start: Mapping[str, Any]) -> Self:
        """The scan that a run measured, from its start document.

        Raises
        ------
        ValueError
            It carries none, or one of another version.
        """
        content = start.get("scan") if isinstance(start, Mapping) else None
        if not isinstance(content, Mapping):
            raise ValueError(
                f"the start document of run {_uid(start)} carries no scan (key 'scan')"
            )
        try:
            return cls.from_dict(content)
        except ValueError as exc:
            raise ValueError(f"the scan of run {_uid(start)}: {exc}") from exc


def _uid(start: Any) -> str:
    return repr(str(start.get("uid", ""))[:8]) if isinstance(start, Mapping) else f"{start!r:.40}"


def _parts(name: str, values: Any, kind: type | None) -> tuple[Any, ...]:
    if isinstance(values, (str, Mapping)) or not isinstance(values, Iterable):
        raise ValueError(f"{name} = {values!r:.80} must be a list")
    found = tuple(values)
    if len(found) > MAX_PARTS:
        raise ValueError(f"{name} has {len(found)} members, more than {MAX_PARTS}")
    for i, value in enumerate(found):
        if kind is not None and not isinstance(value, kind):
            raise ValueError(f"{name}[{i}] = {value!r:.80} must be a {kind.__name__}")
    return found


def as_scan(value: Any) -> Scan:
    """A scan from what a user or a queue gives: `Scan`, its dictionary, JSON text or a file.

    Raises
    ------
    ValueError
        As `Scan.from_dict` and `Scan.from_json`.
    """
    if isinstance(value, Scan):
        return value
    if isinstance(value, Mapping):
        return Scan.from_dict(value)
    if isinstance(value, (str, Path)):
        return Scan.from_json(value)
    raise ValueError(
        f"scan = {value!r:.80} must be a Scan, its dictionary, JSON text or the path of a file"
    )
