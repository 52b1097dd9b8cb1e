"""Lines of a controller that flies them by itself and stamps what belongs together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ophyd import EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import Status

from ...scan import Raster
from .._base import BeamlineDevice, DeviceError, Move, published, put_now, pv, typed
from .._halting import halting, write_changed
from .._line_source import FlownLine, LineLimits, LineListener, ScannerState
from .._lines import LineArray, LineJoiner, Parts
from .._times import FrameTime
from .._watch import Held

__all__ = ["StampedLines"]

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

OWN = "scanner"
"""The controller among the sources of a line; the others are the detectors."""


def _parameter(suffix: str, doc: str) -> Any:
    return pv(EpicsSignal, suffix, kind="config", auto_monitor=True, doc=doc)


class StampedLines(BeamlineDevice):
    """Line source of the PV contract in ``docs/reference/pvs.md``.

    ``Go`` n flies the lines n to NY-1; of each line all sources write their arrays, then an
    index, with one time stamp.
    """

    contract = "stamped"

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

    _detectors: Sequence[Any] = ()
    _joiner: LineJoiner | None = None
    _flight = 0

    def attach(
        self, detectors: Sequence[Any], axes: tuple[Any, Any], listener: LineListener
    ) -> None:
        """As `LineSource.attach`; the controller moves the axes by itself."""
        self._detectors, self._listener = tuple(detectors), listener
        own = {"x": self.x, "y": self.y, "info": self.info}
        sources: dict[str, Any] = {OWN: (self.index, own)}
        for det in detectors:
            sources[f"counter {det.field}"] = (det.index, {"line": det.line})
        self._joiner = LineJoiner(sources, self._joined, listener.on_error, listener.on_lost)
        self.state.subscribe(self._state_changed, run=False)

    def where(self) -> Mapping[str, str]:
        own = {"line": self.info, "sample_x": self.x, "sample_y": self.y}
        own |= {"index": self.index, "state": self.state}
        named = {key: signal.pvname for key, signal in own.items()}
        return named | {det.field: det.line.pvname for det in self._detectors}

    def signals(self) -> Sequence[Signal]:
        joined = [] if self._joiner is None else self._joiner.signals
        return list(dict.fromkeys([self.abort, self.go, self.state, *joined]))

    def limits(self) -> LineLimits:
        """What it says that it can fly.

        Raises
        ------
        DeviceError
            It says nothing sensible. Names the PV, the value and the unit.
        """
        return LineLimits(
            min_dwell=published(self.min_dwell, "s"),
            max_dwell=published(self.max_dwell, "s"),
            max_points=int(published(self.max_points, "pixels")),
            run_up=published(self.run_up, "µm", zero=True),
        )

    def frame_time(self, nx: int, ny: int, dwell: float) -> FrameTime:
        """As `LineSource.frame_time`: a fly-back between two lines, and one after the last.

        Raises
        ------
        DeviceError
            It publishes no fly-back.
        """
        flyback = published(self.flyback, "s", zero=True)
        return FrameTime(nx * ny * dwell, (ny - 1) * flyback, flyback)

    def patience(self, raster: Raster) -> float:
        return 2 * sum(self.frame_time(raster.nx, 1, raster.dwell))

    def write(self, raster: Raster, origin: tuple[float, float]) -> Status:
        wanted = {getattr(self, name): getattr(raster, name) for name in PARAMETERS}
        return write_changed(self.name, wanted)

    def held(self, raster: Raster, again: Callable[[], Status]) -> list[Held]:
        return [
            Held(self.name, getattr(self, name), getattr(raster, name), 0.0, unit, again)
            for name, unit in PARAMETERS.items()
        ]

    def ready(self, flight: int, line: int, *, clean: bool) -> None:
        assert self._joiner is not None
        # After an interruption, monitors of lines that do not count may still be on
        # their way: ask for the indices instead of believing the last monitor.
        self._origin = self._joiner.origin(ask=not clean)

    def launch(self, flight: int, line: int) -> None:
        assert self._joiner is not None
        self._flight = flight
        self._joiner.start(flight, line, self._origin)
        self.go.put(line, wait=False)

    def until_idle(self, timeout: float) -> Status | None:
        """A controller that is still flying back would refuse the next image."""
        if self.doing(ask=False) != ScannerState.FLYING:
            return None
        idle = Move(f"{self.name} ({self.state.pvname}) coming to rest", timeout)

        def look(*, value: Any, **_: Any) -> None:
            if int(value) != ScannerState.FLYING:
                idle.end()

        idle.add_callback(lambda _: self.state.clear_sub(look))
        self.state.subscribe(look, run=True)
        return idle

    def halt(self, needed: Sequence[Signal], patience: float) -> Move:
        def order(halted: Move, again: Callable[[], None]) -> None:
            def answered(**_: Any) -> None:
                # Channel Access completes an order that a disconnection has lost as well.
                if self.abort.connected:
                    halted.end()
                else:
                    again()

            self.abort.put(1, use_complete=True, callback=answered)

        signals = list(dict.fromkeys([*self.signals(), *needed]))
        what = f"{self.name} ({self.abort.pvname}) halting"
        return halting(self.name, what, signals, order, patience)

    def halt_now(self) -> None:
        put_now(self.abort, 1)

    def doing(self, *, ask: bool) -> int:
        return int(self.state.get(use_monitor=not ask))

    def how_to_halt(self) -> str:
        return f"{typed(self)}.abort.put(1)"

    def _joined(self, flight: int, line: int, parts: Parts | None, when: float) -> None:
        """Callback of the joiner: a line is whole, or (``parts`` None) was lost on the way."""
        if parts is None:
            missed = "its data were lost on the way"
            self._listener.on_line(FlownLine(flight, line, when, missed=missed))
            return
        own = parts[OWN]
        _, number, trouble = own["info"]
        counts = {det.field: parts[f"counter {det.field}"]["line"] for det in self._detectors}
        missed = "" if int(trouble) == 0 else "the controller says so"
        self._listener.on_line(
            FlownLine(flight, int(number), when, own["x"], own["y"], counts, missed)
        )

    def _state_changed(self, *, value: Any, **_: Any) -> None:
        try:
            if int(value) == ScannerState.ERROR:
                text = self.message.get() or "an error without a message"
                raise DeviceError(f"{self.name} ({self.state.pvname}) reports: {text}")
        except Exception as exc:
            self._listener.on_error(exc, self._flight)
