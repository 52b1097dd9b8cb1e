"""How far a heating is: what the stage says of the phase that is under way, and what is to come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._schedule import Schedule
from ..progress import RunProgress

__all__ = ["HeatProgress"]


class HeatProgress(RunProgress):
    """Progress of ramp, soak and cooling.

    The time that is left is what the stage says of its own phase (a soak that falls out of band
    takes longer, and says so), and the planned time of the phases that follow.

    Parameters
    ----------
    phases : sequence of float
        Planned times (s), of the heater's clock.
    heater : device
    """

    def __init__(self, phases: Sequence[float], heater: Any) -> None:
        planned = np.maximum(np.nan_to_num(np.asarray(phases, float)), 1e-3)
        zero, one = np.zeros(len(planned)), np.ones(len(planned), np.int64)
        super().__init__(
            Schedule(planned, zero, zero, zero, one, 0.0, 0.0), heater.name, heater.clock.now
        )
        self._planned = planned
        self._phase = 0
        self._told: tuple[float, float] | None = None  # left (s), and when it was told
        self._phase_at = self._begun

    def begin(self, phase: int, status: Any) -> None:
        """A phase is under way, of which a status tells."""
        with self._lock:
            if phase != self._phase:
                self._phase, self._phase_at = phase, self._clock()
            self._told = None
        if hasattr(status, "watch"):
            status.watch(self._hear)
        if hasattr(status, "add_callback"):  # one bar is enough, and this is it
            status.watch = self.watch

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        """Events end no phase: `begin` tells."""

    def _hear(self, **report: Any) -> None:
        left = report.get("time_remaining")
        if left is not None and math.isfinite(left):
            with self._lock:
                self._told = float(left), self._clock()

    def _elapsed_and_left(self) -> tuple[float, float]:
        now = self._clock()
        if self._told is not None:
            left = self._told[0] - (now - self._told[1])
        else:
            left = float(self._planned[self._phase]) - (now - self._phase_at)
        return now - self._begun, max(left, 0.0) + float(self._planned[self._phase + 1 :].sum())
