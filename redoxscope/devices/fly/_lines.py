"""Lines of a FLY group: the client moves the slow axis, asks for a line, sees whether it was."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO, Signal
from ophyd.status import Status

from ...scan import Raster
from .._base import (
    SETTLE_TIMEOUT,
    BeamlineDevice,
    DeviceError,
    Move,
    NoAnswerError,
    ask,
    fail_when_lost,
    put_now,
    pv,
    settle,
    typed,
)
from .._halting import HALT_TIMEOUT, write_changed
from .._line_source import FlownLine, LineLimits, LineListener, ScannerState
from .._lines import LineArray
from .._numbers import positive, zero_or_more
from .._positioner import FreshSignalRO
from .._setting import Setting
from .._steps import Steps, run_steps
from .._times import FrameTime
from .._watch import Held
from ._counter import FlyCounter
from ._reader import ARMED, ERROR, FLYING, LineReader
from ._slow_axis import SlowAxis, halting_axes
from ._units import in_ms

__all__ = ["FlyLines"]

log = logging.getLogger("redoxscope.scanner")

MAX_POINTS = 16384
"""Pixels of a line, at most."""


def _number(value: float, check: Callable[[Any], Any], unit: str, doc: str) -> Any:
    return Cpt(Setting, value=value, check=check, unit=unit, kind="config", doc=doc)


class FlyLines(BeamlineDevice):
    """Line source of the FLY contract: one ``GO`` is one line.

    A put to ``GO`` completes also where the line failed, so a line counts only when ``INDEX`` and
    each counter's ``LINE:INDEX`` are one more than before, ``STATE`` is ARMED, and no counter says
    that it refused (then the counts are those of somebody else's line). Settings and ``ARM`` are
    written once per image, and after anything that went wrong. While a line is read the slow axis
    is on its way to the next.

    Parameters
    ----------
    axis_label : str
        What ``AXIS`` calls the fast axis.
    """

    contract = "fly"

    start = pv(EpicsSignal, "START", kind="config", auto_monitor=True, doc="first pixel, µm")
    stop_at = pv(EpicsSignal, "STOP", kind="config", auto_monitor=True, doc="last pixel, µm")
    npoints = pv(EpicsSignal, "NPOINTS", kind="config", auto_monitor=True, doc="pixels of a line")
    dwell_ms = pv(EpicsSignal, "DWELL", kind="config", auto_monitor=True, doc="ms per pixel")
    axis = pv(EpicsSignal, "AXIS", kind="config", auto_monitor=True, string=True, doc="flies")
    arm = pv(EpicsSignal, "ARM", kind="omitted", put_complete=True, doc="check the settings")
    go = pv(EpicsSignal, "GO", kind="omitted", put_complete=True, doc="fly a line")
    abort = pv(EpicsSignal, "ABORT", kind="omitted", put_complete=True, doc="give the line up")
    state = pv(EpicsSignalRO, "STATE", kind="omitted", auto_monitor=True, doc="idle armed flying")
    error = pv(EpicsSignalRO, "ERROR.VAL$", kind="omitted", string=True, doc="what is wrong")
    pos = pv(LineArray, "POS", kind="omitted", doc="positions of the last line, µm")
    index = pv(FreshSignalRO, "INDEX", kind="omitted", auto_monitor=True, doc="good lines")
    run_up = _number(0.0, zero_or_more, "um", "how far it goes beyond a line at each end")
    min_dwell = _number(1e-4, positive, "s", "shortest dwell")
    max_dwell = _number(10.0, positive, "s", "longest dwell")
    overhead = _number(0.05, zero_or_more, "s", "of each line: slow axis, start, end")
    deadline = _number(7.0, positive, "s", "its own time limit, beyond four times the dwell")

    def __init__(
        self,
        prefix: str = "",
        *,
        name: str,
        pvs: Mapping[str, str] | None = None,
        axis_label: str = "x",
        run_up: float = 0.0,
        min_dwell: float = 1e-4,
        max_dwell: float = 10.0,
        overhead: float = 0.05,
        **kwargs: Any,
    ):
        super().__init__(prefix, name=name, pvs=pvs, **kwargs)
        self._label = axis_label
        for signal, value in (
            (self.run_up, run_up),
            (self.min_dwell, min_dwell),
            (self.max_dwell, max_dwell),
            (self.overhead, overhead),
        ):
            signal.put(value)
        self._counters: tuple[FlyCounter, ...] = ()
        self._fast: Any = None
        self._slow: Any = None
        self._raster: Raster | None = None
        self._origin = (0.0, 0.0)
        self._going = False  # a GO of ours has not completed

    # -- as LineSource --------------------------------------------------------------------------

    def attach(
        self, detectors: Sequence[Any], axes: tuple[Any, Any], listener: LineListener
    ) -> None:
        """As `LineSource.attach`.

        Raises
        ------
        TypeError
            A counter of another contract, or no axes.
        """
        for det in detectors:
            if not isinstance(det, FlyCounter):
                raise TypeError(
                    f"{det.name} is no counter of the FLY contract, as {self.name} needs"
                )
        self._fast, self._slow = axes
        if self._slow is None:
            raise TypeError(f"{self.name} needs the fine stage's axes")
        self._counters, self._listener = tuple(detectors), listener
        self._axis = SlowAxis(self._slow, listener)
        self._reader = LineReader(self, self._counters)
        fail_when_lost(self.signals(), listener.on_lost)

    def where(self) -> Mapping[str, str]:
        busy = [self.state, *(det.line_state for det in self._counters)]
        own = {
            "line": self.index.pvname,
            "index": self.index.pvname,
            "state": ", ".join(signal.pvname for signal in busy),
            "sample_x": self.pos.pvname,
            "sample_y": self._slow.user_readback.pvname,
        }
        return own | {det.field: det.line.pvname for det in self._counters}

    def signals(self) -> Sequence[Signal]:
        own: list[Signal] = [self.arm, self.go, self.abort, self.state, self.index, self.pos]
        own += [self._slow.user_setpoint, self._slow.user_readback]
        for det in self._counters:
            own += [det.line, det.index, det.dwell_ms, det.npoints]
        return own

    def limits(self) -> LineLimits:
        """What it can fly, as the beamline file says: the contract publishes none of it."""
        return LineLimits(
            min_dwell=float(self.min_dwell.get()),
            max_dwell=float(self.max_dwell.get()),
            max_points=MAX_POINTS,
            run_up=float(self.run_up.get()),
        )

    def frame_time(self, nx: int, ny: int, dwell: float) -> FrameTime:
        """As `LineSource.frame_time`: each line begins with the slow axis, and a start."""
        return FrameTime(nx * ny * dwell, ny * float(self.overhead.get()), 0.0)

    def patience(self, raster: Raster) -> float:
        """Longer than the controller's own, which says what it was waiting for."""
        return 4 * raster.line_time + float(self.deadline.get()) + float(self.overhead.get())

    def write(self, raster: Raster, origin: tuple[float, float]) -> Status:
        self._raster, self._origin = raster, origin
        return write_changed(self.name, self._wanted(raster))

    def held(self, raster: Raster, again: Callable[[], Status]) -> list[Held]:
        units = {self.start: "µm", self.stop_at: "µm"}
        return [
            Held(signal.parent.name, signal, value, 0.0, units.get(signal, ""), again)
            for signal, value in self._wanted(raster).items()
        ]

    def ready(self, flight: int, line: int, *, clean: bool) -> Status:
        return run_steps(self._prepare(flight, line), self._goes_on(flight))

    def launch(self, flight: int, line: int) -> None:
        steps = self._lines(flight, line, self._go())
        run_steps(steps, self._goes_on(flight)).add_callback(
            lambda status: self._report(flight, status.exception(timeout=0))
        )

    def until_idle(self, timeout: float) -> Status | None:
        """Somebody else's line must not be taken for ours."""
        if self.doing(ask=False) != ScannerState.FLYING:
            return None
        idle = Move(f"{self.name} ({self.where()['state']}) coming to rest", timeout)
        signals = [self.state, *(det.line_state for det in self._counters)]

        def look(**_: Any) -> None:
            if self.doing(ask=False) != ScannerState.FLYING:
                idle.end()

        for signal in signals:
            signal.subscribe(look, run=False)
        idle.add_callback(lambda _: [signal.clear_sub(look) for signal in signals])
        look()
        return idle

    def halt(self, needed: Sequence[Signal], patience: float) -> Move:
        """Abort the line, and stop both axes: the contract's abort does not stop a motor."""
        flying = self._going or int(self.state.get()) == FLYING
        at_rest = partial(_rests, self.state)
        return halting_axes(self, (self._fast, self._slow), flying, at_rest, needed, patience)

    def halt_now(self) -> None:
        """Abort the line and stop both axes, without waiting."""
        errors = []
        for signal in (self.abort, self._slow.motor_stop, self._fast.motor_stop):
            try:
                put_now(signal, 1)
            except Exception as exc:  # the others are told all the same
                errors.append(exc)
        if errors:
            raise errors[0]

    def doing(self, *, ask: bool) -> int:
        """Flying also where a counter counts somebody else's line."""
        state = int(self.state.get(use_monitor=not ask))
        if state == FLYING or any(det.busy(anew=ask) for det in self._counters):
            return ScannerState.FLYING
        return ScannerState.ERROR if state == ERROR else ScannerState.IDLE

    def how_to_halt(self) -> str:
        return f"{typed(self)}.abort.put(1)"

    # -- a line ---------------------------------------------------------------------------------

    def _wanted(self, raster: Raster) -> dict[Signal, Any]:
        """What the group and each counter must be set to.

        The group writes a counter's settings only when its own change: what somebody else has
        set there since would stay, so they are written here.
        """
        dwell = in_ms(raster.dwell)
        wanted: dict[Signal, Any] = {
            self.start: raster.x_start,
            self.stop_at: raster.x_stop,
            self.npoints: raster.nx,
            self.dwell_ms: dwell,
            self.axis: self._label,
        }
        for det in self._counters:
            wanted |= {det.dwell_ms: dwell, det.npoints: raster.nx}
        return wanted

    def _goes_on(self, flight: int) -> Callable[[], bool]:
        return lambda: self._listener.still(flight, lambda: None)

    def _report(self, flight: int, error: BaseException | None) -> None:
        """Tell of what ended the lines, if it is not told otherwise."""
        if error is None or not self._goes_on(flight)():
            return
        if isinstance(error, TimeoutError | NoAnswerError):
            self._listener.on_lost(error)
        else:
            self._listener.on_error(_as_exception(error), flight)

    def _prepare(self, flight: int, line: int) -> Steps:
        """Settings, ARM, indices, slow axis: all that comes before a first GO."""
        assert self._raster is not None
        yield self.until_idle(self.patience(self._raster))
        yield write_changed(self.name, self._wanted(self._raster), ask=True)
        arming = Move(f"{self.name} ({self.arm.pvname}) arming", HALT_TIMEOUT + SETTLE_TIMEOUT)
        self.arm.put(1, use_complete=True, callback=lambda **_: arming.end())
        yield arming
        state, counting = self._reader.note()
        if state != ARMED:
            raise DeviceError(
                f"{self.name} ({self.arm.pvname}) is refused: {self._reader.what_is_wrong()}"
            )
        for det in counting:
            raise DeviceError(
                f"{det.name} ({det.line_state.pvname}) counts somebody else's line: one FLY "
                "group at a time for each counter"
            )
        yield from self._arrive(flight, line, self._slow_to(flight, line))

    def _go(self) -> Status:
        """Start a line; the status is done when the put has completed."""
        flown = Status()

        def over(**_: Any) -> None:
            self._going = False
            settle(flown, None)

        self._going = True
        self.go.put(1, use_complete=True, callback=over)
        return flown

    def _lines(self, flight: int, line: int, flown: Status) -> Steps:
        """From a line that was started to the last one."""
        raster = self._raster
        assert raster is not None
        while True:
            yield flown
            y = float(self._slow.user_readback.get())
            moved = self._axis.elsewhere(self._target(line))
            last = line + 1 >= raster.ny
            moving = None if last else self._slow_to(flight, line + 1)
            got = self._reader.read(flight, line, y, raster, self._origin)
            self._listener.on_line(replace(got, wrong=(moved,)) if moved else got)
            if last:
                return
            line += 1
            yield None  # void by now, if the line is to be flown again
            if got.missed:  # it was handed out all the same
                yield moving
                yield from self._prepare(flight, line)
            else:
                yield from self._arrive(flight, line, moving)
            while taken := self._reader.taken():
                self._listener.on_line(FlownLine(flight, line, time.time(), missed=taken))
                line += 1
                if line >= raster.ny:
                    return
                yield None
                yield from self._prepare(flight, line)
            started: list[Status] = []
            if not self._listener.still(flight, lambda to=started: to.append(self._go())):  # type: ignore[misc]
                return
            flown = started[0]

    def _target(self, line: int) -> float:
        raster = self._raster
        assert raster is not None
        return float(np.linspace(raster.y_start, raster.y_stop, raster.ny)[line])

    def _slow_to(self, flight: int, line: int) -> Status | None:
        """Send the slow axis to a line; None where the flight is void."""
        return self._axis.send(flight, self._target(line))

    def _arrive(self, flight: int, line: int, moving: Status | None) -> Steps:
        """Wait for the slow axis."""
        return self._axis.arrive(flight, self._target(line), f"line {line}", moving)


def _rests(state: Any) -> bool:
    return int(ask(state)) != FLYING


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else DeviceError(repr(error))
