"""A heated block and the sensor in it: first order, with the sensor's lag."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .._checks import finite

__all__ = ["Block", "Plant"]


@dataclass(frozen=True)
class Block:
    """What a heated block is like.

    Parameters
    ----------
    ambient_c : float
        Temperature (degC) that it takes without a heater.
    tau_s : float
        Time constant (s) with which it does.
    full_power_c : float
        How far (degC) above ambient the whole power of the heater brings it in the end.
    lag_s : float
        Time constant (s) of the sensor, shorter than that of the block.
    noise_c : float
        Standard deviation (degC) of a reading.

    Raises
    ------
    ValueError
        Names the field, its value and what it may be.
    """

    ambient_c: float = 20.0
    tau_s: float = 180.0
    full_power_c: float = 750.0
    lag_s: float = 4.0
    noise_c: float = 0.02

    def __post_init__(self) -> None:
        finite("ambient_c", self.ambient_c, "degC", -273.15, 1000.0)
        finite("tau_s", self.tau_s, "s", 0.0, 1e6, open_low=True)
        finite("full_power_c", self.full_power_c, "degC", 0.0, 5000.0, open_low=True)
        finite("lag_s", self.lag_s, "s", 0.0, self.tau_s / 2, open_low=True)
        finite("noise_c", self.noise_c, "degC", 0.0, 100.0)


class Plant:
    """Temperatures of block and sensor (degC), as the power has made them.

    Parameters
    ----------
    block : Block
    """

    def __init__(self, block: Block | None = None):
        self.made = block or Block()
        self.block_c = self.sensor_c = self.made.ambient_c
        self._of: tuple[float, float, float] = (0.0, 1.0, 1.0)

    def end_of(self, power: float) -> float:
        """Temperature (degC) in the end at a share of the full power."""
        return self.made.ambient_c + self.made.full_power_c * power

    def advance(self, seconds: float, power: float) -> None:
        """Let time pass at a share of the full power, from 0 to 1; exact for any time.

        The sensor follows the block as d(sensor)/dt = (block - sensor) / lag.
        """
        if seconds != self._of[0]:  # mostly the same again, and an exponential costs
            of_block = math.exp(-seconds / self.made.tau_s)
            self._of = (seconds, of_block, math.exp(-seconds / self.made.lag_s))
        _, of_block, of_sensor = self._of
        end = self.end_of(power)
        away = self.block_c - end
        behind = away * self.made.tau_s / (self.made.tau_s - self.made.lag_s)
        self.sensor_c = end + behind * of_block + (self.sensor_c - end - behind) * of_sensor
        self.block_c = end + away * of_block

    def jump(self, temperature_c: float) -> None:
        """Be at a temperature (degC) at once."""
        self.block_c = self.sensor_c = temperature_c
