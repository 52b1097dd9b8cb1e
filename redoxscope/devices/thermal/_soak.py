"""How long a sample was at temperature: only time in band counts; no device in it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...inputs import as_number

__all__ = ["SoakClock", "Soaked"]


@dataclass(frozen=True)
class Soaked:
    """What a soak was.

    Attributes
    ----------
    target, tolerance : float
        degC
    in_band_s : float
        Time in band, which is what was asked for (s).
    left_out_s : float
        Time from its beginning that does not count: out of band, or not known (s).
    longest_gap_s : float
        Longest stretch of that without a break (s).
    min_c, max_c : float
        Lowest and highest reading (degC); NaN where there was none.
    overshoot_c : float
        How far it went beyond the target, the ramp before it included (degC); 0 where it did not.
    """

    target: float
    tolerance: float
    in_band_s: float = 0.0
    left_out_s: float = 0.0
    longest_gap_s: float = 0.0
    min_c: float = math.nan
    max_c: float = math.nan
    overshoot_c: float = 0.0

    def __str__(self) -> str:
        text = f"{self.in_band_s:.6g} s within {self.tolerance:g} degC of {self.target:g} degC"
        if self.left_out_s:
            text += f", {self.left_out_s:.4g} s left out (at once {self.longest_gap_s:.4g} s)"
        return text


class SoakClock:
    """Adds up the time between readings that were both in band.

    Parameters
    ----------
    target, tolerance : float
        degC
    gap_s : float
        Longest time between two readings (s) that counts; of a longer one nobody knows.
    sign : float
        1 where it was heated to the target, -1 where cooled: what overshooting means.
    overshoot_c : float
        Of the ramp before (degC).
    """

    def __init__(
        self,
        target: float,
        tolerance: float,
        gap_s: float,
        *,
        sign: float = 1.0,
        overshoot_c: float = 0.0,
    ):
        self.target, self.tolerance, self.gap_s, self._sign = target, tolerance, gap_s, sign
        self._overshoot = overshoot_c
        self._last: tuple[float, bool] | None = None
        self._in, self._out, self._gap, self._longest = 0.0, 0.0, 0.0, 0.0
        self._min, self._max = math.inf, -math.inf

    def feed(self, time_s: float, temperature: float) -> float:
        """Take a reading; the time in band so far (s).

        Parameters
        ----------
        time_s : float
            Not before that of the last reading.
        temperature : float
            degC; NaN where there is none.
        """
        time_s = as_number("time", time_s, "s")
        within = abs(temperature - self.target) <= self.tolerance
        if self._last is not None:
            last, was_within = self._last
            if time_s < last:
                raise ValueError(f"time = {time_s:g} s comes after {last:g} s")
            step = time_s - last
            if within and was_within and step <= self.gap_s:
                self._in += step
                self._gap = 0.0
            else:
                self._out += step
                self._gap += step
                self._longest = max(self._longest, self._gap)
        self._last = (time_s, within)
        if not math.isnan(temperature):
            self._min, self._max = min(self._min, temperature), max(self._max, temperature)
            self._overshoot = max(self._overshoot, self._sign * (temperature - self.target))
        return self._in

    @property
    def record(self) -> Soaked:
        """What it was so far."""
        none = self._min > self._max
        return Soaked(
            self.target,
            self.tolerance,
            self._in,
            self._out,
            self._longest,
            math.nan if none else self._min,
            math.nan if none else self._max,
            self._overshoot,
        )
