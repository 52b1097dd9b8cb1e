"""Detectors that count while a line is flown, or at a point, and the ring current."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status

from ._base import SETTLE_TIMEOUT, BeamlineDevice, DeviceError, Move, published, pv
from ._light import check_light, watch_light
from ._lines import LineArray
from ._numbers import flag
from ._positioner import FreshSignalRO
from ._setting import Setting
from ._shutter import Shutter
from ._watched import Way, watchable

__all__ = ["LineCounter", "RingCurrent"]


class LineCounter(BeamlineDevice):
    """Pulse counter gated by the scanner: one count per pixel of a line, or one point.

    The PVs of a line are written before ``index`` is incremented (``docs/reference/pvs.md``),
    all with one time stamp, so a line is known to be whole.

    A point (``trigger``) is counted with beam: behind a closed shutter it fails, rather than
    return zeros. Set ``dark`` to count without.

    Parameters
    ----------
    field : str, optional
        Data key of the counts in documents; the attribute name by default.
    behind_shutter : bool
        Whether a shutter that is attached takes its light away; a beam monitor upstream of it
        has light anyway.
    """

    contract = "stamped"

    counts = pv(FreshSignalRO, "Counts", kind="hinted", auto_monitor=True, doc="counts of a point")
    dwell = pv(EpicsSignal, "Dwell", kind="config", auto_monitor=True, doc="dwell of a point (s)")
    dark = Cpt(
        Setting, value=False, check=flag, kind="config", doc="count points behind a closed shutter"
    )
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
        behind_shutter: bool = True,
        pvs: Mapping[str, str] | None = None,
        **kwargs: Any,
    ):
        kwargs.setdefault("labels", {"detectors"})
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self.record_as(field or self.attr_name or name)
        self.behind_shutter = behind_shutter
        self._shutter: Shutter | None = None
        self._counting: Move | None = None

    def record_as(self, field: str) -> None:
        """Have another data key for its counts: the role that it plays."""
        self.field = field
        self.counts.name = field
        # The names under which the document contract has them.
        self.dead_time.name = f"{field}_dead_time"
        self.saturation.name = f"{field}_saturation"

    @property
    def channels(self) -> dict[str, str]:
        """Data key of its one channel, by the name that it is recorded under."""
        return {self.field: self.counts.name}

    def attach(self, shutter: Shutter) -> None:
        """Name the shutter of the beam that it counts."""
        self._shutter = shutter if self.behind_shutter else None

    def point_time(self, dwell: float | None = None) -> float:
        """Time (s) of a point of so much dwell (s), by default the one that is set."""
        return published(self.dwell, "s") if dwell is None else dwell

    def trigger(self) -> Status:
        """Count for ``dwell`` at the present position (a point of a step scan).

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` when the shutter moved meanwhile, or no counts come.

        Raises
        ------
        DeviceError
            The shutter is closed (with ``dark``: open), or ``dwell`` is none.
        ValueError
            The shutter's dead man would close it during the dwell.
        """
        dwell = published(self.dwell, "s")
        check_light(self, self._shutter, dwell)
        what = f"{self.name} ({self.acquire.pvname}) counting for {dwell:g} s"
        move = Move(what, dwell + SETTLE_TIMEOUT)
        self._counting = move
        check, end = watch_light(self, self._shutter)
        move.add_callback(end)

        def counted() -> None:
            check()
            move.end()

        try:
            self.acquire.put(1, use_complete=True, callback=lambda **_: move.attempt(counted))
        except Exception as exc:
            move.end(DeviceError(f"{what}: {exc}"))
        return watchable(move, Way(self.field, "s", 0.0, dwell, dwell))

    def pause(self) -> None:
        """Abandon the point; the plan measures it again."""
        if self._counting is not None:
            self._counting.end()

    def resume(self) -> None:
        """Nothing: the plan triggers again."""


class RingCurrent(BeamlineDevice):
    """Stored current of the ring (mA), read for every line."""

    field = "ring_current"
    current = pv(FreshSignalRO, "Current", kind="hinted", auto_monitor=True, doc="mA")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.current.name = self.field
