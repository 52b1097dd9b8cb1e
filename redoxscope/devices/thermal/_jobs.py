"""What follows the temperature in a thread of its own: a ramp, a soak, cooling down."""

from __future__ import annotations

import math
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress

from .._base import OUTAGE, DeviceError, Move, NoAnswerError, ask, put_now
from ._controller import Order
from ._followed import Followed
from ._settled import Ramp, SensorWatch, Settled
from ._soak import SoakClock

__all__ = ["Job", "Ramping", "Soaking"]

CONFIRM = 10.0
"""Longest time (s, here) in which an order is carried out."""

PATIENCE = 10.0
"""How long (s, here) a sensor may be silent."""


class Job(ABC):
    """Follows the temperature until something is reached, or wrong.

    Parameters
    ----------
    stage : Followed
    what : str
        What is to happen, for messages.
    """

    over = False  # somebody else took its place; under the stage's lock

    def __init__(self, stage: Followed, what: str):
        self.stage, self.controller, self.clock = stage, stage.controller, stage.clock
        self.status = Move(what, math.inf)  # time limits are of the beamline's time
        self._came: queue.Queue[tuple[float, float] | None] = queue.Queue()

    def start(self) -> None:
        """Begin."""
        threading.Thread(
            target=self.status.attempt, args=(self.follow,), daemon=True, name=self.stage.name
        ).start()

    @abstractmethod
    def follow(self) -> None:
        """What it does."""

    def replace(self) -> None:
        """Order nothing any more; under the stage's lock. Whoever calls it ends the status."""
        self.over = True
        self._came.put(None)

    @property
    def running(self) -> bool:
        """Whether it is at it."""
        return not (self.over or self.status.done)

    @property
    def may_order(self) -> bool:
        """Whether it may write; asked under the stage's lock."""
        return not self.over

    def wake(self) -> None:
        """Look again at once."""
        self._came.put(None)

    def rest(self, seconds: float) -> None:
        """Wait so long (s, here), unless it is replaced."""
        try:
            self._came.get(timeout=seconds)
        except queue.Empty:
            return

    def write(self, orders: Sequence[Order]) -> None:
        """Write one after the other, each when that before was taken.

        Raises
        ------
        NoAnswerError
            Nobody takes it.
        """
        for signal, value in orders:
            taken = threading.Event()
            with self.stage.ordering:  # nothing may be ordered after what ended this
                if not self.may_order:
                    return
                if not signal.connected:
                    raise NoAnswerError(f"{signal.name}: PV {signal.pvname} is disconnected")
                signal.put(value, use_complete=True, callback=lambda taken=taken, **_: taken.set())
            if not taken.wait(CONFIRM):
                raise NoAnswerError(
                    f"{signal.name}: PV {signal.pvname} did not take {value!r} within {CONFIRM:g} s"
                )

    def readings(self) -> Iterator[tuple[float, float]]:
        """Time (s) and temperature (degC, NaN where the sensor gives none), as they come.

        A PV that does not change tells nothing, so the server is asked where none comes.

        Raises
        ------
        NoAnswerError
            It has not answered for a minute.
        """
        signal = self.controller.reading
        answered, last = time.monotonic(), -math.inf

        def came(*, value: float, **_: object) -> None:
            self._came.put((self.clock.now(), value))

        cid = signal.subscribe(came, run=False)
        try:
            while self.running:
                try:
                    got = self._came.get(timeout=self.stage.poll_s)
                except queue.Empty:
                    got = None
                if got is None:
                    try:
                        value = ask(signal)
                    except TimeoutError as exc:
                        if time.monotonic() - answered > OUTAGE:
                            raise NoAnswerError(f"{self.status.what}: {exc}") from exc
                        continue
                    got = self.clock.now(), value
                answered = time.monotonic()
                last = max(last, got[0])  # a monitor may come after a later answer
                if self.running:
                    yield last, self.stage.celsius(got[1])
        finally:
            with suppress(KeyError):  # it was hung up meanwhile, and ophyd has forgotten it
                signal.unsubscribe(cid)


class _Heated(Job):
    """What needs the set point, the output, the sensor and the guard to be as they were."""

    def __init__(self, stage: Followed, what: str, target: float):
        super().__init__(stage, what)
        self.target = target
        self._asked = target  # degC, as it was written last
        self._begun = time.monotonic()
        self._seen_on = False
        self._strange: float | None = None
        self._sensor = self._new_watch()

    def _new_watch(self) -> SensorWatch:
        scale, band = self.clock.scale, self.stage.band(self.target)
        return SensorWatch(
            patience_s=PATIENCE * scale,
            stuck_c=max(5.0, 3 * band.tolerance),
            stuck_s=max(120.0, 2.0 * scale),
        )

    def trouble(self, time_s: float, temperature: float, expected: float) -> str:
        """What keeps it from going on, in words; empty where nothing does."""
        stage, controller = self.stage, self.controller
        if text := stage.guarded_trouble():
            return text
        if text := controller.fault():
            return text
        hot = self.target > stage.safe_temperature + 10.0
        output = float(controller.output.get()) if hot else math.nan
        if text := self._sensor.feed(time_s, temperature, expected, output):
            stage.sensor_failed(self)
            return f"{text}. The output is switched off"
        return self._switched_off() or self._set_elsewhere()

    def _switched_off(self) -> str:
        if self.controller.is_on:
            self._seen_on = True
            return ""
        if self._seen_on:
            return "its output was switched off by somebody else"
        late = time.monotonic() - self._begun > CONFIRM
        return "its output was switched on, and says that it is off" if late else ""

    def _set_elsewhere(self) -> str:
        """Somebody else set another temperature, or the controller did not take ours."""
        controller = self.controller
        allowed = controller.resolution
        if self._asked != self.target:  # it is stepped, and read back later
            step = self.stage.rate.get() / 60 * self.clock.scale
            allowed += step * (controller.lag_s + self.stage.poll_s)
        found = controller.demand_celsius(controller.demand.get())
        if abs(found - self._asked) <= allowed:
            self._strange = None
            return ""
        if self._strange is None:
            self._strange = time.monotonic()
        if time.monotonic() - self._strange < controller.lag_s:
            return ""
        found = controller.demand_celsius(ask(controller.demand))
        if abs(found - self._asked) <= allowed:
            self._strange = None
            return ""
        return (
            f"its set point (PV {controller.demand.pvname}) is {found:.6g} degC where "
            f"{self._asked:.6g} degC was asked for: somebody else has set it, or it was not taken"
        )


class Ramping(_Heated):
    """Goes to a temperature, and waits until it is reached."""

    def __init__(self, stage: Followed, target: float, here: float, on: bool):
        super().__init__(stage, f"{stage.label} going to {target:.6g} degC", target)
        self._held = self._again = False
        self._on = on
        self.sign = -1.0 if target < here else 1.0
        self.overshoot_c = 0.0
        self._here = here
        self._prepare(here)

    def _prepare(self, here: float) -> None:
        stage = self.stage
        self.settled = Settled(stage.band(self.target))
        self.ramp = Ramp(here, self.target, float(stage.rate.get()), self.clock.now())
        self.limit_s = 1.5 * self.ramp.seconds + stage.settle_s.get() + stage.margin_s
        self._sensor = self._new_watch()

    @property
    def left_s(self) -> float:
        """How long it takes yet (s), by where it is."""
        left = self.stage.time_to(self.target, rate=self.ramp.rate)
        return left - min(self.settled.in_band_s, float(self.stage.settle_s.get()))

    @property
    def held(self) -> bool:
        """Whether it waits for `go_on`."""
        return self._held

    def goes_to(self, target: float, rate: float) -> bool:
        """Whether it is on its way, or waits to be, to a temperature (degC) at a rate."""
        return self.running and self.target == target and self.ramp.rate == rate

    def hold(self) -> None:
        """Wait until `go_on`."""
        self._held = True

    def go_on(self) -> None:
        """Go on where it waits."""
        if self._held:
            self._again, self._held = True, False
            self.wake()

    @property
    def may_order(self) -> bool:
        return not (self.over or self._held)

    def _order(self, orders: Sequence[Order]) -> None:
        """Begin, or go on. Where that was stopped half-way, what holds it comes last."""
        self.write(orders)
        with self.stage.ordering:
            here = self.stage.position
            if self._held and not self.over and math.isfinite(here):
                for signal, value in self.controller.orders_to_hold(here):
                    put_now(signal, value)

    def follow(self) -> None:
        orders = self.controller.orders_to_ramp(
            self._here, self.target, self.ramp.rate, on=self._on
        )
        if not self.controller.ramps:
            self._asked = self._here
        self._order(orders)
        if self.stage.instant and not self.controller.ramps:
            self._step(self.target)
        for time_s, temperature in self.readings():
            if self._held:
                continue
            if self._again:
                self._again = False
                here = temperature if math.isfinite(temperature) else self._here
                self._prepare(here)
                self._begun, on = time.monotonic(), self.controller.is_on  # it may be off yet
                self._order(
                    self.controller.orders_to_ramp(here, self.target, self.ramp.rate, on=on)
                )
            if self._judge(time_s, temperature):
                return

    def _judge(self, time_s: float, temperature: float) -> bool:
        """Take a reading; whether that was the last."""
        expected = self.ramp.at(time_s)
        self.overshoot_c = max(self.overshoot_c, self._beyond(temperature))
        if text := self.trouble(time_s, temperature, expected):
            self.status.end(DeviceError(f"{self.status.what}: {text}"))
            return True
        if self.stage.instant:
            there = self.settled.band.has(temperature)
            if there:
                self._arrive()
            elif time.monotonic() - self._begun > 3 * CONFIRM:
                self.status.end(DeviceError(self._late(temperature)))
            return bool(self.status.done)
        if not self.controller.ramps:
            self._step(expected)
        if self.settled.feed(time_s, temperature):
            self._arrive()
            return True
        if time_s - self.ramp.begun > self.limit_s:
            self.status.end(DeviceError(self._late(temperature)))
            return True
        return False

    def _arrive(self) -> None:
        self.stage.arrived(self)  # before whoever waits goes on, and asks for a soak
        self.status.end()

    def _beyond(self, temperature: float) -> float:
        way = self.sign * (temperature - self.target)
        return 0.0 if math.isnan(way) else way

    def _step(self, expected: float) -> None:
        if abs(expected - self._asked) >= 0.5 or (
            expected == self.target and self._asked != expected
        ):
            self._asked = expected
            self.write(self.controller.orders_to_step(expected))

    def _late(self, temperature: float) -> str:
        output = float(self.controller.output.get())
        text = (
            f"{self.status.what}: not reached within {self.limit_s:.4g} s (1.5 times "
            f"{self.ramp.seconds:.4g} s at {self.ramp.rate:g} degC/min, and time to settle). It is "
            f"at {temperature:.5g} degC with the output at {output:.3g} %"
        )
        if not self.settled.in_band:
            return f"{text}: the heater cannot reach it, or not so fast"
        slope = self.settled.slope
        return f"{text}, in band for {self.settled.in_band_s:.3g} s, changing {slope:.3g} degC/min"


class Soaking(_Heated):
    """Stays at a temperature until it was in band for so long."""

    def __init__(
        self,
        stage: Followed,
        target: float,
        seconds: float,
        limit_s: float,
        sign: float,
        overshoot_c: float,
    ):
        super().__init__(
            stage, f"{stage.label} soaking {seconds:.6g} s at {target:.6g} degC", target
        )
        band = stage.band(target)
        self._seen_on = True
        self.seconds, self.limit_s = seconds, limit_s
        self.soak = SoakClock(
            target, band.tolerance, band.gap_s, sign=sign, overshoot_c=overshoot_c
        )

    @property
    def left_s(self) -> float:
        """How long it takes yet (s), where it stays in band."""
        return self.seconds - self.soak.record.in_band_s

    def follow(self) -> None:
        begun = self.clock.now()
        for time_s, temperature in self.readings():
            reached = self.soak.feed(max(time_s, begun), temperature) >= self.seconds
            if text := self.trouble(time_s, temperature, self.target):
                self.status.end(DeviceError(f"{self.status.what}: {text}; {self.soak.record}"))
                return
            if reached:
                self.status.end()
                return
            if time_s - begun > self.limit_s:
                self.status.end(
                    DeviceError(
                        f"{self.status.what}: not done within {self.limit_s:.6g} s: "
                        f"{self.soak.record}"
                    )
                )
                return
