"""Which arrays of an NXstxm file a scan becomes, and where each of its lines and points goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from redoxscope.callbacks.oxidation import Layout
from redoxscope.formats import NxstxmAxis, NxstxmEntry
from redoxscope.scan import Role, Scan

__all__ = ["POINT_SCANS", "Target", "entries_of_lines", "entries_of_points", "measured_positions"]

FOCUS = "zone_plate_z"
"""Outer loop of a focus scan."""
POINT_SCANS = {
    "osa_image": "osa image",
    "osa_focus": "osa focus",
    "detector_image": "detector image",
    "coarse_image": "sample image",  # by the sample's other stage
}
"""What step scans of two axes are in NXstxm, by their plan."""
CALLED = {FOCUS: "zoneplate_z", "coarse_x": "sample_x", "coarse_y": "sample_y"}
"""How NXstxm calls axes, where it differs."""
UNKNOWN = np.array([np.nan])


@dataclass(frozen=True)
class Target:
    """Where a frame or a point goes.

    Attributes
    ----------
    entry : int
    index : tuple of int
        In the data: all of a point, what comes before the line of a frame.
    number : int
        How many frames, or points, of the entry came before it.
    rows : int
        Lines of a frame that has an axis for them; 0: it is one line of the entry, or a point.
    count_time : float
        s.
    """

    entry: int
    index: tuple[int, ...]
    number: int
    rows: int
    count_time: float


def entries_of_lines(
    layout: Layout, detectors: Sequence[str], monitor: str
) -> tuple[list[NxstxmEntry], dict[int, Target]]:
    """Entries of a scan of images, and the target of each frame.

    Images of one region, role and outer loop make an entry each, their energies rising. A focus
    scan has an entry for each energy, its zone plate's positions rising.
    """
    scan = layout.scan
    focus = [loop.name for loop in scan.outer].index(FOCUS) if _has(scan, FOCUS) else None
    groups: dict[tuple[Any, ...], list[int]] = {}
    seen: Counter[tuple[Any, ...]] = Counter()
    for i, frame in enumerate(scan.frames):
        outer = tuple(v for k, v in enumerate(frame.outer) if k != focus)
        step = frame.energy if focus is None else frame.outer[focus]
        key = (frame.region, frame.role, outer, None if focus is None else frame.energy)
        seen[(key, step)] += 1  # a dose check may come more than once
        groups.setdefault((*key, seen[(key, step)]), []).append(i)
    entries: list[NxstxmEntry] = []
    targets: dict[int, Target] = {}
    for (region, role, outer, energy, again), numbers in groups.items():
        frames = [scan.frames[i] for i in numbers]
        along = np.array([f.energy if focus is None else f.outer[focus] for f in frames])
        order = np.argsort(along)
        dwell = np.array([f.dwell for f in frames])[order]
        x, y = layout.axes[region]
        words = [scan.regions[region].name]
        words += [
            f"{loop.name} {value:g} {loop.unit}".strip()
            for loop, value in zip((o for o in scan.outer if o.name != FOCUS), outer, strict=True)
        ]
        words += [] if energy is None else [f"{energy:g} eV"]
        words += [] if role is Role.SAMPLE else [role.value.replace("_", " ")]
        words += [f"no. {again}"] if again > 1 else []
        entry, rows = _of_images(
            ", ".join(words), along[order], energy, x, y, dwell, tuple(detectors), monitor
        )
        place = np.argsort(order)
        single = entry.scan_type == "sample image"
        for number, i in enumerate(numbers):
            index = () if single else (int(place[number]),)
            if entry.scan_type == "sample point spectrum":
                index = (*index, 0)
            targets[i] = Target(len(entries), index, number, rows, scan.frames[i].dwell)
        entries.append(entry)
    return entries, targets


def _of_images(
    title: str,
    along: NDArray[np.float64],
    energy: float | None,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    dwell: NDArray[np.float64],
    detectors: tuple[str, ...],
    monitor: str,
) -> tuple[NxstxmEntry, int]:
    """An entry of images, and how many lines one has as an axis of the data."""
    line = NxstxmAxis("line_position", x - x[0])
    flat = ((NxstxmAxis("sample_x", x), 1), (NxstxmAxis("sample_y", np.full(len(x), y[0])), 1))
    if energy is not None:  # of focus
        if len(y) > 1:
            raise ValueError(f"{title}: a focus scan of images; NXstxm has those of a line")
        return NxstxmEntry(
            title, "sample focus", (NxstxmAxis("zoneplate_z", along), line), detectors, dwell,
            monitor, (*flat, (NxstxmAxis("energy", np.array([energy]), "eV"), None)),
            ("sample_x", "sample_y", "zoneplate_z"),
        ), 0  # fmt: skip
    energies = NxstxmAxis("energy", along, "eV")
    image = (NxstxmAxis("sample_y", y), NxstxmAxis("sample_x", x))
    if len(x) == len(y) == 1:  # as a stack of single pixels: Mantis reads no other
        return NxstxmEntry(
            title, "sample point spectrum", (energies, *image), detectors, dwell, monitor
        ), 0  # fmt: skip
    if len(y) == 1:
        return NxstxmEntry(
            title, "sample line spectrum", (energies, line), detectors, dwell, monitor, flat
        ), 0  # fmt: skip
    if len(along) == 1:
        return NxstxmEntry(
            title, "sample image", image, detectors, dwell, monitor, ((energies, None),)
        ), len(y)
    return NxstxmEntry(
        title, "sample image stack", (energies, *image), detectors, dwell, monitor
    ), len(y)


def entries_of_points(
    scan: Scan, plan_name: str, detectors: Sequence[str], monitor: str
) -> tuple[list[NxstxmEntry], dict[int, Target]]:
    """Entries of a step scan of two axes, and the target of each point.

    Raises
    ------
    ValueError
        Its points are no grid.
    """
    axes = scan.outer[-2:]
    if len(axes) < 2:
        raise ValueError(f"{plan_name} has {len(axes)} axes; NXstxm needs two")
    names = [CALLED.get(axis.name, axis.name) for axis in axes]
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, point in enumerate(scan.points):
        groups.setdefault((point.outer[:-2], point.energy, point.repeat), []).append(i)
    entries: list[NxstxmEntry] = []
    targets: dict[int, Target] = {}
    for (outer, energy, again), numbers in groups.items():
        at = np.array([scan.points[i].outer[-2:] for i in numbers])
        slow, fast = (np.unique(at[:, k]) for k in (0, 1))
        if len(slow) * len(fast) != len(at):
            raise ValueError(
                f"{plan_name} has {len(at)} points at {len(slow)} x {len(fast)} positions: no grid"
            )
        words = [
            f"{loop.name} {value:g} {loop.unit}".strip()
            for loop, value in zip(scan.outer[:-2], outer, strict=True)
        ]
        words = [plan_name.replace("_", " "), *words, f"{energy:g} eV"]
        words += [f"no. {again + 1}"] if again else []
        beside = [NxstxmAxis("energy", np.array([energy]), "eV")]
        beside += [NxstxmAxis(n, UNKNOWN) for n in ("sample_y", "sample_x") if n not in names]
        first = np.array([scan.points[i].dwell for i in numbers]).reshape(len(slow), -1)[:, 0]
        entries.append(
            NxstxmEntry(
                ", ".join(words), POINT_SCANS[plan_name],
                tuple(
                    NxstxmAxis(name, values, axis.unit)
                    for name, values, axis in zip(names, (slow, fast), axes, strict=True)
                ),
                tuple(detectors), first, monitor, tuple((axis, None) for axis in beside),
                tuple(names),
            )
        )  # fmt: skip
        for number, (i, (a, b)) in enumerate(zip(numbers, at, strict=True)):
            index = int(np.searchsorted(slow, a)), int(np.searchsorted(fast, b))
            targets[i] = Target(len(entries) - 1, index, number, 0, scan.points[i].dwell)
    return entries, targets


def measured_positions(data: Mapping[str, Any], entry: NxstxmEntry) -> dict[str, Any]:
    """What an event says of positions, by the names of an entry."""
    called = {CALLED.get(key, key): value for key, value in data.items()}
    return {name: called[name] for name in entry.measured if name in called}


def _has(scan: Scan, loop: str) -> bool:
    return any(outer.name == loop for outer in scan.outer)
