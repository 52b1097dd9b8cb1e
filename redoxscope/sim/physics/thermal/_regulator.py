"""The controller of a heater: a set point that ramps, and a PID."""

from __future__ import annotations

import math

__all__ = ["Regulator"]

TRACKING_S = 20.0
"""Time (s) in which the integral follows an output that is at its limit."""


class Regulator:
    """PID with a working set point that goes to the target at a rate.

    The default values are those of the simulated block by internal model control: the integral
    time is the block's time constant, and the gain lets the loop close in 20 s. So nothing is
    overshot (D. E. Rivera et al., Ind. Eng. Chem. Process Des. Dev. 25 (1986) 252). While the
    output is at a limit the integral follows it (back-calculation).

    Attributes
    ----------
    target_c, working_c : float
        Where to go, and what is regulated to on the way (degC).
    rate_c_min : float
        Rate of the working set point (degC/min); 0: it is at the target at once.
    gain : float
        Output (%) per degC.
    integral_s, derivative_s : float
        Integral and derivative time (s); an integral time of 0 is none.
    """

    def __init__(self, start_c: float = 20.0):
        self.target_c = self.working_c = start_c
        self.rate_c_min = 0.0
        self.gain, self.integral_s, self.derivative_s = 1.0, 180.0, 0.0
        self._integral = 0.0
        self._before: float | None = None

    @property
    def at_target(self) -> bool:
        """Whether the working set point has arrived."""
        return self.working_c == self.target_c

    def reset(self) -> None:
        """Forget what was before: the loop begins anew."""
        self._integral, self._before = 0.0, None

    def move(self, seconds: float) -> None:
        """Let the working set point go on."""
        if not self.at_target:
            way = self.target_c - self.working_c
            step = self.rate_c_min / 60.0 * seconds
            done = self.rate_c_min <= 0 or abs(way) <= step
            self.working_c = self.target_c if done else self.working_c + math.copysign(step, way)

    def output(self, seconds: float, reading_c: float) -> float:
        """Output (%) for the coming seconds, from 0 to 100; 0 where the sensor reads nothing."""
        if not math.isfinite(reading_c):
            self.reset()
            return 0.0
        error = self.working_c - reading_c
        before = reading_c if self._before is None else self._before
        self._before = reading_c
        # Of the reading, not of the error: a new set point is no blow.
        slope = (reading_c - before) / seconds
        wanted = self.gain * (error - self.derivative_s * slope) + self._integral
        given = min(max(wanted, 0.0), 100.0)
        if self.integral_s > 0:
            self._integral += self.gain * error * seconds / self.integral_s
        self._integral += (given - wanted) * min(seconds / TRACKING_S, 1.0)
        return given
