"""A DAQ service of the FLY contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status

from .._base import DeviceError, ask, pv
from .._counter import LineCounter
from .._lines import LineArray
from .._numbers import zero_or_more
from .._positioner import FreshSignalRO
from .._setting import Setting
from ._units import Seconds

__all__ = ["FlyCounter"]


class FlyCounter(LineCounter):
    """Counter that counts a point, or a line that a FLY group arms.

    Both modes share one dwell: a stack leaves that of its lines.

    Parameters
    ----------
    dead_time : float
        Per count (s); the contract has no PV for it. 0: none.
    saturation : float
        Rate from which counts mean nothing (counts/s). 0: unknown.
    """

    contract = "fly"

    counts = pv(FreshSignalRO, "COUNTS", kind="hinted", auto_monitor=True, doc="counts of a point")
    dwell_ms = pv(EpicsSignal, "DWELL", kind="omitted", auto_monitor=True, doc="point, line (ms)")
    dwell = Cpt(Seconds, derived_from="dwell_ms", kind="config", doc="dwell of a point (s)")
    dead_time = Cpt(
        Setting, value=0.0, check=zero_or_more, unit="s", kind="config", doc="per count, s"
    )
    saturation = Cpt(
        Setting, value=0.0, check=zero_or_more, unit="counts/s", kind="config", doc="rate limit"
    )
    acquire = pv(EpicsSignal, "ACQUIRE", kind="omitted", put_complete=True, doc="count a point")
    line = pv(LineArray, "DATA", kind="omitted", doc="counts per pixel; a PV of the FLY group")
    index = pv(EpicsSignalRO, "LINE:INDEX", kind="omitted", auto_monitor=True, doc="lines counted")
    npoints = pv(EpicsSignal, "LINE:NPOINTS", kind="omitted", auto_monitor=True, doc="of a line")
    line_state = pv(EpicsSignalRO, "LINE:STATUS", kind="omitted", auto_monitor=True, doc="see BUSY")
    line_error = pv(
        EpicsSignalRO, "LINE:ERROR", kind="omitted", auto_monitor=True, string=True,
        doc="what it refused; empty after a good ARM",
    )  # fmt: skip

    BUSY = (1, 2)
    """``line_state`` where a line, of whomever, is armed or runs."""

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        dead_time: float = 0.0,
        saturation: float = 0.0,
        **kwargs: Any,
    ):
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.dead_time.put(dead_time)
        self.saturation.put(saturation)

    def busy(self, *, anew: bool) -> bool:
        """Whether a line, of whomever, is armed or runs on it."""
        value = ask(self.line_state) if anew else self.line_state.get()
        return int(value) in self.BUSY

    def trigger(self) -> Status:
        """Count a point, as `LineCounter.trigger`.

        Raises
        ------
        DeviceError
            A line runs on it: it would refuse by a text, and leave the counts before.
        """
        if self.busy(anew=True):
            raise DeviceError(
                f"{self.name} ({self.line_state.pvname}) counts a line: no point meanwhile"
            )
        return super().trigger()
