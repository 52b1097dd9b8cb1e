"""What takes the power away whatever the controller says."""

from __future__ import annotations

import math

__all__ = ["TRIPS", "Guard"]

TRIPS = ("OK", "OverTemperature", "DeadMan", "Sensor")


class Guard:
    """A contactor before the heater, with a thermocouple of its own.

    Attributes
    ----------
    ceiling_c : float
        Temperature (degC) from which there is no power.
    safe_c : float
        What the controller's set point is made when it trips (degC).
    tripped : str
        One of `TRIPS`.
    reason : str
        In words; empty while nothing is tripped.
    """

    def __init__(self, ceiling_c: float = 620.0, safe_c: float = 25.0):
        self.ceiling_c, self.safe_c = ceiling_c, safe_c
        self.tripped, self.reason = TRIPS[0], ""

    @property
    def closed(self) -> bool:
        """Whether the heater may have power."""
        return self.tripped == TRIPS[0]

    def trip(self, why: str, reason: str) -> None:
        """Take the power away; the first cause is the one that is told."""
        if self.closed:
            self.tripped, self.reason = why, reason

    def check(self, temperature_c: float) -> None:
        """Trip where the guard's thermocouple is too hot, or reads nothing."""
        if not math.isfinite(temperature_c):
            self.trip("Sensor", "the guard's thermocouple reads nothing")
        elif temperature_c >= self.ceiling_c:
            self.trip(
                "OverTemperature", f"{temperature_c:.1f} degC, ceiling {self.ceiling_c:g} degC"
            )

    def reset(self, temperature_c: float) -> None:
        """Give power back.

        Raises
        ------
        ValueError
            What tripped it is still there; with value and limit.
        """
        before = self.tripped, self.reason
        self.tripped, self.reason = TRIPS[0], ""
        self.check(temperature_c)
        if not self.closed:
            why = self.reason
            self.tripped, self.reason = before
            raise ValueError(f"the guard cannot be reset: {why}")
