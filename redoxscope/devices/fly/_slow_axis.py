"""The axes of a FLY group that the client moves or has to stop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ophyd import Signal
from ophyd.status import Status

from .._base import LOST, SETTLE_TIMEOUT, DeviceError, Move, ask, put_now
from .._halting import halting
from .._line_source import LineListener
from .._steps import Steps

__all__ = ["SlowAxis", "halting_axes"]

ARRIVALS = 2
"""How often the slow axis is sent to a line; a stop that a halt asked for may hit a later move."""


class SlowAxis:
    """Motor record of the slow axis, sent to one line after the other.

    Parameters
    ----------
    motor : Motor
    listener : LineListener
        Says whether a flight is void: then nothing is moved.
    """

    def __init__(self, motor: Any, listener: LineListener):
        self._motor, self._listener = motor, listener

    def send(self, flight: int, target: float) -> Status | None:
        """Send it to a position (µm); None where the flight is void.

        Checks that take time are done before a stack, and where it arrived is seen afterwards.
        """
        motor = self._motor
        what = f"{motor.name} ({motor.user_setpoint.pvname}) going to {target:.6g} µm"
        move = Move(what, 2 * motor.time_to(target) + SETTLE_TIMEOUT)

        def put() -> None:
            motor.user_setpoint.put(target, use_complete=True, callback=lambda **_: move.end())

        try:
            sent = self._listener.still(flight, put)
        except Exception as exc:
            move.end(exc)
            return move
        if not sent:
            move.end()
            return None
        return move

    def arrive(self, flight: int, target: float, where: str, moving: Status | None) -> Steps:
        """Wait for it, and see where it is: a put completes also where it failed.

        Raises
        ------
        DeviceError
            It is elsewhere (µm), although sent again.
        """
        motor = self._motor
        for left in reversed(range(ARRIVALS)):
            yield moving
            off = abs(float(ask(motor.user_readback)) - target)
            if off <= motor.tolerance:
                return
            if left:
                moving = self.send(flight, target)
        raise DeviceError(
            f"{motor.name} ({motor.user_readback.pvname}) is {off:.4g} µm from {where} at "
            f"{target:.6g} µm (tolerance {motor.tolerance:g} µm)"
        )

    def elsewhere(self, target: float) -> str:
        """Who has sent it somewhere else meanwhile; empty where nobody has.

        Its set point tells: the readback of these records does not follow a move under way.
        """
        setpoint, tolerance = self._motor.user_setpoint, self._motor.tolerance
        sent = float(setpoint.get())
        if abs(sent - target) <= tolerance:
            return ""
        return (
            f"{self._motor.name} ({setpoint.pvname}) is {sent:.6g} µm where {target:.6g} µm was "
            f"asked for (tolerance {tolerance:g} µm)"
        )


def halting_axes(
    source: Any,
    axes: tuple[Any, Any],
    flying: bool,
    at_rest: Callable[[], bool],
    needed: Sequence[Signal],
    patience: float,
) -> Move:
    """Abort a line and stop the axes; done when nothing moves, asked from the server.

    Parameters
    ----------
    source : FlyLines
    axes : tuple of Motor
        Fast, slow.
    flying : bool
        Whether a line is, or may be, under way.
    at_rest : callable
        Asks whether none is.
    needed : sequence of Signal
        What has to answer, besides the source's own.
    patience : float
        Longest time (s).
    """
    fast, slow = axes
    done = [motor.motor_done_move for motor in axes]
    heard = [source.state, *done]
    aborted = False

    def order(halted: Move, again: Callable[[], None]) -> None:
        nonlocal aborted
        aborted = False

        def look(**_: Any) -> None:
            if aborted and not halted.done:
                halted.attempt(end)

        def end() -> None:
            try:
                rests = at_rest() and all(int(ask(signal)) for signal in done)
            except (TimeoutError, *LOST):
                return  # silent: when it is back it is asked to halt again
            if rests:
                halted.end()

        def taken(**_: Any) -> None:
            nonlocal aborted
            if not source.abort.connected:  # completed by the disconnection
                again()
                return
            aborted = True
            look()

        for signal in heard:
            signal.subscribe(look, run=False)
        halted.add_callback(lambda _: [signal.clear_sub(look) for signal in heard])
        # Not one that rests: the order might lie there, and hit its next move.
        if flying:
            put_now(fast.motor_stop, 1)
        if not int(slow.motor_done_move.get()):
            put_now(slow.motor_stop, 1)
        source.abort.put(1, use_complete=True, callback=taken)

    signals = list(dict.fromkeys([*source.signals(), *heard, *needed]))
    what = f"{source.name} ({source.abort.pvname}) halting"
    return halting(source.name, what, signals, order, patience)
