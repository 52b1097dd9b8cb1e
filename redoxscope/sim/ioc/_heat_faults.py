"""Faults of heating stages and of what is around them, on request."""

from __future__ import annotations

import math

__all__ = ["HEAT_FAULTS", "HeatFaults"]

HEAT_FAULTS = {
    "sensor_fails": "sensor_fails: the controller's sensor reads nothing (NaN, INVALID)",
    "sensor_stuck": "sensor_stuck: the controller's sensor keeps its reading",
    "guard_sensor_fails": "guard_sensor_fails: the guard's thermocouple reads nothing",
    "cannot_reach": "cannot_reach [SHARE]: the heater has so much of its power (0.05)",
    "runaway": "runaway: full power, whatever the controller says",
    "silent": "silent: the controllers take no orders and say nothing new",
    "leak": "leak [FACTOR]: air comes in, so many times the pressure at rest (1000)",
    "cryostat_warm": "cryostat_warm [KELVIN]: the spectrometer's cryostat is so warm (0.2)",
    "clear": "clear: all of it ends",
}
"""Name of each fault: how it is written and what it does. They last until "clear"."""

_NUMBERS = {
    "cannot_reach": (0.05, 0.0, 1.0),
    "leak": (1e3, 0.0, 1e12),
    "cryostat_warm": (0.2, 0.0, 400.0),
}
"""Of those that have a number: what it is unless said, and its limits."""


class HeatFaults:
    """Faults that there are now: ``faults["leak"]`` is its number, of others 1; None: it is not."""

    def __init__(self) -> None:
        self._now: dict[str, float] = {}

    def __getitem__(self, name: str) -> float | None:
        return self._now.get(name)

    def __contains__(self, name: str) -> bool:
        return name in self._now

    def request(self, command: str) -> None:
        """Take a command.

        Raises
        ------
        ValueError
            Unknown fault, or a number that is none or beyond its limits.
        """
        name, *numbers = command.split() or [""]
        if name not in HEAT_FAULTS:
            raise ValueError(f"unknown fault 'heat {name}'; known: {', '.join(HEAT_FAULTS)}")
        usual, low, high = _NUMBERS.get(name, (1.0, 1.0, 1.0))
        try:
            number = float(numbers[0]) if numbers else usual
        except ValueError:
            number = math.nan
        if len(numbers) > (name in _NUMBERS) or not low <= number <= high:
            limits = f", from {low:g} to {high:g}" if name in _NUMBERS else ""
            raise ValueError(f"fault 'heat {command}': expected {HEAT_FAULTS[name]}{limits}")
        if name == "clear":
            self._now.clear()
        else:
            self._now[name] = number
