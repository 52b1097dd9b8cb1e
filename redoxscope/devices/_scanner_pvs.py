"""PVs of the raster scanner, and what is one exchange with the controller."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import Status

from ..scan import Raster
from ._base import BeamlineDevice, DeviceError, Move, done, published, pv
from ._lines import LineArray
from ._numbers import zero_or_more
from ._setting import Setting
from ._timers import call_later
from ._times import FrameTime

__all__ = ["PARAMETERS", "ScannerPVs", "ScannerState"]

log = logging.getLogger("redoxscope.scanner")

HALT_TIMEOUT = 5.0
"""Time (s) within which the controller reports that it is idle after an abort."""

PARAMETERS = {
    "x_start": "µm",
    "x_stop": "µm",
    "nx": "",
    "y_start": "µm",
    "y_stop": "µm",
    "ny": "",
    "dwell": "s",
}
"""Fields of a raster that are PVs, and their units."""


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
    x = pv(LineArray, "X", kind="omitted", auto_monitor=True, doc="measured x (µm), a line")
    y = pv(LineArray, "Y", kind="omitted", auto_monitor=True, doc="measured y (µm), a line")
    info = pv(LineArray, "Info", kind="omitted", auto_monitor=True, doc="index, line, status")
    index = pv(EpicsSignalRO, "Index", kind="omitted", auto_monitor=True, doc="lines finished")
    flyback = pv(EpicsSignalRO, "Flyback", kind="config", auto_monitor=True, doc="s per line")
    run_up = pv(EpicsSignalRO, "RunUp", kind="config", auto_monitor=True, doc="µm beyond a line")
    min_dwell = pv(EpicsSignalRO, "MinDwell", kind="config", auto_monitor=True, doc="s")
    max_dwell = pv(EpicsSignalRO, "MaxDwell", kind="config", auto_monitor=True, doc="s")
    max_points = pv(EpicsSignalRO, "MaxPoints", kind="config", auto_monitor=True, doc="per line")
    margin = Cpt(
        Setting, value=2.0, check=zero_or_more, unit="s", kind="config",
        doc="a line may be late by so much after twice its time",
    )  # fmt: skip
    outage = Cpt(
        Setting, value=60.0, check=zero_or_more, unit="s", kind="config",
        doc="without an answer an image survives so long",
    )  # fmt: skip
    beam_patience = Cpt(
        Setting, value=60.0, check=zero_or_more, unit="s", kind="config",
        doc="time to try for beam, line by line",
    )  # fmt: skip
    position_tolerance = Cpt(
        Setting, value=0.2, check=zero_or_more, unit="um", kind="config",
        doc="a line may be off by so much, beyond half a pixel",
    )  # fmt: skip

    def frame_time(self, nx: int, ny: int, dwell: float) -> FrameTime:
        """Time (s) that the controller declares for an image; nothing moves.

        It flies line after line by itself: a fly-back between two, and one after the last.

        Parameters
        ----------
        nx, ny : int
            Pixels of a line, and lines.
        dwell : float
            Per pixel (s).

        Raises
        ------
        DeviceError
            It publishes no fly-back.
        """
        flyback = published(self.flyback, "s", zero=True)
        return FrameTime(nx * ny * dwell, (ny - 1) * flyback, flyback)

    def _write(self, raster: Raster) -> Status:
        """Write what differs from the present values; done when read back."""
        wanted = {getattr(self, name): getattr(raster, name) for name in PARAMETERS}
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

    def _halt(self, needed: Sequence[Signal], patience: float) -> Move:
        """Halt, however long it takes until the controller and all PVs that are needed answer.

        Asked again after a disconnection, which is where an order gets lost.
        """
        halted = Move(f"{self.name} ({self.abort.pvname}) halting", patience)
        lock, asked = threading.RLock(), False
        signals = list(dict.fromkeys([self.abort, self.go, self.state, *needed]))

        def ask(**_: Any) -> None:
            halted.attempt(look)

        def look() -> None:
            nonlocal asked
            with lock:
                missing = [sig.pvname for sig in signals if not sig.connected]
                if missing:
                    asked = False
                    halted.what = (
                        f"{self.name}: PV {missing[0]} is disconnected, it did not come back"
                    )
                if missing or asked or halted.done:
                    return
                asked = True
                halted.what = f"{self.name} ({self.abort.pvname}) halting"
                self.abort.put(1, use_complete=True, callback=answered)

        def answered(**_: Any) -> None:
            # Channel Access completes an order that a disconnection has lost as well.
            if self.abort.connected:
                halted.end()
            else:
                halted.attempt(look)

        def tell() -> None:
            log.warning(
                "%s: the controller does not answer; waiting for it, at most %g s",
                self.name,
                patience,
            )

        slow = call_later(HALT_TIMEOUT, tell)
        for signal in signals:
            signal.subscribe(ask, event_type=signal.SUB_META, run=False)

        def clear(_: Status) -> None:
            slow.cancel()
            for signal in signals:
                signal.clear_sub(ask, event_type=signal.SUB_META)

        halted.add_callback(clear)
        ask()
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
