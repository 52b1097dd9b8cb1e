"""A motor that says when it did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ophyd import EpicsMotor
from ophyd.status import Status
from ophyd.utils import LimitError

from ._base import SETTLE_TIMEOUT, DeviceError, Move, fail_when_lost
from ._outage import survive_outages

__all__ = ["Motor", "check_limits"]


def check_limits(name: str, value: float, limits: tuple[float, float], unit: str) -> None:
    """Refuse a value outside ``limits``, NaN, or limits that say nothing.

    EPICS reads limits (0, 0) as "no limits"; here they are an error, so that a check can
    never pass because nobody set them.

    Raises
    ------
    ophyd.utils.LimitError
        Names the device, the value, the limits and the unit.
    """
    low, high = limits
    if not low < high:
        raise LimitError(
            f"{name} publishes no soft limits (low {low:g}, high {high:g} {unit}): set them in "
            f"the IOC before moving it"
        )
    if not low <= value <= high:
        raise LimitError(
            f"{name} = {value:.6g} {unit} is outside its soft limits, {low:g} to {high:g} {unit}"
        )


class Motor(EpicsMotor):
    """EPICS motor whose moves end in place or in an error.

    `ophyd.EpicsMotor` reports a stopped move as a success (ophyd#734); here the readback is
    compared with the target when the motor says that it is done.

    Parameters
    ----------
    tolerance : float
        Largest distance of the readback from the target at the end of a move, in the
        motor's units.
    """

    def __init__(self, prefix: str, *, name: str, tolerance: float = 0.5, **kwargs: Any):
        self.tolerance = tolerance
        self._guard: Callable[[float], None] | None = None
        self._move: Move | None = None
        super().__init__(prefix, name=name, **kwargs)
        self.user_readback.name = self.name
        survive_outages(self)
        fail_when_lost((self.user_readback, self.user_setpoint), self._end_move)

    def guard(self, check: Callable[[float], None]) -> None:
        """Have ``check(position)`` refuse a move by raising; used by the interlock."""
        self._guard = check

    @property
    def unit(self) -> str:
        """Engineering unit that the record publishes with its value."""
        return self.user_setpoint.metadata.get("units") or ""

    def check_value(self, position: float) -> None:
        """Refuse a position outside the soft limits or against the interlock.

        Raises
        ------
        ophyd.utils.LimitError
            Outside the limits, NaN, or no limits published.
        redoxscope.optics.InterlockError
            Against the zone plate / OSA / sample geometry.
        """
        check_limits(self.name, position, self.limits, self.unit)
        if self._guard is not None:
            self._guard(position)

    def set(self, position: float, **kwargs: Any) -> Status:
        """Move to ``position`` (motor units) and check that it got there.

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` when the motor ends elsewhere, or after the time
            that distance and velocity ask for, twice, plus 5 s.
        """
        self.check_value(position)
        velocity = abs(self.velocity.get()) or 1.0
        timeout = 2 * abs(position - self.position) / velocity + SETTLE_TIMEOUT
        goal = f"{position:.6g} {self.unit}"
        self._end_move(DeviceError(f"{self.name} ({self.prefix}) was sent to {goal} instead"))
        move = Move(f"{self.name} ({self.prefix}) going to {goal}", timeout)
        self._move = move
        try:
            moved = super().set(position, **kwargs)
        except Exception:
            move.end()
            raise
        moved.add_callback(lambda status: move.attempt(lambda: self._arrived(move, position)))
        return move

    def _arrived(self, move: Move, position: float) -> None:
        """Say how the move ended; ophyd's own verdict is not asked (see the class)."""
        off = abs(self.user_readback.get() - position)
        if off <= self.tolerance:
            move.end()
            return
        move.end(
            DeviceError(
                f"{self.name} ({self.prefix}) stopped at {self.position:.6g} {self.unit}, "
                f"{off:.3g} {self.unit} from its target {position:.6g} {self.unit} (tolerance "
                f"{self.tolerance:g} {self.unit})"
            )
        )

    def _end_move(self, error: Exception | None) -> None:
        move = self._move
        if move is not None:
            move.end(error)

    def stop(self, *, success: bool = False) -> None:
        """Stop; with ``success`` (the RunEngine pausing) the move does not count as failed."""
        if success:
            self._end_move(None)
        if not self.motor_stop.connected:
            raise DeviceError(f"{self.name}: PV {self.motor_stop.pvname} is disconnected")
        super().stop(success=success)
