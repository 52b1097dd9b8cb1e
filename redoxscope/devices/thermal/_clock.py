"""The time in which a stage heats: ours, or that of a simulation that runs faster."""

from __future__ import annotations

import time
from collections.abc import Callable

from ...inputs import as_number

__all__ = ["HeaterClock"]


class HeaterClock:
    """Seconds of the beamline.

    Parameters
    ----------
    scale : float
        Seconds of the beamline in a second here; 1 but in a simulation.
    monotonic : callable
        Time here (s).
    """

    def __init__(self, scale: float = 1.0, monotonic: Callable[[], float] = time.monotonic):
        self.scale = as_number("time_scale", scale, "s per s", above=0)
        self._monotonic = monotonic

    def now(self) -> float:
        """Time (s of the beamline), which never goes back; its zero means nothing."""
        return self._monotonic() * self.scale

    def here(self, seconds: float) -> float:
        """How long (s) so many seconds of the beamline take here."""
        return seconds / self.scale
