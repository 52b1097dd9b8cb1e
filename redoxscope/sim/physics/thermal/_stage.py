"""A heating stage: block, sensors, controller and guard, advanced together."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ._guard import Guard
from ._plant import Block, Plant
from ._regulator import Regulator

__all__ = ["Sample", "Stage"]

STEP_S = 1.0
"""How often (s) the controller looks at its sensor."""
IDLE_STEP_S = 5.0
"""Longest step (s) while the block cools."""
TELL_C, TELL_S = 0.5, 60.0
"""The sample is told of what has passed after so many degC or s, whichever is first."""


class Sample(Protocol):
    """What lies on a stage and remembers what was done to it."""

    def advance(self, seconds: float, temperature_c: float) -> None:
        """Let time pass at a temperature (degC)."""
        ...


class Stage:
    """A heated block with its controller, sensors and guard; and what lies on it.

    Parameters
    ----------
    block : Block, optional
    sample : Sample, optional
    seed : int
        Of the noise.

    Attributes
    ----------
    mode : str
        ``"off"``, ``"auto"`` (the regulator's output) or ``"manual"``.
    manual_percent : float
        Output in manual mode (%).
    share : float
        Share of the heater's power at 100 % output: the range of a controller.
    reading_c, output_percent : float
        What the controller sees (NaN: the sensor fails) and gives.
    sensor_fails, sensor_stuck, guard_sensor_fails, runaway : bool
        Faults. Runaway: the output stage gives all it has, whatever the controller asks for.
    power_left : float
        Share of the heater that is not broken.
    """

    def __init__(self, block: Block | None = None, *, sample: Sample | None = None, seed: int = 1):
        self.plant, self.sample = Plant(block), sample
        ambient = self.plant.made.ambient_c
        self.regulator, self.guard = Regulator(ambient), Guard()
        self.mode, self.manual_percent, self.share = "off", 0.0, 1.0
        self.sensor_fails = self.sensor_stuck = self.guard_sensor_fails = self.runaway = False
        self.power_left = 1.0
        self.reading_c, self.output_percent = ambient, 0.0
        self._noise = np.random.default_rng(seed)
        self._untold_s = 0.0
        self._told_c = ambient

    @property
    def guard_c(self) -> float:
        """What the guard's thermocouple reads (degC)."""
        return math.nan if self.guard_sensor_fails else self.plant.block_c

    @property
    def resting(self) -> bool:
        """Whether nothing changes any more: no power, as warm as its surroundings."""
        near = abs(self.plant.block_c - self.plant.made.ambient_c) < self.plant.made.noise_c
        return near and not self._powered

    @property
    def _powered(self) -> bool:
        heats = self.mode == "auto" or (self.mode == "manual" and self.manual_percent > 0)
        return self.guard.closed and (heats or self.runaway)

    def switch_off(self) -> None:
        """No output, as the controller's own switch."""
        self.mode, self.output_percent = "off", 0.0
        self.regulator.reset()

    def obey(self) -> None:
        """Where the guard has tripped, no output and a safe set point, whatever was ordered."""
        if not self.guard.closed:
            self.switch_off()
            self.regulator.target_c = self.regulator.working_c = self.guard.safe_c

    def advance(self, seconds: float) -> None:
        """Let time (s) pass."""
        left = seconds
        while left > 0:
            longest = STEP_S if self._powered else math.inf if self.resting else IDLE_STEP_S
            step = min(left, longest)
            left -= step
            self._step(step)
        self._read()

    def _step(self, seconds: float) -> None:
        self.regulator.move(seconds)
        self._read()
        if self.mode == "auto":
            self.output_percent = self.regulator.output(seconds, self.reading_c)
        else:
            self.output_percent = self.manual_percent if self.mode == "manual" else 0.0
        self.guard.check(self.guard_c)
        power = 1.0 if self.runaway else self.output_percent / 100 * self.share
        self.plant.advance(seconds, power * self.power_left if self.guard.closed else 0.0)
        self.guard.check(self.guard_c)
        self.obey()
        self._untold_s += seconds
        if abs(self.plant.block_c - self._told_c) > TELL_C or self._untold_s >= TELL_S:
            self._tell()

    def _tell(self) -> None:
        if self.sample is not None:
            self.sample.advance(self._untold_s, (self.plant.block_c + self._told_c) / 2)
        self._untold_s, self._told_c = 0.0, self.plant.block_c

    def catch_up(self) -> None:
        """Tell the sample of all that has passed."""
        if self._untold_s > 0:
            self._tell()

    def _read(self) -> None:
        if self.sensor_fails:
            self.reading_c = math.nan
        elif not self.sensor_stuck or not math.isfinite(self.reading_c):
            noise = self.plant.made.noise_c * self._noise.standard_normal()
            self.reading_c = self.plant.sensor_c + float(noise)

    def settle(self) -> None:
        """Stand where all this leads to, at once: for a dry run, in which no time passes."""
        self.guard.check(self.guard_c)
        self.regulator.working_c = self.regulator.target_c
        self.obey()
        hottest = self.plant.end_of(self.share * self.power_left)
        coldest = self.plant.made.ambient_c
        if self.mode == "auto":
            end = min(max(self.regulator.target_c, coldest), hottest)
        elif self.mode == "manual":
            end = self.plant.end_of(self.manual_percent / 100 * self.share * self.power_left)
        else:
            end = coldest
        self.plant.jump(end)
        self.output_percent = 100 * (end - coldest) / (hottest - coldest)
        self.reading_c = math.nan if self.sensor_fails else end
        self.guard.check(self.guard_c)
        self.obey()
