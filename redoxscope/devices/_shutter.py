"""The beam shutter."""

from __future__ import annotations

import logging
import threading
from enum import IntEnum
from typing import Any, Protocol

from ophyd import Component as Cpt
from ophyd import EpicsSignal
from ophyd.signal import EpicsSignalBase
from ophyd.status import Status

from ._base import (
    BeamlineDevice,
    DeviceError,
    Move,
    NoAnswerError,
    ask,
    logged,
    published,
    put_now,
    pv,
    typed,
)
from ._numbers import number, positive
from ._owner import BeamlineBusyError, Owner, is_dead
from ._positioner import FreshSignalRO
from ._setting import Setting
from ._watch import Held

__all__ = ["ScanShutter", "Shutter", "ShutterMode"]

log = logging.getLogger("redoxscope.shutter")


class ShutterMode(IntEnum):
    """Who moves the blade.

    The user; the scanner (open only while a line is flown); or the user, who has to ask again
    within ``dead_man`` seconds, else it closes.
    """

    MANUAL = 0
    FOLLOW = 1
    HOLD = 2


MODES = {
    "open": ShutterMode.MANUAL,
    "closed": ShutterMode.MANUAL,
    "hold": ShutterMode.HOLD,
    "follow": ShutterMode.FOLLOW,
}


NUMBERS = {0.0: "closed", 1.0: "hold"}
"""What a number means, as it is read. That it was open does not say for how long it may be."""


def mode_of(name: str, value: Any) -> str:
    """The word for what a shutter is to do, from a word or from what it reads as.

    Raises
    ------
    ValueError
        Neither.
    """
    if isinstance(value, str):
        word = str(value) if value in MODES else None
    else:
        word = NUMBERS.get(number(name, value))
    if word is None:
        raise ValueError(
            f"{name}: {value!r} is none of {', '.join(map(repr, MODES))}, 0 (closed), 1 (hold)"
        )
    return word


class ScanShutter(Protocol):
    """What lets the beam in while lines are flown; it is closed whatever ends a plan."""

    name: str

    @property
    def blade(self) -> Any:
        """Monitored signal that says where the blade is, 0 closed; None where none is known."""

    @property
    def told_to_follow(self) -> bool:
        """Whether following the scanner is what this client asked for last."""

    @property
    def follows(self) -> bool:
        """The same, and it says so; raises `DeviceError` where somebody else took it."""

    def following(self) -> list[Held]:
        """What must hold while it follows."""

    def set(self, value: str | int) -> Status:
        """Go to ``"follow"``, ``"closed"``, and what else it can."""

    def check_free(self) -> None:
        """Refuse with `BeamlineBusyError` while somebody else measures."""

    def check_open_time(self, seconds: float, what: str) -> None:
        """Refuse with `ValueError` what needs it open for too long."""

    @property
    def takes_beam(self) -> bool:
        """Whether it can take the beam from the sample at all."""

    def check_holds(self) -> None:
        """Refuse with `DeviceError` where it cannot be held open, point by point."""


class Shutter(BeamlineDevice):
    """Shutter that follows the scanner during a scan and is closed after it.

    While it follows, the controller opens it for the lines of a raster and closes it at the
    raster's end, so a client that dies leaves no beam on the sample; ``dead_man`` closes it
    when a line takes longer than that. Where no scanner flies, ``"hold"`` opens it for
    ``dead_man`` seconds, and each repetition for as long again.
    """

    contract = "stamped"

    status = pv(FreshSignalRO, "Status", kind="hinted", auto_monitor=True, doc="0 closed, 1 open")
    command = pv(EpicsSignal, "Cmd", kind="omitted", auto_monitor=True, doc="0 close, 1 open")
    mode = pv(
        EpicsSignal, "Mode", kind="config", auto_monitor=True, doc="0 manual, 1 follow scan, 2 hold"
    )
    dead_man = pv(
        EpicsSignal, "DeadMan", kind="config", auto_monitor=True, doc="longest time open, s"
    )
    optional = ("Owner",)  # PVs that a beamline need not have
    time_limit = Cpt(
        Setting, value=5.0, check=positive, unit="s", kind="config",
        doc="longest time for the blade",
    )  # fmt: skip

    _following = False  # what this client asked for last; the monitor may lag behind it
    _ours = False  # this client let the beam in, and has not shut it out since
    _order: object = None  # the last thing that it was asked for
    _holding = False  # this client holds it open: it was seen so, and not let go since
    _latches = False  # the command PV says what was asked for last; a momentary one goes back to 0
    takes_beam = True
    interrupted = False
    """The RunEngine stopped it, in a pause, and it was not asked for anything since."""

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._orders = threading.Lock()
        real = isinstance(self.mode, EpicsSignalBase)  # not a fake of it, in somebody's test
        self._owner = Owner(self.pvs["Owner"] if real else None)

    def disown(self) -> None:
        """Let others have it, and hang up to the PV that named who has it."""
        self._owner.destroy()

    def destroy(self) -> None:
        self.disown()
        super().destroy()

    def check_free(self) -> None:
        """Refuse to measure while somebody else does, or may.

        Raises
        ------
        BeamlineBusyError
            Names whom, where that can be known, and says how to go on where nobody measures.
        """
        other = self._owner.other(ask=True)
        mode = int(ask(self.mode))
        does = {ShutterMode.FOLLOW: "follows the scanner", ShutterMode.HOLD: "is held open"}.get(
            ShutterMode(mode) if mode in tuple(ShutterMode) else ShutterMode.MANUAL
        )
        if not other and (does is None or self._ours or self._left_by_the_dead()):
            return
        whom = other or "somebody else, or for a client that died"
        what = f"{self.name} ({self.mode.pvname}) {does or 'is taken'} for {whom}"
        free = f"{typed(self)}.free()"
        raise BeamlineBusyError(
            f"{what}: nothing was moved. If nobody measures, {free} closes it and frees it"
        )

    def _left_by_the_dead(self) -> bool:
        signal = self._owner.signal
        return signal is not None and is_dead(str(signal.get(use_monitor=False) or ""))

    def free(self) -> None:
        """Close it and strike out whoever had it: for what a dead client has left behind."""
        self.stop()
        if self._owner.signal is not None:
            put_now(self._owner.signal, "")

    def stage(self) -> list[object]:
        """Take it for this client, and close it where a client that died let the beam in.

        Raises
        ------
        BeamlineBusyError
            Somebody else has it.
        """
        self.check_free()
        left = self._left_by_the_dead()
        if left:
            self.stop()
        self._owner.take()
        self._ours = self._ours or left  # the mode may read as it was for a moment yet
        return super().stage()

    def set(self, value: str | int) -> Status:
        """Go to ``"open"``, ``"closed"``, ``"hold"`` open for a while, or ``"follow"`` the scanner.

        Parameters
        ----------
        value : str or int
            What ``status`` reads as is taken too: 0 means ``"closed"``, and 1 ``"hold"``, for
            that it was open does not say that it may stay so.

        Returns
        -------
        ophyd.status.Status
            Done when the controller has taken the command and then reports the blade (or,
            for ``"follow"``, the mode) where it should be; else fails with `DeviceError`.

        Raises
        ------
        ValueError
            For anything else.
        DeviceError
            ``"hold"`` where no dead man would end it, or again where somebody else has closed it
            meanwhile or taken it out of holding: it is not opened again, unless it was asked to
            close in between.
        """
        value = mode_of(self.name, value)
        if value == "hold":
            published(self.dead_man, "s")
            self._check_held()
        if value != "closed" and (other := self._owner.other(ask=False)):
            raise BeamlineBusyError(f"{self.name} is not opened: {other} measures")
        follow = value == "follow"
        if follow:
            goal, signal = int(ShutterMode.FOLLOW), self.mode
        else:
            goal, signal = int(value != "closed"), self.status
        text = f"{self.name} ({signal.pvname}) is not confirmed {value}. CHECK IT BY HAND"
        move = Move(text, self.time_limit.get())
        taken, order = False, object()

        def confirm() -> None:
            if int(ask(signal)) != goal:
                return
            if value == "hold":
                latched = self._latches or int(ask(self.command)) == 1
                with self._orders:
                    self._latches, self._holding = latched, self._order is order
            move.end()

        def look(*, value: Any, **_: Any) -> None:
            if taken and int(value) == goal:
                move.attempt(confirm)  # the monitor may be of an earlier opening

        def command_taken(**_: Any) -> None:
            # Only now does what the PV says follow from the command. (The value that
            # ophyd caches of a PV that was written is the one that was asked for.)
            nonlocal taken
            taken = True
            move.attempt(confirm)

        signal.subscribe(look, run=False)
        move.add_callback(lambda _: signal.clear_sub(look))
        if value == "closed":
            move.add_callback(self._shut)
        error: DeviceError | None = None
        with self._orders:  # what is noted and what is written must not be in another order
            self._following = self.interrupted = False
            self._order, self._holding = order, self._holding and value == "hold"
            self._ours = self._ours or value != "closed"
            try:
                if not self.command.connected:
                    raise NoAnswerError(f"PV {self.command.pvname} is disconnected")
                if follow:
                    self.mode.put(goal, use_complete=True, callback=command_taken)
                else:
                    self.mode.put(int(MODES[value]), wait=False)
                    self.command.put(goal, use_complete=True, callback=command_taken)
                self._following = follow
            except Exception as exc:
                silent = isinstance(exc, TimeoutError | NoAnswerError)
                error = (NoAnswerError if silent else DeviceError)(f"{text}: {exc}")
        if error is not None:
            move.end(error)
        return move

    def _check_held(self) -> None:
        """Refuse to open again what somebody else has closed while this client held it open."""
        if not self._holding:
            return
        for signal, wanted in ((self.mode, int(ShutterMode.HOLD)), (self.command, 1)):
            if signal is self.command and not self._latches:
                continue
            found = int(ask(signal))
            if found != wanted:
                raise DeviceError(
                    f"{self.name} ({signal.pvname}) is {found} where {wanted} was asked for: it "
                    "was held open, and somebody else has taken it (or its controller was started "
                    f"anew). It is not opened again; {typed(self)}.set('closed') frees it"
                )

    def _shut(self, move: Status) -> None:
        if move.exception(timeout=0) is None:
            self._ours = False

    def check_open_time(self, seconds: float, what: str) -> None:
        """Refuse what needs it open for longer than its dead man allows.

        Raises
        ------
        ValueError
        """
        longest = published(self.dead_man, "s")
        if not seconds < longest:
            raise ValueError(
                f"{what} takes {seconds:g} s, longer than {self.name}.dead_man = {longest:g} s, "
                "which would close the shutter"
            )

    def check_holds(self) -> None:
        """Nothing: its dead man ends it."""

    @property
    def told_to_follow(self) -> bool:
        """Whether following the scanner is what this client asked for last."""
        return self._following

    @property
    def follows(self) -> bool:
        """Whether it was last told to follow the scanner, and says that it does.

        Raises
        ------
        DeviceError
            Somebody else took it out of following: it is not for a scan to open it again.
        TimeoutError
            Its server does not answer.
        """
        # The last monitor may be of the pause before this client asked for it again.
        off = self._following and self.mode.get() != ShutterMode.FOLLOW
        if off and int(ask(self.mode)) != ShutterMode.FOLLOW:
            raise DeviceError(
                f"{self.name} ({self.mode.pvname}) was taken out of following the scanner by "
                "somebody else; the scan ends rather than open it again"
            )
        return self._following

    @property
    def blade(self) -> Any:
        """What says where the blade is."""
        return self.status

    def following(self) -> list[Held]:
        """It is in the mode in which it follows, until this client takes it out."""
        meaning = (
            "it was taken out of following the scanner by somebody else; the scan ends rather "
            "than open it again"
        )
        mode = float(ShutterMode.FOLLOW)
        return [Held(self.name, self.mode, mode, 0.0, "", meaning=meaning)]

    @property
    def is_open(self) -> bool:
        """Whether the blade is out of the beam, asked from the server now."""
        return int(ask(self.status)) == 1

    def stop(self, *, success: bool = False) -> None:
        """Close, without waiting; ``success`` tells that the RunEngine does so, in a pause."""
        with self._orders:
            self._order, self._holding = None, False
            self._following = False
            self.interrupted = success
            try:
                put_now(self.mode, int(ShutterMode.MANUAL))
            finally:  # either of the two alone closes it
                put_now(self.command, 0)
            self._ours = False

    def unstage(self) -> list[object]:
        """Close what this client opened, and let others have it.

        A failure is logged only, for it must not hide what ended the plan.
        """
        if self._ours:
            logged(log, self.name, lambda: self.stop(success=True))
        self._owner.release()
        return super().unstage()
