"""Measures the points of a grid of two axes, one after the other, in one run."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import FailedStatus, MsgGenerator, RunEngineControlException

from ...documents import (
    CONTRACT_VERSION,
    STACK_RESERVED,
    STREAM,
    LineStatus,
    PointStatus,
)
from ...inputs import is_number
from ...scan import Point, Scan
from .._doubts import DoubtCount
from .._edge import at_edge
from .._events import event
from .._foretold import Foreseen, foretold
from .._outage import outlasting
from .._pauses import Pauses
from .._protocols import AlignableMicroscope
from .._run import in_run
from .._safety import SafetyStep, close, cooled, halt, heaters, kept_safe, made_safe, named
from .._schedule import steps_schedule
from ..progress import with_progress
from ._frames import check_values, where

__all__ = ["measure_steps", "steps_start"]

log = logging.getLogger("redoxscope.plans")

RING_LOST = 0.5
"""Share of the most stored current of the run below which the beam is lost, as for lines."""


def steps_start(scan: Scan, detectors: Sequence[str], plan_name: str) -> dict[str, Any]:
    """Start document of a grid; its two axes are the innermost loops of the scan."""
    slow, fast = (list(dict.fromkeys(point.outer[i] for point in scan.points)) for i in (-2, -1))
    names = [outer.name for outer in scan.outer]
    return {
        "plan_name": plan_name,
        "contract_version": CONTRACT_VERSION,
        "scan": scan.as_dict(),
        "edge": scan.edge,
        "detectors": list(detectors),
        "motors": names,
        "num_points": len(scan.points),
        "shape": [len(slow), len(fast)],
        "extents": [[min(slow), max(slow)], [min(fast), max(fast)]],
        "snaking": [False, False],
        "hints": {
            "dimensions": [[[name], STREAM] for name in names[-2:]],
            "gridding": "rectilinear",
        },
    }


def measure_steps(
    stxm: AlignableMicroscope,
    scan: Scan,
    axes: Mapping[str, Any],
    metadata: Mapping[str, Any],
    md: Mapping[str, Any],
    back: Sequence[SafetyStep] = (),
) -> MsgGenerator[str]:
    """Measure a grid; whatever ends it, the shutter is closed, a heater is made safe, and the axes
    go back.

    Parameters
    ----------
    stxm : AlignableMicroscope
    scan : Scan
        Of points at one energy.
    axes : mapping of str to device
        For each loop, by its name.
    metadata, md : mapping
        The plan's start document, and what the user adds.
    back : sequence of SafetyStep
        How the axes go back.

    Raises
    ------
    ophyd.utils.LimitError, redoxscope.optics.InterlockError, ValueError
        Outside the limits or against the geometry. Raised before the first message.
    """
    stxm.check_scan(scan)
    check_values(scan, axes)
    dwells, hot = _dwells_back(stxm), heaters(axes.values())
    exposure = metadata.get("exposure", {})

    def points() -> MsgGenerator[None]:
        steps = (halt(stxm.scanner), close(stxm.shutter), *map(cooled, hot), *back, *dwells)
        return (yield from made_safe(_points(stxm, scan, axes, exposure), steps))

    @bpp.stage_decorator([stxm])
    def run() -> MsgGenerator[str]:
        return (yield from in_run(points, metadata, md, STACK_RESERVED))

    plan = at_edge(stxm.monochromator, scan.edge, run())
    return (yield from kept_safe(hot, plan))


def _dwells_back(stxm: AlignableMicroscope) -> list[SafetyStep]:
    """What gives the counters the dwell that they had."""
    steps: list[SafetyStep] = []
    for counter in stxm.line_detectors:
        found = counter.dwell.get()
        steps.append(
            (
                f"set {counter.dwell.name} back to {found}",
                partial(bps.abs_set, counter.dwell, found, wait=True),
            )
        )
    return steps


def _points(
    stxm: AlignableMicroscope,
    scan: Scan,
    axes: Mapping[str, Any],
    exposure: Mapping[str, float],
) -> MsgGenerator[None]:
    photons, gray = exposure.get("spot_photons"), exposure.get("spot_gray")
    foreseen = replace(_foreseen(stxm, scan, axes), photons=photons, dose_gy=gray)
    if (yield from foretold(stxm, foreseen)):
        return
    yield from with_progress(_measured(stxm, scan, axes), scan, stxm)


def _measured(stxm: AlignableMicroscope, scan: Scan, axes: Mapping[str, Any]) -> MsgGenerator[None]:
    point = scan.points[0]
    step = _Step(stxm, scan, axes)
    yield Msg("checkpoint")
    yield from step.pauses.watch()
    yield from outlasting(partial(_begin, stxm, point), stxm)
    yield from bps.declare_stream(step, name=STREAM)
    for number in range(len(scan.points)):
        yield from step.measured(number)
    step.tell()


def _begin(stxm: AlignableMicroscope, point: Point) -> MsgGenerator[None]:
    """Go to the energy, and set the time of a point."""
    yield Msg("set", stxm.energy, point.energy, group="begin")
    for counter in stxm.line_detectors:
        yield Msg("set", counter.dwell, point.dwell, group="begin")
    yield Msg("wait", None, group="begin")


def _foreseen(stxm: AlignableMicroscope, scan: Scan, axes: Mapping[str, Any]) -> Foreseen:
    """What it takes, from what the axes declare."""
    times = steps_schedule(scan, stxm, axes)
    silent = [axis for axis in (stxm.energy, *axes.values()) if not hasattr(axis, "time_to")]
    unknown = [
        f"{getattr(axis, 'name', axis)} does not say how long its moves take: "
        "they are counted as 0 s"
        for axis in silent
    ]
    leaves = ((stxm.energy, scan.points[0].energy),)
    notes = dict.fromkeys((*unknown, *map(str, times.wrong)))
    return Foreseen(times.total, scan.live_time, leaves, tuple(notes))


class _Step:
    """One point after the other, and what an event says of it."""

    name = "step"
    parent = None

    def __init__(self, stxm: AlignableMicroscope, scan: Scan, axes: Mapping[str, Any]) -> None:
        self._stxm, self._scan = stxm, scan
        self._axes = [axes[outer.name] for outer in scan.outer]
        self.pauses = Pauses()
        self._values: dict[str, Any] = {}
        self._doubts = DoubtCount(scan.retries, "point_status")
        self._stands: tuple[float, ...] | None = None
        self._lit: tuple[float, ...] | None = None  # slow axes of the last point that was counted
        self._most = 0.0  # stored current so far

    def __repr__(self) -> str:
        return "step"

    def measured(self, number: int) -> MsgGenerator[None]:
        """Measure a point, again where it failed or an axis was moved; then its event.

        The last try is kept whatever it is, with its status: what was not counted is NaN.

        Raises
        ------
        RuntimeError
            Too many points in a row are missed or disturbed.
        """
        stxm, point = self._stxm, self._scan.points[number]
        doubts = self._doubts
        status, why, dark = LineStatus.OK, "", ""
        for left in reversed(range(1 + self._scan.retries)):
            yield from outlasting(partial(self._go_to, point), stxm)
            failed = yield from self._counted(point)
            self._values = self._read(number, counted=failed is None)
            why = "; ".join(self._wrong(point)) if failed is None else str(failed)
            dark = self._dark() if failed is None else ""
            status = LineStatus.MISSED if failed is not None else LineStatus.DISTURBED
            if not why and not dark:
                status = LineStatus.OK if left == self._scan.retries else LineStatus.RETRIED
                break
            self._stands = None
            doubts.again += bool(left)
            verb = "measured again" if left else "kept as such"
            log.warning("point %d is %s, %s: %s", number, status.name.lower(), verb, why or dark)
        self._values["point_status"] = int(status)
        yield Msg("checkpoint")  # what is measured is not measured again because of a pause now
        yield from event([self], STREAM)
        lost = PointStatus.BEAM if dark else PointStatus.OK  # which ends no run
        doubts.kept(PointStatus.MISSED if why else lost, why)

    def _go_to(self, point: Point) -> MsgGenerator[None]:
        """Bring the axes there that are elsewhere; all of it again until no pause came between.

        Without beam where a slow one moves: a heater ramps for hours. After a point that failed
        the shutter is left alone: somebody may have closed it, and held it is not opened again.
        """
        stxm = self._stxm
        while True:
            seen = self.pauses.count
            yield Msg("checkpoint")
            if self._lit is not None and self._lit != point.outer[:-1]:
                yield Msg("set", stxm.shutter, "closed", group="shutter")
                yield Msg("wait", None, group="shutter")
                self._lit = None
            if self._stands is None and not stxm.energy.at(point.energy):
                yield Msg("set", stxm.energy, point.energy, group="energy")
                yield Msg("wait", None, group="energy")
            for i, axis in enumerate(self._axes):
                if self._stands is None or self._stands[i] != point.outer[i]:
                    yield Msg("set", axis, point.outer[i], group="axes")
            yield Msg("wait", None, group="axes")
            if self.pauses.count == seen:
                self._stands = point.outer
                return
            self._stands = None  # a pause stopped what moved

    def _counted(self, point: Point) -> MsgGenerator[Exception | None]:
        """Count, with the shutter open; what failed, if anything. After a pause, again."""
        stxm = self._stxm
        while True:
            seen = self.pauses.count
            self._lit = None
            try:
                if stxm.shutter.takes_beam:
                    yield Msg("set", stxm.shutter, "hold", group="shutter")
                    yield Msg("wait", None, group="shutter")
                for counter in stxm.line_detectors:
                    yield Msg("trigger", counter, group="point")
                yield Msg("wait", None, group="point")
            except RunEngineControlException:
                raise
            except (RuntimeError, FailedStatus, TimeoutError) as exc:
                return named(exc)  # type: ignore[return-value]
            if self.pauses.count == seen:
                self._lit = point.outer[:-1]
                return None
            self._stands = None
            yield from self._go_to(point)

    def _wrong(self, point: Point) -> list[str]:
        """What is not where it was sent: the energy, an axis."""
        asked = [("energy", "eV", self._stxm.monochromator, point.energy)]
        for outer, axis, value in zip(self._scan.outer, self._axes, point.outer, strict=True):
            asked.append((outer.name, outer.unit, axis, value))
        wrong = []
        for name, unit, device, value in asked:
            tolerance = getattr(device, "tolerance", None)
            here = self._values[name]
            if is_number(tolerance) and not abs(here - value) <= tolerance:  # NaN, too
                wrong.append(
                    f"{name} is at {here:.6g} {unit}, asked for {value:.6g} "
                    f"(tolerance {tolerance:g})"
                )
        return wrong

    def _dark(self) -> str:
        """Why there was no beam, as far as the stored current and the monitor say so."""
        ring = self._values[self._stxm.ring.field]
        if math.isfinite(ring):
            self._most = max(self._most, ring)
        if ring < RING_LOST * self._most:
            return f"the ring current is {ring:.4g} mA where it was {self._most:.4g} mA"
        counted = {
            counter.field: self._values[counter.field] for counter in self._stxm.line_detectors
        }
        if "i0" in counted and not any(counted.values()):
            return "no counts at all, of the monitor and behind the sample"
        return ""

    def _read(self, number: int, *, counted: bool = True) -> dict[str, Any]:
        stxm = self._stxm
        values: dict[str, Any] = {"point": number, "point_status": 0}
        values["energy"] = _value(stxm.energy)  # asked now: a monitor may lag behind the move
        values[stxm.ring.field] = float(stxm.ring.current.get())
        for outer, axis in zip(self._scan.outer, self._axes, strict=True):
            here = getattr(axis, "here", None)
            values[outer.name] = float(here()) if callable(here) else where(axis)
        for counter in stxm.line_detectors:
            values[counter.field] = _value(counter) if counted else math.nan
        return values

    def tell(self) -> None:
        """Say what was not measured as asked."""
        self._doubts.tell(len(self._scan.points))

    # -- as bluesky reads it

    def read(self) -> dict[str, Any]:
        """The last point."""
        now = time.time()
        return {key: {"value": value, "timestamp": now} for key, value in self._values.items()}

    def describe(self) -> dict[str, Any]:
        """Data keys of a point."""
        number = {"dtype": "number", "dtype_numpy": "<f8", "shape": [], "source": "scan"}
        whole = {**number, "dtype": "integer", "dtype_numpy": "<i8"}
        return {
            "point": whole,
            "point_status": dict(whole),
            "energy": {**number, "units": "eV"},
            self._stxm.ring.field: {**number, "units": "mA"},
            **{outer.name: {**number, "units": outer.unit} for outer in self._scan.outer},
            **{c.field: {**number, "units": "counts"} for c in self._stxm.line_detectors},
        }

    def read_configuration(self) -> dict[str, Any]:
        """Settings of the counters, and of what stands still."""
        values: dict[str, Any] = {}
        for part in (*self._stxm.line_detectors, *self._stxm.fixed_parts):
            values |= part.read_configuration()
        return values

    def describe_configuration(self) -> dict[str, Any]:
        keys: dict[str, Any] = {}
        for part in (*self._stxm.line_detectors, *self._stxm.fixed_parts):
            keys |= part.describe_configuration()
        return keys


def _value(device: Any) -> float:
    """What a device reads, of which that is all."""
    return float(next(iter(device.read().values()))["value"])
