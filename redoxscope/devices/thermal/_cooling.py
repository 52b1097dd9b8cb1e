"""Going down to the safe temperature, and off."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable

from .._base import DeviceError, Move, ask
from ._followed import Followed
from ._jobs import CONFIRM, Job

__all__ = ["Cooling"]

log = logging.getLogger("redoxscope.heater")

ORDERED = 30.0
"""Longest time (s) in which a controller takes the order."""

RETRY = 1.0
"""Time (s) between two attempts to tell a controller that does not answer."""


class Cooling(Job):
    """Ramps down, then switches the output off; where that cannot be, at once.

    It does not give up: a controller that does not answer is told when it answers again. Until
    then the guard hears no more of this client, and does it.
    """

    def __init__(self, stage: Followed, here: float, ramp_down: bool):
        super().__init__(stage, f"{stage.label} being made safe")
        self._here, self._ramp_down = here, ramp_down
        self.ordered = Move(f"{stage.label} being told to cool down, or off", ORDERED)
        self.status.ordered = self.ordered
        self._off = False
        self.ordered.add_callback(self._told)

    def _told(self, ordered: Move) -> None:
        error = ordered.exception(timeout=0)
        if error is not None:  # whoever waits is told; it is tried on
            self.status.end(error)

    @property
    def running(self) -> bool:
        return not (self.over or self._off)

    def follow(self) -> None:
        told = False
        while self.running:
            try:
                self._cool()
                return
            except Exception as exc:  # it does not give up, whatever it is
                if not told:
                    log.error(
                        "%s: not made safe: %s. It is tried again; CHECK IT BY HAND.",
                        self.stage.label, exc,
                    )  # fmt: skip
                    self.stage.forsake()
                told = True
                self.rest(RETRY)

    def _cool(self) -> None:
        stage, controller = self.stage, self.controller
        if self._ramp_down and controller.is_on and stage.guarded():
            rate, safe = float(stage.rate.get()), stage.safe_temperature
            here = min(self._here, stage.position)
            self.write(controller.orders_to_cool(here, safe, rate))
            self._confirm(lambda: self._demands(safe), f"its set point to be {safe:g} degC")
            self.ordered.end()
            limit = 1.5 * abs(self._here - safe) / rate * 60.0 + stage.margin_s
            begun, enough = self.clock.now(), safe + float(stage.tolerance.get())
            for time_s, temperature in self.readings():
                # Too slow: what is left is not the heater's. No temperature: no more heat.
                if math.isnan(temperature) or temperature <= enough or time_s - begun > limit:
                    break
                if not (stage.guarded() and controller.is_on):
                    break
        self.write(controller.orders_to_switch_off())
        self._confirm(lambda: not controller.is_on, "its output to be off")
        self.ordered.end()
        with stage.ordering:
            if self.over:
                return
            stage.switched_off = True
        self._off = True
        stage.released()
        self.status.end()

    def _demands(self, temperature: float) -> bool:
        controller = self.controller
        found = controller.demand_celsius(ask(controller.demand))
        return abs(found - temperature) <= controller.resolution

    def _confirm(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until the controller says so: an order that was taken may yet not be followed.

        Raises
        ------
        DeviceError
            It says otherwise.
        """
        late = time.monotonic() + CONFIRM
        while self.running and not holds():
            if time.monotonic() > late:
                raise DeviceError(f"it was told {what}, and says otherwise")
            self.rest(0.05)
