"""The points of a spectrum, one after the other: measured, judged, again where doubtful."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps

from ...documents import STREAM
from ...scan import Point, Role
from .._doubts import DoubtCount
from .._events import readings
from .._outage import outlasting
from .._pauses import Pauses
from .._protocols import AbsorptionStation
from .._safety import MsgGenerator
from ._asked import XasScan

__all__ = ["points"]

log = logging.getLogger("redoxscope.plans")


def points(station: AbsorptionStation, asked: XasScan) -> MsgGenerator:
    """All points of a scan, each an event."""
    here = None if station.holder is None else asked.sample or station.holder.position
    run = _Run(station, here)
    yield Msg("checkpoint")
    yield from run.pauses.watch()
    # Before the first point, so that a live spectrum knows its channels while it is measured.
    yield from bps.declare_stream(*station.parts, name=STREAM)
    doubts = DoubtCount(asked.scan.retries, "xas_point_status")
    for number, point in enumerate(asked.scan.points):
        yield from run.point(number, point, doubts)
    doubts.tell(len(asked.scan.points))


class _Run:
    """What was asked for last, so that it is not asked again at each point.

    Parameters
    ----------
    station : device
    sample : str or None
        What is to be in the beam.
    """

    def __init__(self, station: AbsorptionStation, sample: str | None):
        self.station, self.sample = station, sample
        self.pauses = Pauses()
        self._set: tuple[float, bool, int] | None = None

    def point(self, number: int, point: Point, doubts: DoubtCount) -> MsgGenerator:
        """Measure a point; again, as often as the scan allows, where not all held that was asked.

        The last try is kept whatever it is, with its status. Where somebody else took the shutter,
        the run ends rather than open it again. An outage costs no try.

        Raises
        ------
        RuntimeError
            The shutter was taken, or too many points in a row are doubtful.
        """
        station = self.station
        verdict: Any = None
        for left in reversed(range(1 + doubts.retries)):
            yield from outlasting(lambda: self._measured(number, point), station.mono, station)
            verdict = station.conditions.verdict
            if verdict is None or not verdict.status:  # none: nobody carries the messages out
                break
            why = "; ".join(verdict.reasons)
            if verdict.taken:
                raise RuntimeError(
                    f"{verdict.taken} while a point was measured: it was taken by somebody else. "
                    "The run ends rather than open it again"
                )
            self._set = None  # somebody else may have changed what was set once
            if left:
                doubts.again += 1
            log.warning(
                "point at %.7g eV is doubtful, %s: %s",
                point.energy,
                "it is measured again" if left else "and kept as such",
                why,
            )
        parts = list(station.parts)
        yield Msg("checkpoint")  # what is measured is not measured again because of a pause now
        yield from outlasting(lambda: readings(parts, STREAM), station.mono, station)
        yield Msg("save")
        if verdict is not None:
            doubts.kept(verdict.status, "; ".join(verdict.reasons))

    def _measured(self, number: int, point: Point) -> MsgGenerator:
        """Measure, from a checkpoint; all of it again until no pause came between.

        Messages are yielded bare, ``@plan`` stubs would cost more than the work. The shutter is
        asked when the monochromator is there, for a long move would outlast its dead man; and each
        time, for the RunEngine repeats what it has of a point after a pause, which closed it.
        """
        station, pauses = self.station, self.pauses
        dark = point.role is Role.DARK
        asked: Mapping[str, Any] = {
            "mono": station.mono, "energy": point.energy, "dwell": point.dwell,
            "sample": self.sample, "point": number, "dark": dark,
        }  # fmt: skip
        while True:
            seen = pauses.count
            yield Msg("checkpoint")
            if self._set != (point.dwell, dark, seen):
                for signal in station.dwells:
                    yield Msg("set", signal, point.dwell, group="settings")
                for signal in station.darkened:
                    yield Msg("set", signal, dark, group="settings")
                if self._set is None and self.sample is not None:
                    yield Msg("set", station.holder, self.sample, group="settings")
                yield Msg("wait", None, group="settings")
                if pauses.count == seen:
                    self._set = (point.dwell, dark, seen)
            yield Msg("set", station.mono, point.energy, group="energy")
            yield Msg("wait", None, group="energy")
            if station.shutter is not None:
                yield Msg("set", station.shutter, "closed" if dark else "hold", group="shutter")
                yield Msg("wait", None, group="shutter")
            if pauses.count != seen:  # it stopped what moved, and closed the shutter
                continue
            yield Msg("set", station.conditions, asked, group="conditions")
            yield Msg("wait", None, group="conditions")
            for detector in station.detectors:
                yield Msg("trigger", detector, group="point")
            yield Msg("wait", None, group="point")
            if pauses.count != seen:
                continue
            yield Msg("trigger", station.conditions, group="judged")
            yield Msg("wait", None, group="judged")
            if pauses.count == seen:
                return
