"""A motor that says when it did not arrive."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsMotor
from ophyd.device import required_for_connection
from ophyd.status import Status

from ._base import SETTLE_TIMEOUT, DeviceError, Move, ask, fail_when_lost, published
from ._channels import guard_channels
from ._numbers import number
from ._outage import survive_outages
from ._positioner import FreshSignal, FreshSignalRO, Positioner, check_limits
from ._times import travel_time
from ._watched import Way, watchable

__all__ = ["Motor"]


class Motor(Positioner, EpicsMotor):
    """EPICS motor whose moves end in place or in an error.

    `ophyd.EpicsMotor` reports a stopped move as a success (ophyd#734); here the readback is
    compared with the target when the motor says that it is done.

    Parameters
    ----------
    tolerance : float, optional
        Largest distance of the readback from the target at the end of a move, in the
        motor's units. Without it, the motor refuses to move: units differ.
    """

    user_readback = Cpt(FreshSignalRO, ".RBV", kind="hinted", auto_monitor=True, doc="where it is")
    user_setpoint = Cpt(
        FreshSignal, ".VAL", limits=True, auto_monitor=True, doc="where it was sent"
    )

    def __init__(self, prefix: str, *, name: str, tolerance: float | None = None, **kwargs: Any):
        self.tolerance = tolerance
        self._guard: Callable[[float], None] | None = None
        self._move: Move | None = None
        self.sent_to: float | None = None  # where this client sent it last
        kwargs.setdefault("labels", {"motors"})
        guard_channels()
        super().__init__(prefix, name=name, **kwargs)
        self.user_readback.name = self.name
        survive_outages(self)
        fail_when_lost((self.user_readback, self.user_setpoint), self._end_move)

    @required_for_connection
    @user_readback.sub_value
    def _pos_changed(self, timestamp: Any = None, value: Any = None, **kwargs: Any) -> None:
        """As in `ophyd.EpicsMotor`, for the readback that replaces its own."""
        self._set_position(value)

    limits = EpicsMotor.limits
    position = EpicsMotor.position

    def here(self) -> float:
        """Where it is, asked from the server now (motor units)."""
        return float(ask(self.user_readback))

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
        ValueError
            No number.
        DeviceError
            No tolerance, or a velocity with which it never arrives.
        """
        position = number(self.name, position, self.unit)
        check_limits(self.name, position, self.limits, self.unit)
        if self.tolerance is None or not self.tolerance > 0:
            raise DeviceError(
                f"{self.name} ({self.prefix}): tolerance = {self.tolerance} {self.unit}, so no "
                "move could be judged: give the motor a tolerance above 0"
            )
        self.time_to(position, position)  # raises where it says nothing about it
        if self._guard is not None:
            self._guard(position)

    def _speed(self) -> float:
        return published(self.velocity, f"{self.unit}/s")

    def time_to(self, target: float, start: float | None = None) -> float:
        """Time (s) that velocity and acceleration ask for a move; nothing moves.

        Parameters
        ----------
        target, start : float
            Motor units; ``start`` is where it stands by default.

        Raises
        ------
        DeviceError
            The record publishes a velocity or an acceleration that is none.
        """
        here = self.position if start is None else start
        ramp = published(self.acceleration, "s to its velocity", zero=True)
        return travel_time(target - here, self._speed(), ramp)

    def set(
        self,
        position: float,
        *,
        timeout: float | None = None,
        moved_cb: Callable[..., None] | None = None,
        wait: bool = False,
    ) -> Status:
        """Move to ``position`` (motor units) and check that it got there.

        Parameters
        ----------
        position : float
        timeout : float, optional
            Longest time (s); by default twice what `time_to` says, plus 5 s.
        moved_cb, wait
            As for `move`.

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` when the motor ends elsewhere, or after the time limit.
        """
        position = number(self.name, position, self.unit)
        self.check_value(position)
        self.sent_to = position
        seconds = self.time_to(position)
        if timeout is None:
            timeout = 2 * seconds + SETTLE_TIMEOUT
        goal = f"{position:.6g} {self.unit}"
        what = f"{self.name} ({self.prefix}) going to {goal}"
        move = Move(what, timeout)
        self._end_move(DeviceError(f"{self.name} ({self.prefix}) was sent to {goal} instead"))
        self._move = move
        try:
            moved = EpicsMotor.move(self, position, wait=False)
        except Exception:
            move.end()
            raise
        moved.add_callback(lambda status: move.attempt(lambda: self._arrived(move, position)))
        if moved_cb is not None:
            move.add_callback(lambda status: moved_cb(status, obj=self))
        here = partial(getattr, self, "position")
        watchable(move, Way(self.name, self.unit, self.position, position, seconds, here))
        if wait:
            move.wait()
        return move

    def _arrived(self, move: Move, position: float) -> None:
        """Say how the move ended; ophyd's own verdict is not asked (see the class)."""
        if move.done:  # a pause ended it, or it was sent elsewhere
            return
        assert self.tolerance is not None
        here = self.here()  # "done" may overtake the readback's monitor
        off = abs(here - position)
        if off <= self.tolerance:
            move.end()
            return
        move.end(
            DeviceError(
                f"{self.name} ({self.prefix}) stopped at {here:.6g} {self.unit}, "
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
