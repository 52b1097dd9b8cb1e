"""Waiting for all of a beamline at once; saying what is slow, and what does not answer."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ophyd import Signal
from ophyd.signal import EpicsSignalBase

__all__ = [
    "CONNECT_TIMEOUT",
    "PVConnectionError",
    "connect",
    "find_missing",
    "has_server",
    "missing_pvs",
    "walk_pvs",
]

log = logging.getLogger("redoxscope.session")

CONNECT_TIMEOUT = 10.0
"""Longest time (s) in which nothing further answers."""
LOOK_EVERY = 0.05
"""Time (s) that one device is waited for before the next is looked at: they connect meanwhile."""
SLOW = 2.0
"""Time (s) after which what does not answer yet is named."""
SHOWN = 5
LONGEST = 80
"""Letters of what a device says, in a warning."""


class PVConnectionError(ConnectionError):
    """What does not answer, by name."""


def walk_pvs(device: Any) -> Iterator[tuple[str, str, bool]]:
    """Attribute, PV name, and whether it is connected, for every PV of a device or signal."""
    walk = getattr(device, "walk_signals", None)
    found = [("", device)] if walk is None else [
        (item.dotted_name, item.item) for item in walk(include_lazy=False)
    ]  # fmt: skip
    for name, signal in found:
        soft = isinstance(signal, Signal) and not isinstance(signal, EpicsSignalBase)
        if not soft and hasattr(signal, "pvname"):
            yield name, signal.pvname, bool(signal.connected)


def connect(*devices: Any, timeout: float = CONNECT_TIMEOUT) -> None:
    """Wait until every PV, and every server, of these devices answers. Nothing moves.

    All are waited for at once. Devices with PVs survive outages from then on; one that has a
    ``connect(timeout)`` of its own, a detector behind a server, is told to.

    Parameters
    ----------
    *devices : ophyd.Device or Signal
    timeout : float
        Longest time (s) in which nothing further answers.

    Raises
    ------
    PVConnectionError
        Lists every PV that does not answer, with the part of the device it belongs to, and every
        server.
    Exception
        What a single server said, where all else answers.
    """
    from ..devices import survive_outages  # late: it loads the EPICS client

    missing, failed = find_missing(*devices, timeout=timeout)
    for device in devices:
        survive_outages(device)
    if not missing and len(failed) == 1:
        raise failed[0]
    if missing or failed:
        lines = [f"  {pv}  ({where})" for where, pv in missing]
        lines += [f"  {error}" for error in failed]
        what = [f"{len(missing)} PVs"] if missing else []
        what += [f"{len(failed)} servers"] if failed else []
        text = " and ".join(what)
        raise PVConnectionError("\n".join([f"{text} do not answer within {timeout:g} s:", *lines]))


def find_missing(
    *devices: Any, timeout: float = CONNECT_TIMEOUT
) -> tuple[list[tuple[str, str]], list[BaseException]]:
    """What does not answer: PVs as of `missing_pvs`, and what kept servers from being reached."""
    attempts = [_Attempt(device, timeout) for device in devices if has_server(device)]
    with_pvs = [device for device in devices if not has_server(device)]
    missing = missing_pvs(*with_pvs, timeout=timeout)
    errors = [attempt.error() for attempt in attempts]
    return missing, [error for error in errors if error is not None]


def missing_pvs(*devices: Any, timeout: float = CONNECT_TIMEOUT) -> list[tuple[str, str]]:
    """Device with attribute, and PV name, of everything that does not answer.

    Parameters
    ----------
    *devices : ophyd.Device or Signal
    timeout : float
        Given up when no further PV has answered for so long (s). Each takes some round trips of
        its own, one after the other, so over a slow connection the whole takes longer.
    """
    left, told = -1, False
    began = since = time.monotonic()
    waiting = list(devices)
    while True:
        troubles = [(device, _trouble(device, min(timeout, LOOK_EVERY))) for device in waiting]
        waiting = [device for device, trouble in troubles if trouble is not None]
        now = time.monotonic()
        if not waiting:
            if told:
                log.warning("all answer, after %.1f s", now - began)
            return []
        missing = list(_missing(troubles))
        if len(missing) != left:
            left, since = len(missing), now
        elif now - since >= timeout:
            return missing
        if not told and now - began >= SLOW:
            told = True
            log.warning("%d PVs do not answer yet: %s", len(missing), _shown(missing))


def _trouble(device: Any, timeout: float) -> str | None:
    """What a device says is missing; None when all of it answers."""
    try:
        device.wait_for_connection(timeout=timeout)
    except TimeoutError as exc:
        return str(exc)
    except RuntimeError as exc:
        # ophyd lists what it waits for while the EPICS client's threads take it off the list.
        if "during iteration" not in str(exc):
            raise
        return "it is just answering"
    return None


def _missing(troubles: Sequence[tuple[Any, str | None]]) -> Iterator[tuple[str, str]]:
    for device, trouble in troubles:
        if trouble is None:
            continue
        silent = [(at, pv) for at, pv, connected in walk_pvs(device) if not connected]
        for at, pv in silent:
            yield f"{device.name}.{at}" if at else device.name, pv
        if not silent:  # it waits for something of its own
            yield device.name, trouble


def _shown(missing: Sequence[tuple[str, str]]) -> str:
    more = ", …" if len(missing) > SHOWN else ""
    # What a device says itself may be a list of all its PVs, which have answered since.
    short = (
        f"{where}: {_cut(pv)}" if " " in pv else f"{pv} ({where})" for where, pv in missing[:SHOWN]
    )
    return ", ".join(short) + more


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[: LONGEST - 1].rstrip() + "…"


def has_server(device: Any) -> bool:
    """Whether a device connects by itself, to a server that is no PVs."""
    return callable(getattr(device, "connect", None))


class _Attempt:
    """A device that connects in a thread of its own."""

    def __init__(self, device: Any, timeout: float):
        self._error: BaseException | None = None
        self._thread = threading.Thread(
            target=self._run,
            args=(device.connect, timeout),
            daemon=True,
            name=f"connect {device.name}",
        )
        self._thread.start()

    def _run(self, connect: Callable[[float], None], timeout: float) -> None:
        try:
            connect(timeout)
        except BaseException as exc:  # raised where it is waited for
            self._error = exc

    def error(self) -> BaseException | None:
        """What it failed with, once it has ended."""
        self._thread.join()
        return self._error
