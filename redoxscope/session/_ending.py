"""Ending what a session measures, in good order or, where that hangs, by telling every device."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from bluesky import RunEngine

from ..beamline import Beamline
from . import _signals
from ._engine import END_TIMEOUT, close_engine, end_run, stop_now

__all__ = ["Ending", "is_heater"]

log = logging.getLogger("redoxscope.session")


class Ending:
    """What ends in good order: by ``close``, at the end of a ``with``, and on a signal.

    Attributes
    ----------
    RE : bluesky.RunEngine
    beamline : Beamline
    ended_by : int or None
        Signal that ends it.
    closing : bool
    closed : threading.Event
    """

    RE: RunEngine
    beamline: Beamline
    _steps: ExitStack

    def __init__(self) -> None:
        self.ended_by: int | None = None
        self.closing, self.closed = False, threading.Event()

    def unless_ending(self, plan: Any) -> Any:
        """The plan, a preprocessor of the RunEngine.

        Raises
        ------
        RuntimeError
            The session is ending.
        """
        if self.closing or self.ended_by is not None:
            raise RuntimeError("the session is ending; it starts no plan any more")
        return plan

    def end_run(self, reason: str) -> bool:
        """Abort what is being measured, if anything is, and wait for the end of its clean-up.

        Parameters
        ----------
        reason : str
            For the stop document.

        Returns
        -------
        bool
            False when the clean-up hangs: then every device was told to stop directly.
        """
        ended = end_run(self.RE, reason)
        if not ended:
            log.error("the run's clean-up did not end within %g s", END_TIMEOUT)
        if not ended or self.RE.state == "panicked":
            stop_now(*_in_order(self.beamline))
        return ended

    def close(self) -> None:
        """End what the session started: run, live maps, log, connections, simulated beamline.

        A run that is going on, in whatever thread, is aborted, and its clean-up waited for.
        """
        if self.closing:
            return
        self.closing = True
        with self._steps:  # they come last; one that fails keeps none from coming
            during_a_run = self.RE.state != "idle"
            if during_a_run:
                log.warning("the session is closed during a run: aborting it")
            by = self.ended_by
            if self.end_run("session closed" if by is None else _signals.reason(by)):
                close_engine(self.RE)
            if during_a_run:
                _say_what_is_safe(self.beamline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if self.ended_by is not None:
            raise SystemExit(128 + self.ended_by)


def _in_order(beamline: Beamline) -> Iterator[Any]:
    """Devices that can be stopped: what heats, what flies, what lets the beam in, then the rest.

    What heats needs no answer to be told.
    """
    devices = [one for one in beamline.devices.values() if callable(getattr(one, "stop", None))]
    flyers = [one for one in devices if hasattr(one, "kickoff")]
    shutters = [one for one in devices if _is_shutter(one)]
    first = [*(one for one in devices if is_heater(one)), *flyers, *shutters]
    yield from first
    yield from (one for one in devices if one not in first)


def is_heater(device: Any) -> bool:
    """Whether it heats a sample."""
    return callable(getattr(device, "make_safe", None)) and hasattr(device, "temperature")


def _is_shutter(device: Any) -> bool:
    return hasattr(device, "is_open") and hasattr(device, "status")


def _say_what_is_safe(beamline: Beamline) -> None:
    """After a run that was ended early: where the shutters are, by their own reading."""
    devices = beamline.devices.values()
    shutters = [one for one in devices if _is_shutter(one)]
    flyers = any(hasattr(one, "kickoff") for one in devices)
    closed = [_closed(shutter) for shutter in shutters]  # each is asked
    if all(closed):
        safe = ["scanner halted"] * flyers + ["shutter closed"] * bool(shutters)
        what = "lines taken are kept" if flyers else "what was taken is kept"
        log.warning("the run was aborted: %s", ", ".join([*safe, what]))


def _closed(shutter: Any) -> bool:
    """Whether a shutter says that it is closed; else say so."""
    try:
        blade = int(shutter.status.get(use_monitor=False, timeout=2))
    except Exception as exc:
        log.error("%s does not say where it is (%s). CHECK IT BY HAND.", shutter.name, exc)
        return False
    if blade:
        log.error("the run has ended, but %s is OPEN. CHECK IT BY HAND.", shutter.name)
    return not blade
