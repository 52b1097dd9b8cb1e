"""A heater that ramps by a clock which passes when somebody waits for it, and detectors."""

from __future__ import annotations

from redoxscope.testing import FakeClock, FakePoint, PromptHeater


class RampClock(FakeClock):
    """Time passes as soon as somebody waits for it, and takes none here."""

    heater = None

    def here(self, seconds):
        left = self.heater.left
        if left is None or (left == 0 and not self.heater.moving):
            return 0.001  # the ramp is over: whoever waits is about to be told
        self.advance(min(seconds, left))
        return 0.0

    def advance(self, seconds):
        super().advance(seconds)
        self.heater.follow()


class RampHeater(PromptHeater):
    """Ramps at its rate, and settles for 60 s; at its ``beginning`` (degC) it is at once."""

    beginning = 25

    def __init__(self):
        super().__init__(clock=RampClock(), prompt=False)
        self.clock.heater = self
        self.temperature.put(25.0)
        self._begun = None

    def set(self, value):
        status = super().set(value)
        if not status.done:
            self._begun = (self.clock.time, self.position)
            if value == self.beginning:
                self.arrive()
            self.follow()
        return status

    @property
    def moving(self):
        return bool(self._moves)

    @property
    def left(self):
        """Time (s) until it has arrived; None where it goes nowhere."""
        if not self._moves:
            return None
        at, start = self._begun
        return max(at + self.time_to(self.setpoint.value, start) - self.clock.time, 0.0)

    def time_to(self, target, start=None, rate=None):
        here = self.position if start is None else start
        return 0.0 if here == target else super().time_to(target, here, rate)

    def follow(self):
        if not self._moves:
            return
        at, start = self._begun
        goal = self.setpoint.value
        way = self.rate.value / 60 * (self.clock.time - at)
        self.temperature.put(min(start + way, goal) if goal > start else max(start - way, goal))
        if not self.left:
            moves, self._moves = self._moves, []
            for status in moves:
                status.set_finished()


class Slow(FakePoint):
    """Counts for some time (s) of the heater's clock."""

    def __init__(self, heater, seconds, name="slow"):
        super().__init__(name)
        self.heater, self.seconds, self.counted = heater, seconds, 0

    def point_time(self, dwell=None):
        return self.seconds

    def trigger(self):
        self.counted += 1
        self.heater.clock.advance(self.seconds)
        return super().trigger()
