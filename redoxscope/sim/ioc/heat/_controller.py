"""What the three controllers' PVs have in common."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Coroutine
from typing import Any

from caproto import AlarmSeverity, AlarmStatus, SkipWrite
from caproto.server import PVGroup, get_pv_pair_wrapper

from ...physics.thermal import Stage
from .._pvs import FIELDS

__all__ = ["READING", "Controller", "checked", "order", "pair"]

READING = "reading"
"""Group of the alarm of what a sensor reads: a failed one is no alarm of the set point."""

pair = get_pv_pair_wrapper()
"""PV that is written, and beside it one with ``_RBV`` that says what the instrument took."""

OFF_ON = ("Off", "On")
_FAILS = {"status": AlarmStatus.READ, "severity": AlarmSeverity.INVALID_ALARM}
_FINE = {"status": AlarmStatus.NO_ALARM, "severity": AlarmSeverity.NO_ALARM}


class Controller(PVGroup):
    """A controller of a stage.

    Parameters
    ----------
    stage : Stage
    now : callable
        Computes the stage up to this moment.
    changed : coroutine function
        Publishes what follows from an order.
    silent : callable
        Whether it takes no orders.
    """

    def __init__(
        self,
        *args: Any,
        stage: Stage,
        now: Callable[[], None],
        changed: Callable[[], Coroutine[Any, Any, None]],
        silent: Callable[[], bool],
        **kw: Any,
    ):
        super().__init__(*args, **kw)
        self.stage, self._now, self._changed, self._silent = stage, now, changed, silent
        self._failing = False

    async def take(self, act: Callable[[], None]) -> None:
        """Carry out an order.

        Raises
        ------
        SkipWrite
            Nobody is listening; the PV keeps its value, and the put completes.
        """
        if self._silent():
            raise SkipWrite
        self._now()
        act()
        if not self.stage.guard.closed:
            self.stage.obey()
            self.switch_off()
        self._now()  # where no time passes, what follows is there
        await self._changed()

    async def show(self, channel: Any, value: Any, stamp: float, *, always: bool = False) -> None:
        """Publish a value where it is a new one."""
        if always or channel.value != value:
            await channel.write(value, timestamp=stamp, **FIELDS)

    async def show_reading(self, channel: Any, value: Any, stamp: float, *, always: bool) -> None:
        """Publish what the sensor reads, with an alarm where it fails."""
        bad = not math.isfinite(self.stage.reading_c)
        if always or not (channel.value == value or (bad and self._failing)):
            self._failing = bad
            alarm = _FAILS if bad else _FINE
            await channel.write(value, timestamp=stamp, **FIELDS, **alarm)

    async def show_target(self, channel: Any, value: float, stamp: float) -> None:
        """Publish a set point that the guard, or another unit, has changed."""
        if not math.isclose(channel.value, value, abs_tol=5e-4):
            await channel.write(value, timestamp=stamp, **FIELDS)

    async def tell(self, stamp: float, *, always: bool = False) -> None:
        """Publish, with all off where the guard says so.

        Parameters
        ----------
        stamp : float
            The time (s since 1970) of which it is said.
        always : bool
            The reading too where it is the same again.
        """
        if not self.stage.guard.closed:
            self.switch_off()
        await self.publish(stamp, always=always)

    async def publish(self, stamp: float, *, always: bool) -> None:
        """Say how things are, where it is new; each controller in its own PVs."""
        raise NotImplementedError(f"{type(self).__name__} has no publish")

    def switch_off(self) -> None:
        """Have the controller's own output off, as by hand."""
        self.stage.switch_off()


def order(act: Callable[[Any, Any], Any]) -> Any:
    """Putter of a pair: what the action returns is what the instrument took."""

    async def put(pv: Any, instance: Any, value: Any) -> Any:
        taken: list[Any] = []
        await pv.parent.take(lambda: taken.append(act(pv.parent, value)))
        if taken[0] is None:  # it is said with the rest
            raise SkipWrite
        await pv.readback.write(taken[0], timestamp=time.time(), **FIELDS)
        return taken[0]

    return put


def checked(what: str, value: Any, low: float, high: float, unit: str) -> float:
    """A number within limits.

    Raises
    ------
    ValueError
        What, value, limits and unit.
    """
    number = float(value)
    if not low <= number <= high:  # NaN too
        raise ValueError(f"{what} = {number:g} {unit} is outside {low:g} to {high:g} {unit}")
    return number
