"""When each part of a scan is due, from what devices declare: estimates and progress use it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..scan import ZONE_PLATE, Block, Exposures, Frame, Role, Scan
from ._blocks import block_lengths

__all__ = ["Schedule", "grid_axes", "schedule", "spot_seconds", "steps_schedule"]

Array = NDArray[np.float64]

# What the software takes on the simulated beamline (docs/reference/figures.md says when it was
# measured, benchmarks/bench_estimate.py how); s.
STACK_BEGIN = 0.1
"""Staging, the start document, the raster, the shutter."""
STACK_END = 0.05
PER_IMAGE = 0.012
"""From the last line of an image to the first pixel of the next, beyond moves and fly-back."""
RIXS_BEGIN = 0.25
"""Staging: the server begins files and tells its clock."""
RIXS_END = 1.0
"""Waiting for the server's last counts, which come once a second."""
PER_POINT = 0.06
"""Shutter, conditions, documents; the way to the server and back."""
XAS_BEGIN = 0.1
"""Staging, the start document."""
XAS_END = 0.05
PER_XAS_POINT = 0.05
"""Conditions at both ends, currents, energy, shutter: nearly all of it Channel Access."""
PER_FLOWN_POINT = 0.001
"""Its event."""
STEPS_BEGIN = 0.1
"""Staging, the start document, the counters' dwell."""
STEPS_END = 0.05
PER_STEP = 0.06
"""Of a stepped point: axes, shutter, counters, its event. At speed 1, beyond dwell and the way at
the motor's velocity, a tenth of 114 points of a detector image took less than 62 ms, on a machine
that was busy with other things; docs/decisions/064."""
LIT_PER_STEP = 0.2
"""For how long the beam is taken to fall on the sample at a stepped point, beyond dwell and way: no
foretold time but a high one, about twice the median measured for docs/decisions/064; s."""
PTYCHO_BEGIN = 0.3
"""Staging: the camera's file is opened."""
PTYCHO_END = 0.1
PER_BLOCK = 0.05
"""Documents of a block; what arming the camera takes, the station says."""


@dataclass(frozen=True, eq=False)
class Schedule:
    """Time (s) of each frame or point of a scan, in order; arrays are [n].

    Attributes
    ----------
    motion : ndarray
        Moves before it.
    live : ndarray
        Detectors count.
    flight : ndarray
        Fly-back between its lines, what closing a point's window costs, or the moves from place to
        place.
    software : ndarray
    events : ndarray of int
        Lines of a frame; 1 for a point; places of exposures.
    begin, end : float
        Software before the first and after the last.
    wrong : tuple of Exception
        Why some of the times are not known; those are NaN.
    """

    motion: Array
    live: Array
    flight: Array
    software: Array
    events: NDArray[np.int64]
    begin: float
    end: float
    wrong: tuple[Exception, ...] = ()

    @property
    def total(self) -> float:
        """From the call of the plan to the end of its run (s)."""
        parts = (self.motion, self.live, self.flight, self.software)
        return self.begin + self.end + float(sum(part.sum() for part in parts))


@dataclass
class _Asked:
    """Asks devices for times, each question once; what they refuse to tell is NaN."""

    wrong: list[Exception] = field(default_factory=list)
    known: dict[Any, Any] = field(default_factory=dict)

    def __call__(self, key: Any, ask: Callable[[], Any], unknown: Any = math.nan) -> Any:
        if key not in self.known:
            try:
                self.known[key] = ask()
            except (ValueError, RuntimeError, TimeoutError) as exc:
                self.wrong.append(exc)
            except AttributeError as exc:
                self.wrong.append(RuntimeError(f"a device does not say how long it takes: {exc}"))
        return self.known.setdefault(key, unknown)


def schedule(scan: Scan, *instruments: Any) -> Schedule:
    """The times of a scan.

    Parameters
    ----------
    scan : Scan
        Of lines or of points.
    *instruments : device
        A microscope for lines, or for the points of a stepped grid; a spectrometer or absorption
        station, and a monochromator, for other points; a station for ptychography for exposures.
    """
    if scan.kind == "lines":
        (stxm,) = instruments
        return _of_frames(scan, stxm)
    if scan.kind == "points" and len(instruments) == 1:
        return steps_schedule(scan, instruments[0], grid_axes(instruments[0]))
    if scan.kind == "points":
        tes, mono = instruments
        return _of_points(scan, tes, mono)
    (station,) = instruments
    return _of_exposures(scan, station)


def _of_frames(scan: Scan, stxm: Any) -> Schedule:
    ask = _Asked()
    stage = stxm.sample_stage
    at = ask("stage", lambda: (float(stage.x.position), float(stage.y.position)), (0.0, 0.0))
    rows = np.zeros((3, len(scan.frames)))
    before: Frame | None = None
    rest = 0.0
    for k, frame in enumerate(scan.frames):
        region = scan.regions[frame.region]
        move = 0.0
        if before is None or (frame.region, frame.dwell) != (before.region, before.dwell):
            coarse, at = _coarse(ask, stxm, region, frame, at)
            move += coarse
        if before is None or frame.energy != before.energy:
            start = None if before is None else before.energy
            key = "energy", frame.energy, start
            move += ask(key, partial(_said, stxm.energy, "time_to", frame.energy, start))
        if ZONE_PLATE in scan.outer:  # the axes of other loops are the user's
            i = scan.outer.index(ZONE_PLATE)
            z, there = frame.outer[i], None if before is None else before.outer[i]
            if z != there:
                move += ask(
                    ("zone plate", z, there), partial(_said, stxm.focus, "time_to", z, there)
                )
        nx, ny = region.pixels
        key = "frame", frame.region, frame.dwell
        live, flight, following = ask(
            key,
            partial(_said, stxm.scanner, "frame_time", nx, ny, frame.dwell),
            (nx * ny * frame.dwell, math.nan, 0.0),
        )
        rows[:, k] = np.maximum(move, rest), live, flight  # NaN where either is
        rest, before = following, frame
    events = np.array([scan.regions[frame.region].pixels[1] for frame in scan.frames])
    software = np.full(len(events), PER_IMAGE)
    motion, live, flight = rows
    begin, end = STACK_BEGIN, STACK_END
    return Schedule(motion, live, flight, software, events, begin, end, tuple(ask.wrong))


def _coarse(
    ask: _Asked, stxm: Any, region: Any, frame: Frame, at: tuple[float, float]
) -> tuple[float, tuple[float, float]]:
    """Time of the coarse move to a region (s), and where the stage stands then (µm)."""
    place = ask(
        ("place", frame.region, frame.dwell, at),
        partial(stxm.place, region, frame.dwell, at=at),
        None,
    )
    if place is None:
        return math.nan, at
    return _moved(ask, stxm.sample_stage, (place.coarse_x, place.coarse_y), at)


def _moved(
    ask: _Asked, stage: Any, targets: Any, at: tuple[float, float]
) -> tuple[float, tuple[float, float]]:
    """Time of a coarse move (s), and where the stage stands then (µm)."""
    times, there = [0.0], list(at)
    for i, (motor, target) in enumerate(zip((stage.x, stage.y), targets, strict=True)):
        if target is not None:
            key = "coarse", i, target, at[i]
            times.append(ask(key, partial(_said, motor, "time_to", target, at[i])))
            there[i] = target
    return max(times), (there[0], there[1])


def _of_points(scan: Scan, tes: Any, mono: Any) -> Schedule:
    ask = _Asked()
    n = len(scan.points)
    motion, live, waiting = np.zeros(n), np.zeros(n), np.zeros(n)
    start: float | None = None
    for k, point in enumerate(scan.points):
        key = "energy", point.energy, start
        motion[k] = ask(key, partial(_said, mono, "time_to", point.energy, start))
        longest = ask(
            ("point", point.dwell),
            partial(_longest, (tes, *tes.counters), point.dwell),
        )
        live[k], waiting[k] = point.dwell, longest - point.dwell
        start = point.energy
    costs = (RIXS_BEGIN, RIXS_END, PER_POINT)
    if hasattr(tes, "modes"):  # an absorption station
        costs = (XAS_BEGIN, XAS_END, PER_XAS_POINT)
    begin, end, each = costs
    software, events = np.full(n, each), np.ones(n, np.int64)
    starts = getattr(tes, "line_starts", None)
    if starts is not None:  # it is flown: the energy moves while it counts
        within = [k for k in range(n) if k not in starts]
        motion[within], software[within] = 0.0, PER_FLOWN_POINT
    return Schedule(motion, live, waiting, software, events, begin, end, tuple(ask.wrong))


def grid_axes(stxm: Any) -> dict[str, Any]:
    """What a microscope steps in grids, by the name of the loop."""
    stages = {
        "osa": stxm.osa,
        "detector": getattr(stxm, "detector_stage", None),
        "coarse": stxm.sample_stage,
    }
    found = {ZONE_PLATE.name: stxm.focus}
    for name, stage in stages.items():
        if stage is not None:
            found |= {f"{name}_x": stage.x, f"{name}_y": stage.y}
    return found


def steps_schedule(scan: Scan, stxm: Any, axes: Mapping[str, Any]) -> Schedule:
    """The times of a grid of points at which axes stand still.

    Parameters
    ----------
    scan : Scan
        Of points at one energy.
    stxm : AlignableMicroscope
    axes : mapping of str to device
        By the name of their loop; what is not among them, or does not say how long its moves take,
        counts as 0 s, and so does the energy.
    """
    ask = _Asked()
    first = scan.points[0]
    motion, live = np.zeros(len(scan.points)), np.zeros(len(scan.points))
    before: tuple[float, ...] | None = None
    for k, point in enumerate(scan.points):
        moves = [0.0]
        for i, outer in enumerate(scan.outer):
            target, start = point.outer[i], None if before is None else before[i]
            axis = axes.get(outer.name)
            if target != start and hasattr(axis, "time_to"):
                moves.append(
                    ask((i, target, start), partial(_said, axis, "time_to", target, start))
                )
        motion[k], live[k], before = np.max(moves), point.dwell, point.outer
    if hasattr(stxm.energy, "time_to"):
        motion[0] += ask("energy", partial(_said, stxm.energy, "time_to", first.energy, None))
    n = len(scan.points)
    return Schedule(
        motion, live, np.zeros(n), np.full(n, PER_STEP), np.ones(n, np.int64),
        STEPS_BEGIN, STEPS_END, tuple(ask.wrong),
    )  # fmt: skip


def spot_seconds(scan: Scan, times: Schedule) -> Array:
    """For how long (s) the beam of each point of a grid falls on the place that has most.

    Aperture and detector are moved and the sample is not: one place has the beam of all points,
    and of the moves between two of a row, in which the shutter stays open. With the coarse stage
    a place has the beam of the points that lie on it, one for each value of the loops outside.
    """
    seconds = times.live + LIT_PER_STEP
    if scan.outer[-1].name in ("coarse_x", "coarse_y"):
        places = [point.outer[-2:] for point in scan.points]
        sums = dict.fromkeys(places, 0.0)
        for place, one in zip(places, seconds.tolist(), strict=True):
            sums[place] += one
        most = max(sums, key=lambda place: sums[place])
        return np.where([place == most for place in places], seconds, 0.0)
    rows = [point.outer[:-1] for point in scan.points]
    within = np.array([False, *(a == b for a, b in zip(rows, rows[1:], strict=False))])
    return np.asarray(seconds + np.where(within, times.motion, 0.0))


def _of_exposures(scan: Scan, station: Any) -> Schedule:
    ask = _Asked()
    stage = station.sample_stage
    at = ask("stage", lambda: (float(stage.x.position), float(stage.y.position)), (0.0, 0.0))
    n = len(scan.exposures)
    motion, live, flight, software = (np.zeros(n) for _ in range(4))
    start: float | None = None
    for k, part in enumerate(scan.exposures):
        key = "energy", part.energy, start
        move = ask(key, partial(_said, station.energy, "time_to", part.energy, start))
        targets = ask(("place", k), partial(station.place, part, at=at), (None, None))
        coarse, at = _moved(ask, stage, targets, at)
        motion[k] = np.maximum(move, coarse)  # NaN where either is
        live[k] = sum(part.times) * len(part.positions)
        lengths, dark = block_lengths(station, part), part.role is Role.DARK
        whole = sum(
            ask(("block", length, part.times, dark), partial(_block_time, station, part, length))
            for length in lengths
        )
        flight[k], software[k] = whole - live[k], PER_BLOCK * len(lengths)
        start = part.energy
    events = np.array([len(part.positions) for part in scan.exposures])
    begin, end = PTYCHO_BEGIN, PTYCHO_END
    return Schedule(motion, live, flight, software, events, begin, end, tuple(ask.wrong))


def _block_time(station: Any, part: Exposures, length: int) -> float:
    """Time (s) of a block of so many places of a part."""
    places, dark = part.positions[:length], part.role is Role.DARK
    return float(station.block_time(Block(0, 0, places, part.times, dark)))


def _said(device: Any, what: str, *args: Any) -> Any:
    return getattr(device, what)(*args)


def _longest(detectors: Iterable[Any], dwell: float) -> float:
    return max(detector.point_time(dwell) for detector in detectors)
