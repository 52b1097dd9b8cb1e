"""What watches the heater where the client does not: a ceiling, and a dead man, in an IOC."""

from __future__ import annotations

import logging
import threading
from enum import IntEnum
from typing import Any

from ophyd import EpicsSignal
from ophyd.status import Status

from .._base import (
    BeamlineDevice,
    DeviceError,
    Move,
    NoAnswerError,
    ask,
    published,
    put_now,
    pv,
    typed,
)

__all__ = ["HeaterGuard", "Trip"]

log = logging.getLogger("redoxscope.heater")


RESET = 15.0
"""Longest time (s) in which a trip is reset."""


class Trip(IntEnum):
    """Why the guard has switched the heater off."""

    NO = 0
    CEILING = 1
    DEAD_MAN = 2
    SENSOR = 3


WHY = {
    Trip.CEILING: "the temperature was above the ceiling",
    Trip.DEAD_MAN: "the client that heated was not heard of any more",
    Trip.SENSOR: "the sensor gave no temperature",
}


class HeaterGuard(BeamlineDevice):
    """Client's side of the guard, which is records of an IOC (``heater_guard.db``).

    While this client heats, a thread of its own writes ``heartbeat``; the guard switches the
    output off where that stops for ``dead_man`` seconds, the temperature is above ``ceiling``, or
    there is none. It stays off until `reset`.
    """

    heartbeat = pv(
        EpicsSignal, "Guard:Heartbeat", kind="omitted", auto_monitor=True, doc="0: nobody heats"
    )
    dead_man = pv(
        EpicsSignal, "Guard:DeadMan", kind="config", auto_monitor=True, doc="longest silence, s"
    )
    ceiling = pv(
        EpicsSignal, "Guard:Ceiling", kind="config", auto_monitor=True, doc="highest, degC"
    )
    safe = pv(
        EpicsSignal, "Guard:Safe", kind="config", auto_monitor=True, doc="set point then, degC"
    )
    tripped = pv(EpicsSignal, "Guard:Tripped", kind="config", auto_monitor=True, doc="0, else why")

    def __init__(self, prefix: str = "", *, name: str, **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self._lock = threading.Lock()
        self._over: threading.Event | None = None

    @property
    def trip(self) -> Trip:
        """Why it has tripped, by the last monitor.

        Raises
        ------
        DeviceError
            It says something that is no reason.
        """
        return self._trip(self.tripped.get())

    def _trip(self, code: Any) -> Trip:
        try:
            return Trip(int(code))
        except (TypeError, ValueError):
            raise DeviceError(
                f"{self.tripped.name} (PV {self.tripped.pvname}) says {code!r}: no reason known"
            ) from None

    def trouble(self, *, asked: bool = False) -> str:
        """What it says is wrong, by the last monitor; empty where it has not tripped.

        Parameters
        ----------
        asked : bool
            Ask the server.
        """
        trip = self._trip(ask(self.tripped)) if asked else self.trip
        if trip is Trip.NO:
            return ""
        return (
            f"{self.name} (PV {self.tripped.pvname}) has switched the heater off: {WHY[trip]}. "
            f"Find out why, then {typed(self)}.reset()"
        )

    def check(self, temperature: float) -> None:
        """Refuse to heat to a temperature (degC) that it would not allow.

        Raises
        ------
        DeviceError
            It has tripped, has no dead man, or its ceiling is not above the temperature.
        """
        if trouble := self.trouble(asked=True):
            raise DeviceError(trouble)
        published(self.dead_man, "s")
        ceiling = published(self.ceiling, "degC")
        if not temperature < ceiling:
            raise DeviceError(
                f"{self.name} (PV {self.ceiling.pvname}) has a ceiling of {ceiling:g} degC, and "
                f"would switch the heater off on the way to {temperature:.6g} degC"
            )

    def reset(self) -> Status:
        """Let it be heated again, after a trip. Nothing is heated by that.

        Returns
        -------
        ophyd.status.Status
            Fails with `DeviceError` where it stays tripped, for the cause is still there.
        """
        move = Move(f"{self.name} (PV {self.tripped.pvname}) being reset", RESET)

        def look(**_: Any) -> None:
            move.attempt(judge)

        def judge() -> None:
            trouble = self.trouble(asked=True)
            move.end(DeviceError(f"not reset: {trouble}") if trouble else None)

        if not self.tripped.connected:
            move.end(NoAnswerError(f"{self.name}: PV {self.tripped.pvname} is disconnected"))
        else:
            self.tripped.put(int(Trip.NO), use_complete=True, callback=look)
        return move

    @property
    def beating(self) -> bool:
        """Whether this client says that it heats."""
        return self._over is not None

    def begin(self) -> None:
        """Say from now on that this client heats, and is there; without effect where it does."""
        with self._lock:
            if self._over is not None:
                return
            self._over = over = threading.Event()
        threading.Thread(target=self._beat, args=(over,), daemon=True, name="heartbeat").start()

    def _beat(self, over: threading.Event) -> None:
        count, silent = 0, False
        while not over.is_set():
            count = count % 1_000_000 + 1
            pause = 1.0
            try:
                with self._lock:
                    if over.is_set():
                        return
                    put_now(self.heartbeat, count)
                pause = min(max(published(self.dead_man, "s") / 5, 0.05), 5.0)
                if silent:
                    log.warning("%s: hears this client again", self.name)
                silent = False
            except Exception as exc:  # an outage: the guard does what it is there for
                if not silent:
                    log.error("%s: does not hear that this client is there: %s", self.name, exc)
                silent = True
            over.wait(pause)

    def end(self) -> None:
        """Say no more that it heats, and nothing else: the guard trips, where it is heated."""
        with self._lock:
            over, self._over = self._over, None
            if over is not None:
                over.set()

    def release(self) -> None:
        """Say that nobody heats any more: what it does from now on is not this client's."""
        self.end()
        put_now(self.heartbeat, 0)

    def destroy(self) -> None:
        """Hang up; where it is heated still, the guard does not hear of this client any more."""
        self.end()
        super().destroy()
