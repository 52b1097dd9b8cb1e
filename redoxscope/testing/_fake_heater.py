"""A heating stage without EPICS, whose time passes when it is asked for its temperature."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ophyd import Component as Cpt
from ophyd import Signal

from ..devices import HeaterGuard, HeatingStage
from ..devices.thermal import Band, Controller, HeaterClock

__all__ = ["FakeHeater"]


class _Soft(Signal):
    """Signal with what a PV has besides: a name, limits, completion, an answer that may fail."""

    limits = (0.0, 0.0)

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.pvname = self.name
        self.asked: Callable[[], None] = lambda: None
        self.wrote: Callable[[Any], None] = lambda value: None

    def get(self, *, use_monitor: bool = True, **kwargs: Any) -> Any:
        """Its value; ``use_monitor=False`` asks."""
        if not use_monitor:
            self.asked()
        return super().get()

    def put(self, value: Any, *, callback: Callable[[], None] | None = None, **kwargs: Any) -> None:
        """Take it, and say so."""
        super().put(value)
        self.wrote(value)
        if callback is not None:
            callback()


class FakeController(Controller):
    """Ramps, and follows its set point as a first-order plant does.

    Attributes
    ----------
    time : float
        s
    step : float
        That pass whenever it is asked (s).
    lag : float
        Time constant (s).
    highest : float
        That the heater can reach (degC).
    ambient : float
        degC
    stuck, failed : bool
        Its sensor.
    silent : bool
        It does not answer.
    written : list of tuple
        Name of the attribute, and value, in the order in which they were written.
    """

    reading: Any = Cpt(_Soft, value=25.0, kind="omitted", doc="degC")
    demand: Any = Cpt(_Soft, value=25.0, kind="omitted", doc="degC")
    output: Any = Cpt(_Soft, value=0.0, kind="omitted", doc="%")
    speed: Any = Cpt(_Soft, value=2.0, kind="config", doc="degC/min")
    switch: Any = Cpt(_Soft, value=0, kind="config", doc="1: on")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        self.time, self.step, self.lag = 0.0, 10.0, 5.0
        self.highest, self.ambient = 1000.0, 25.0
        self.stuck = self.failed = self.silent = False
        self.written: list[tuple[str, Any]] = []
        self._true = self._ramped = 25.0
        self._passing = threading.RLock()
        super().__init__(prefix, name=name, **kwargs)
        self.reading.asked = self._asked
        for part in ("demand", "speed", "switch"):
            signal = getattr(self, part)
            signal.wrote = lambda value, part=part: self.written.append((part, value))

    def _asked(self) -> None:
        if self.silent:
            raise TimeoutError(f"{self.reading.name} does not answer")
        self.pass_by(self.step)

    def pass_by(self, seconds: float) -> None:
        """Let time pass (s)."""
        with self._passing:
            self.time += seconds
            on, goal = bool(Signal.get(self.switch)), float(Signal.get(self.demand))
            most = float(Signal.get(self.speed)) / 60 * seconds
            self._ramped += max(-most, min(most, goal - self._ramped))
            target = max(min(self._ramped, self.highest), self.ambient) if on else self.ambient
            share = 1.0 - math.exp(-seconds / self.lag)
            self._true += (target - self._true) * share
            self.output.put(max(0.0, (self._true - self.ambient) / 8) if on else 0.0)
            if self.failed:
                self.reading.put(math.nan)
            elif not self.stuck:
                # A last digit that is never twice the same, as of a real sensor.
                self.reading.put(self._true + 1e-3 * math.sin(self.time))

    @property
    def is_on(self) -> bool:
        return bool(Signal.get(self.switch))

    def orders_to_ramp(
        self, here: float, target: float, rate: float, *, on: bool
    ) -> Sequence[tuple[Any, Any]]:
        go = [(self.speed, rate), (self.demand, target)]
        self._ramped = self._ramped if on else here
        return go if on else [*go, (self.switch, 1)]

    def orders_to_cool(self, here: float, target: float, rate: float) -> Sequence[tuple[Any, Any]]:
        return self.orders_to_ramp(here, target, rate, on=True)

    def orders_to_hold(self, here: float) -> Sequence[tuple[Any, Any]]:
        self._ramped = here
        return [(self.demand, here)]

    def orders_to_switch_off(self) -> Sequence[tuple[Any, Any]]:
        return [(self.switch, 0)]


class FakeGuard(HeaterGuard):
    """Guard that watches nothing; a test trips it."""

    heartbeat: Any = Cpt(_Soft, value=0, kind="omitted", doc="0: nobody heats")
    dead_man: Any = Cpt(_Soft, value=30.0, kind="config", doc="s")
    ceiling: Any = Cpt(_Soft, value=650.0, kind="config", doc="degC")
    safe: Any = Cpt(_Soft, value=25.0, kind="config", doc="degC")
    tripped: Any = Cpt(_Soft, value=0, kind="config", doc="0, else why")


class _FakeClock(HeaterClock):
    """Time of the fake controller."""

    def __init__(self, controller: FakeController):
        super().__init__()
        self._controller = controller

    def now(self) -> float:
        """Time (s)."""
        return self._controller.time


class FakeHeater(HeatingStage):
    """The heating stage itself, on a controller that is only calculated.

    Time passes when the controller is asked: what waits for a temperature, or soaks, asks all the
    time, so hours are over in a moment, and nothing depends on how fast the machine is. Set
    ``controller.stuck``, ``.failed``, ``.silent`` or ``.highest`` for what can go wrong;
    ``controller.written`` is what was ordered.
    """

    controller: Any = Cpt(FakeController, "", kind="config", doc="calculated")
    guard: Any = Cpt(FakeGuard, "", kind="config", doc="a test trips it")

    poll_s = 0.001

    def __init__(
        self, name: str = "heater", *, low: float = 20.0, high: float = 600.0, **kwargs: Any
    ):
        super().__init__("", name=name, low=low, high=high, **kwargs)
        self.clock = _FakeClock(self.controller)

    def band(self, target: float) -> Band:
        """As the stage; between two readings there may be a long step of the fake time."""
        return replace(super().band(target), gap_s=300.0)
