"""A shutter of the FLY contract: the lines open and close it."""

from __future__ import annotations

import logging
from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.signal import DerivedSignal
from ophyd.status import Status

from .._base import BeamlineDevice, DeviceError, Move, ask, done, logged, put_now, pv
from .._numbers import positive
from .._setting import Setting
from .._shutter import mode_of
from .._watch import Held

__all__ = ["FlyShutter"]

log = logging.getLogger("redoxscope.shutter")

OPEN, CLOSED = 0, 1
"""Values of ``MODE``; 2 is AUTO."""


class _IsOpen(DerivedSignal):
    """1 where the mode is OPEN, else 0."""

    def inverse(self, value: Any) -> int:
        return int(int(value) == OPEN)

    @property
    def pvname(self) -> str:
        return str(self.derived_from.pvname)


class FlyShutter(BeamlineDevice):
    """Gate that a FLY group opens for each line and closes after it.

    To follow the scanner nothing is written: the lines do it. What ``STATE`` says is recorded, not
    believed: hardware of the contract always says open. So ``status`` is what was asked for last,
    by anybody, and a line is not judged by it. There is no dead man: a client that dies while it
    is open by hand leaves it so; one that dies while lines are flown leaves it closed.
    """

    contract = "fly"

    mode = pv(EpicsSignal, "MODE", kind="config", auto_monitor=True, doc="0 open, 1 closed, 2 auto")
    state = pv(EpicsSignalRO, "STATE", kind="normal", auto_monitor=True, doc="0 closed, 1 open")
    status = Cpt(_IsOpen, derived_from="mode", kind="hinted", doc="1 where the mode is OPEN")
    time_limit = Cpt(
        Setting, value=5.0, check=positive, unit="s", kind="config",
        doc="longest time for an answer",
    )  # fmt: skip

    told_to_follow = False
    interrupted = False
    _ours = False
    blade = None
    takes_beam = True

    @property
    def follows(self) -> bool:
        """Whether it was told to follow the scanner."""
        return self.told_to_follow

    def following(self) -> list[Held]:
        """Nothing: each line writes its mode."""
        return []

    @property
    def is_open(self) -> bool:
        """Whether its mode is OPEN, asked from the server now."""
        return int(ask(self.status)) == 1

    def check_free(self) -> None:
        """Nothing in the contract says who measures."""

    def check_open_time(self, seconds: float, what: str) -> None:
        """Nothing in the contract limits it."""

    def check_holds(self) -> None:
        """Refuse to be held open.

        Raises
        ------
        DeviceError
            Nothing would close it if this client died.
        """
        raise DeviceError(
            f"{self.name} ({self.mode.pvname}) has no dead man, so it is not held open: open "
            "it with 'open', and close it again"
        )

    def set(self, value: str | int) -> Status:
        """Go to ``"open"``, ``"closed"``, or ``"follow"`` the scanner.

        Returns
        -------
        ophyd.status.Status
            Done when ``MODE`` reads as asked for; fails with `DeviceError`.

        Raises
        ------
        ValueError
            For anything else.
        DeviceError
            ``"hold"``: nothing would close it if this client died.
        """
        value = mode_of(self.name, value)
        if value == "hold":
            self.check_holds()
        self.told_to_follow, self.interrupted = value == "follow", False
        self._ours = self._ours or value != "closed"
        if value == "follow":
            return done()
        goal = OPEN if value == "open" else CLOSED
        text = f"{self.name} ({self.mode.pvname}) is not confirmed {value}. CHECK IT BY HAND"
        move = Move(text, self.time_limit.get())

        def taken() -> None:
            got = int(ask(self.mode))
            if got != goal:
                raise DeviceError(f"it is {got} where {goal} was written")
            if goal == CLOSED:
                self._ours = False
            move.end()

        try:
            self.mode.put(goal, use_complete=True, callback=lambda **_: move.attempt(taken))
        except Exception as exc:
            move.end(DeviceError(f"{text}: {exc}"))
        return move

    def stop(self, *, success: bool = False) -> None:
        """Close, without waiting; ``success`` tells that the RunEngine does so, in a pause."""
        self.told_to_follow, self.interrupted = False, success
        put_now(self.mode, CLOSED)
        self._ours = False

    def disown(self) -> None:
        """Nothing: nobody is named."""

    def unstage(self) -> list[object]:
        """Close what this client opened; a failure is logged only."""
        if self._ours:
            logged(log, self.name, lambda: self.stop(success=True))
        self.told_to_follow = False
        return super().unstage()
