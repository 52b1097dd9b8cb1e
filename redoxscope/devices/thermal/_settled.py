"""When a temperature counts as reached, and what shows that it never will be; no device in it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

import numpy as np

from ...inputs import as_number

__all__ = ["Band", "Ramp", "SensorWatch", "Settled"]


@dataclass(frozen=True)
class Band:
    """What *reached* means.

    Parameters
    ----------
    target : float
        degC
    tolerance : float
        Largest distance from it (degC).
    settle_s : float
        How long it has to be within (s).
    slope_limit : float
        Largest slope over that time (degC/min).
    gap_s : float
        Longest time (s) between two readings: of a longer one nobody knows what was.
    """

    target: float
    tolerance: float
    settle_s: float
    slope_limit: float
    gap_s: float = 10.0

    def has(self, temperature: float) -> bool:
        """Whether a temperature (degC) is within; NaN is not."""
        return abs(temperature - self.target) <= self.tolerance


@dataclass(frozen=True)
class Ramp:
    """Where a ramp should be.

    Parameters
    ----------
    start, target : float
        degC
    rate : float
        degC/min, above 0.
    begun : float
        Time (s).
    """

    start: float
    target: float
    rate: float
    begun: float

    @property
    def seconds(self) -> float:
        """How long it takes (s)."""
        return abs(self.target - self.start) / self.rate * 60.0

    def at(self, time_s: float) -> float:
        """Where it should be at a time (degC)."""
        way = max(time_s - self.begun, 0.0) / 60.0 * self.rate
        if way >= abs(self.target - self.start):
            return self.target
        return self.start + math.copysign(way, self.target - self.start)


class Settled:
    """Says from readings when a temperature is reached: within the band, and no longer changing.

    The first reading in the band is none: a ramp passes through it, a controller overshoots. It
    has to stay in for ``settle_s``, without a gap, and a straight line through the readings of
    that time must rise or fall by no more than ``slope_limit``.
    """

    def __init__(self, band: Band):
        self.band = band
        self._seen: deque[tuple[float, float]] = deque()
        self._since: float | None = None
        self.temperature = math.nan

    def feed(self, time_s: float, temperature: float) -> bool:
        """Take a reading; whether the temperature is reached.

        Parameters
        ----------
        time_s : float
            Not before that of the last reading.
        temperature : float
            degC; NaN where there is none.
        """
        time_s = as_number("time", time_s, "s")
        last = self._seen[-1][0] if self._seen else time_s
        if time_s < last:
            raise ValueError(f"time = {time_s:g} s comes after {last:g} s")
        self.temperature = temperature
        if not self.band.has(temperature) or time_s - last > self.band.gap_s:
            self._seen.clear()
            self._since = None
        if not self.band.has(temperature):
            return False
        self._since = time_s if self._since is None else self._since
        self._seen.append((time_s, temperature))
        # One reading from before the window stays: else it would not be covered.
        while len(self._seen) > 2 and self._seen[1][0] <= time_s - self.band.settle_s:
            self._seen.popleft()
        if time_s - self._since < self.band.settle_s:
            return False
        return abs(self.slope) <= self.band.slope_limit

    @property
    def in_band(self) -> bool:
        """Whether the last reading was."""
        return self._since is not None

    @property
    def in_band_s(self) -> float:
        """For how long without a break (s)."""
        return 0.0 if self._since is None else self._seen[-1][0] - self._since

    @property
    def slope(self) -> float:
        """Least-squares slope of the readings of the last settling time (degC/min).

        Infinite where there are no two: one reading does not say that nothing changes.
        """
        if len(self._seen) < 2 or self._seen[-1][0] <= self._seen[0][0]:
            return math.inf
        times, temperatures = np.asarray(self._seen).T
        times = times - times.mean()
        return float(60.0 * (times @ (temperatures - temperatures.mean())) / (times @ times))


LIKELY_C = (-272.0, 2000.0)
"""Range (degC) outside which a reading is no temperature of a stage."""


class SensorWatch:
    """Says from readings when a sensor has failed, or is stuck.

    Parameters
    ----------
    patience_s : float
        How long (s) readings may be missing.
    stuck_c : float
        How far (degC) a ramp may go, or should have gone, without the reading changing at all.
    stuck_s : float
        And for how long (s) it must not have changed.
    readings : int
        And how often it must have been read meanwhile.
    """

    def __init__(
        self, *, patience_s: float, stuck_c: float = 5.0, stuck_s: float = 120.0, readings: int = 8
    ):
        self.patience_s, self.stuck_c, self.stuck_s = patience_s, stuck_c, stuck_s
        self.readings = readings
        self._bad: float | None = None  # time since which no reading was one
        self._same: tuple[float, float, float] | None = None  # time, value, expected
        self._times = 0

    def feed(
        self, time_s: float, temperature: float, expected: float, output: float = math.nan
    ) -> str:
        """Take a reading; what is wrong with the sensor, in words; empty where nothing is.

        Parameters
        ----------
        time_s : float
        temperature : float
            degC; NaN where there is none.
        expected : float
            Where the ramp should be (degC).
        output : float
            Of the heater (%); NaN where it is not known.
        """
        low, high = LIKELY_C
        if not low <= temperature <= high:  # NaN, too
            self._bad = time_s if self._bad is None else self._bad
            self._same = None
            missing = time_s - self._bad
            if missing < self.patience_s:
                return ""
            what = "nothing" if math.isnan(temperature) else f"{temperature:.4g} degC"
            return f"the sensor has failed: it has read {what} for {missing:.3g} s"
        self._bad = None
        if self._same is None or temperature != self._same[1]:
            self._same, self._times = (time_s, temperature, expected), 0
            return ""
        self._times += 1
        since, _, was = self._same
        still = time_s - since
        if still < self.stuck_s or self._times < self.readings:
            return ""
        moved = abs(expected - was)
        if moved >= self.stuck_c:
            return (
                f"the sensor is stuck: it has read exactly {temperature:.6g} degC for {still:.3g} "
                f"s, in which the ramp went {moved:.3g} degC"
            )
        if output >= FULL or output <= EMPTY:
            return (
                f"the sensor is stuck: it has read exactly {temperature:.6g} degC for {still:.3g} "
                f"s, with the output at {output:.3g} %"
            )
        return ""


FULL, EMPTY = 99.5, 0.5
"""Output (%) at an end of its range: there a controller does not control any more."""
