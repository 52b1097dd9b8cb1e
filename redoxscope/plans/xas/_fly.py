"""A spectrum that is flown: the energy moves evenly, a line of points at a time."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import numpy as np
from bluesky import Msg
from bluesky import plan_stubs as bps

from ...documents import STREAM
from ...scan import Scan, sweeps_of
from .._doubts import DoubtCount
from .._events import readings
from .._outage import outlasting
from .._pauses import Pauses
from .._protocols import AbsorptionStation
from .._safety import MsgGenerator
from ._asked import XasScan

__all__ = ["InFlight", "flown_lines", "lines"]

log = logging.getLogger("redoxscope.plans")

SHARE = 0.5
"""Part of the shutter's dead man that a line may take: it is asked again before each."""
LONGEST = 60.0
"""Longest line (s) where no dead man limits it: what a pause costs at most."""


def flown_lines(station: AbsorptionStation, scan: Scan) -> list[Any]:
    """The lines of a scan, as the station's sweep takes them.

    Raises
    ------
    ValueError
        A line that it cannot fly.
    """
    sweep, longest = station.sweep, LONGEST
    if station.shutter is not None:
        longest = SHARE * float(station.shutter.dead_man.get())
    offset = station.mono.offset_at(scan.edge)
    found = [
        sweep.line(
            part.start, [scan.points[i].energy for i in part], scan.points[part.start].dwell, offset
        )
        for part in sweeps_of(scan.points, longest, int(sweep.max_points.get()))
    ]
    for line in found:
        sweep.check_line(line)
    return found


class InFlight:
    """A station whose scan is flown, for who says how long it takes."""

    def __init__(self, station: AbsorptionStation, scan: Scan):
        self._station = station
        self.line_starts = frozenset(line.first for line in flown_lines(station, scan))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._station, name)


def lines(station: AbsorptionStation, asked: XasScan) -> MsgGenerator:
    """All lines of a scan; each of their points an event."""
    here = None if station.holder is None else asked.sample or station.holder.position
    pauses = Pauses()
    yield Msg("checkpoint")
    yield from pauses.watch()
    parts = [station.flown]
    yield from bps.declare_stream(*parts, name=STREAM)
    doubts = DoubtCount(asked.scan.retries, "xas_point_status")
    for line in flown_lines(station, asked.scan):
        yield from _line(station, line, here, pauses, doubts)
        for point in range(len(line.energies)):
            yield Msg("checkpoint")
            station.flown.point = point
            yield from readings(parts, STREAM)
            yield Msg("save")
    doubts.tell(len(asked.scan.points))


def _line(
    station: AbsorptionStation, line: Any, sample: str | None, pauses: Pauses, doubts: DoubtCount
) -> MsgGenerator:
    """Fly a line; again, as often as the scan allows, where not all held that was asked."""
    verdict: Any = None
    for left in reversed(range(1 + doubts.retries)):
        yield from outlasting(lambda: _flown(station, line, sample, pauses), station.mono, station)
        verdict = station.conditions.verdict
        if verdict is None:  # nobody carries the messages out
            return
        why = list(verdict.reasons)
        flown = station.sweep.flown
        if flown is not None and not all(np.isfinite(v).all() for v in flown.means.values()):
            why.append("points are missing")
        if not why:
            break
        if verdict.taken:
            raise RuntimeError(
                f"{verdict.taken} while a line was flown: it was taken by somebody else. The run "
                "ends rather than open it again"
            )
        if left:
            doubts.again += 1
        log.warning(
            "line from %.7g to %.7g eV is doubtful, %s: %s",
            line.energies[0], line.energies[-1],
            "it is flown again" if left else "and kept as such", "; ".join(why),
        )  # fmt: skip
    doubts.kept(verdict.status, "; ".join(verdict.reasons))


def _flown(
    station: AbsorptionStation, line: Any, sample: str | None, pauses: Pauses
) -> MsgGenerator:
    """Fly a line, all of it again until no pause came between."""
    asked: Mapping[str, Any] = {
        "mono": station.mono, "energy": line.energies[0], "dwell": line.dwell, "sample": sample,
        "point": line.first, "dark": False, "flown": True,
    }  # fmt: skip
    while True:
        seen = pauses.count
        yield Msg("checkpoint")
        yield Msg("set", station.mono, line.energies[0], group="energy")
        yield Msg("wait", None, group="energy")
        if station.shutter is not None:
            yield Msg("set", station.shutter, "hold", group="shutter")
            yield Msg("wait", None, group="shutter")
        if pauses.count != seen:
            continue
        yield Msg("set", station.conditions, asked, group="conditions")
        yield Msg("wait", None, group="conditions")
        yield Msg("set", station.sweep, line, group="line")
        yield Msg("wait", None, group="line")
        if pauses.count != seen:
            continue
        yield Msg("trigger", station.conditions, group="judged")
        yield Msg("wait", None, group="judged")
        if pauses.count == seen:
            return
