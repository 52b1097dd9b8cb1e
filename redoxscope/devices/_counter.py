"""Detectors that count while a line is flown, and the ring current."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status

from ._base import SETTLE_TIMEOUT, BeamlineDevice, pv
from ._lines import LineArray
from ._positioner import FreshSignalRO

__all__ = ["LineCounter", "RingCurrent"]


class LineCounter(BeamlineDevice):
    """Pulse counter gated by the scanner: one count per pixel of a line, or one point.

    The PVs of a line are written before ``index`` is incremented (``docs/reference/pvs.md``),
    all with one time stamp, so a line is known to be whole.

    Parameters
    ----------
    field : str, optional
        Data key of the counts in documents; the attribute name by default.
    """

    counts = pv(FreshSignalRO, "Counts", kind="hinted", auto_monitor=True, doc="counts of a point")
    dwell = pv(EpicsSignal, "Dwell", kind="config", auto_monitor=True, doc="dwell of a point (s)")
    dead_time = pv(EpicsSignalRO, "DeadTime", kind="config", auto_monitor=True, doc="per count, s")
    saturation = pv(
        EpicsSignalRO, "Saturation", kind="config", auto_monitor=True, doc="rate limit, counts/s"
    )
    acquire = pv(EpicsSignal, "Acquire", kind="omitted", put_complete=True, doc="count a point")
    line = pv(LineArray, "Line", kind="omitted", auto_monitor=True, doc="counts per pixel")
    index = pv(EpicsSignalRO, "Index", kind="omitted", auto_monitor=True, doc="lines finished")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        field: str | None = None,
        pvs: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.field = field or self.attr_name or name
        self.counts.name = self.field
        # The names under which the document contract has them.
        self.dead_time.name = f"{self.field}_dead_time"
        self.saturation.name = f"{self.field}_saturation"

    def trigger(self) -> Status:
        """Count for ``dwell`` at the present position (a point of a step scan)."""
        return self.acquire.set(1, timeout=self.dwell.get() + SETTLE_TIMEOUT)


class RingCurrent(BeamlineDevice):
    """Stored current of the ring (mA), read for every line."""

    field = "ring_current"
    current = pv(FreshSignalRO, "Current", kind="hinted", auto_monitor=True, doc="mA")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.current.name = self.field
