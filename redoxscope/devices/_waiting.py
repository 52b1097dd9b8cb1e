"""Waiting in a thread of one's own until servers say what they should."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from operator import eq
from threading import Event
from typing import Any

from ._base import DeviceError, NoAnswerError, ask
from ._watch import ask_all

__all__ = ["AbandonedError", "differing", "wait_until", "write"]

LOOK_EVERY = 0.1
"""Time (s) between two looks at whether it is still wanted."""


class AbandonedError(Exception):
    """Nobody wants it any more: a pause, or a stop, ended it."""


def wait_until(
    signal: Any,
    likes: Callable[[Any], bool],
    what: str,
    seconds: float,
    over: Callable[[], bool] = lambda: False,
) -> None:
    """Return when a server says what it should. Not for the RunEngine's thread.

    Parameters
    ----------
    signal : EpicsSignalBase
        Monitored.
    likes : callable
        Of a value: whether that is it.
    what : str
        What is waited for, naming the device.
    seconds : float
        Longest time (s).
    over : callable
        Whether nobody wants it any more.

    Raises
    ------
    AbandonedError
        Nobody does.
    DeviceError
        It says something else when the time is over.
    TimeoutError, NoAnswerError
        It does not answer.
    """
    seen = Event()

    def look(*, value: Any, **_: Any) -> None:
        if likes(value):
            seen.set()

    signal.subscribe(look, run=False)
    try:
        if likes(ask(signal)):
            return
        end = time.monotonic() + seconds
        while not seen.wait(LOOK_EVERY):
            if over():
                raise AbandonedError(what)
            if not signal.connected:
                raise NoAnswerError(f"{what}: PV {signal.pvname} is disconnected")
            if time.monotonic() > end:
                value = ask(signal)
                if likes(value):
                    return
                raise DeviceError(
                    f"{what}: {signal.pvname} is {value!r} after {seconds:g} s, not as it should"
                )
    finally:
        signal.clear_sub(look)


def differing(wanted: Mapping[Any, Any]) -> dict[Any, Any]:
    """What the signals say now that are not as wanted, all asked at once.

    Raises
    ------
    TimeoutError
        One does not answer.
    """
    before = dict(zip(wanted, ask_all(wanted), strict=True))
    return {signal: value for signal, value in before.items() if value != wanted[signal]}


def write(
    wanted: Mapping[Any, Any],
    what: str,
    seconds: float,
    over: Callable[[], bool] = lambda: False,
) -> dict[Any, Any]:
    """Write what differs, and wait until all of it is read back. Not for the RunEngine's thread.

    Parameters
    ----------
    wanted : mapping of signal to value
    what : str
        Naming the device, for messages.
    seconds : float
        Longest time (s) for each.
    over : callable
        Whether nobody wants it any more.

    Returns
    -------
    dict
        What the signals said that were written before they were.

    Raises
    ------
    AbandonedError
        Nobody wants it; nothing is written then, or not all.
    DeviceError
        One is not taken.
    TimeoutError, NoAnswerError
        One does not answer.
    """
    before = differing(wanted)
    if over():
        raise AbandonedError(what)
    for signal in before:
        if not signal.connected:
            raise NoAnswerError(f"{what}: PV {signal.pvname} is disconnected")
        signal.put(wanted[signal], wait=False)
    for signal, value in wanted.items():
        if signal in before:
            wait_until(signal, partial(eq, value), f"{what} ({value!r})", seconds, over)
    return before
