"""PVs of the raster scanner, and what is one exchange with the controller."""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import Status

from ..contract import Raster
from ._base import BeamlineDevice, DeviceError, Move, done, pv

__all__ = ["ScannerPVs", "ScannerState"]

HALT_TIMEOUT = 5.0
"""Longest time (s) between an abort and the controller reporting that it is idle."""


class ScannerState:
    """Values of the ``State`` PV."""

    IDLE, FLYING, ERROR = 0, 1, 2


def _parameter(suffix: str, doc: str) -> Any:
    return pv(EpicsSignal, suffix, kind="config", auto_monitor=True, doc=doc)


class ScannerPVs(BeamlineDevice):
    """The PVs: ``docs/reference/pvs.md``. What is done with them: `RasterScanner`."""

    x_start = _parameter("XStart", "first pixel centre, µm of the fine stage")
    x_stop = _parameter("XStop", "last pixel centre, µm of the fine stage")
    nx = _parameter("NX", "pixels of a line")
    y_start = _parameter("YStart", "first line, µm of the fine stage")
    y_stop = _parameter("YStop", "last line, µm of the fine stage")
    ny = _parameter("NY", "lines of the image")
    dwell = _parameter("Dwell", "s per pixel")
    go = pv(EpicsSignal, "Go", kind="omitted", doc="n flies the lines n … NY-1")
    abort = pv(EpicsSignal, "Abort", kind="omitted", put_complete=True, doc="completes when idle")
    state = pv(EpicsSignalRO, "State", kind="omitted", auto_monitor=True, doc="idle flying error")
    message = pv(EpicsSignalRO, "Message", kind="omitted", auto_monitor=True, string=True)
    x = pv(EpicsSignalRO, "X", kind="omitted", auto_monitor=True, doc="measured x (µm), a line")
    y = pv(EpicsSignalRO, "Y", kind="omitted", auto_monitor=True, doc="measured y (µm), a line")
    info = pv(EpicsSignalRO, "Info", kind="omitted", auto_monitor=True, doc="index, line, status")
    index = pv(EpicsSignalRO, "Index", kind="omitted", auto_monitor=True, doc="lines finished")
    flyback = pv(EpicsSignalRO, "Flyback", kind="config", auto_monitor=True, doc="s per line")
    run_up = pv(EpicsSignalRO, "RunUp", kind="config", auto_monitor=True, doc="µm beyond a line")
    min_dwell = pv(EpicsSignalRO, "MinDwell", kind="config", auto_monitor=True, doc="s")
    max_dwell = pv(EpicsSignalRO, "MaxDwell", kind="config", auto_monitor=True, doc="s")
    max_points = pv(EpicsSignalRO, "MaxPoints", kind="config", auto_monitor=True, doc="per line")
    margin = Cpt(Signal, value=2.0, kind="config", doc="s a line may be late after twice its time")

    def _write(self, raster: Raster) -> Status:
        """Write what differs from the present values; done when read back."""
        wanted = {
            getattr(self, name): getattr(raster, name)
            for name in ("x_start", "x_stop", "nx", "y_start", "y_stop", "ny", "dwell")
        }
        changed = {signal: value for signal, value in wanted.items() if signal.get() != value}
        if not changed:
            return done()
        *others, last = changed
        move = Move(f"{self.name} ({last.pvname}) taking the raster", HALT_TIMEOUT)

        def taken(**_: Any) -> None:
            move.attempt(check)

        def check() -> None:
            # Anew: what ophyd caches of a PV that was written is what was asked for.
            for signal, value in changed.items():
                got = signal.get(use_monitor=False)
                if got != value:
                    raise DeviceError(f"{signal.pvname} is {got} where {value} was written")
            move.end()

        for signal in others:
            signal.put(changed[signal], wait=False)
        last.put(changed[last], use_complete=True, callback=taken)
        return move

    def _halt(self) -> Status:
        if not self.abort.connected:
            raise DeviceError(f"{self.name}: PV {self.abort.pvname} is disconnected")
        halted = Move(f"{self.name} ({self.abort.pvname}) halting", HALT_TIMEOUT)
        self.abort.put(1, use_complete=True, callback=lambda **_: halted.end())
        return halted

    def _until_idle(self, timeout: float) -> Status | None:
        """A controller that is still flying back would refuse the next image."""
        if int(self.state.get()) != ScannerState.FLYING:
            return None
        idle = Move(f"{self.name} ({self.state.pvname}) coming to rest", timeout)

        def look(*, value: Any, **_: Any) -> None:
            if int(value) != ScannerState.FLYING:
                idle.end()

        idle.add_callback(lambda _: self.state.clear_sub(look))
        self.state.subscribe(look, run=True)
        return idle
