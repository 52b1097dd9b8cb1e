"""Waiting for PVs, and saying which do not answer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

__all__ = ["CONNECT_TIMEOUT", "PVConnectionError", "connect", "missing_pvs", "walk_pvs"]

CONNECT_TIMEOUT = 10.0
"""Longest time (s) in which no further PV of a device answers."""
LOOK_EVERY = 0.5


class PVConnectionError(ConnectionError):
    """PVs that do not answer, by name."""


def walk_pvs(device: Any) -> Iterator[tuple[str, str, bool]]:
    """Device and attribute, PV name, and whether it is connected, for every PV of a device."""
    if not hasattr(device, "walk_signals"):  # a signal by itself
        if hasattr(device, "pvname"):
            yield device.attr_name, device.pvname, bool(device.connected)
        return
    for item in device.walk_signals(include_lazy=True):
        name = getattr(item.item, "pvname", None)
        if name is not None:
            yield item.dotted_name, name, bool(item.item.connected)


def connect(device: Any, timeout: float = CONNECT_TIMEOUT) -> None:
    """Wait until every PV of a device answers; from then on it survives outages.

    Raises
    ------
    PVConnectionError
        Lists every PV that does not, with the part of the device it belongs to.
    """
    from ..devices import survive_outages  # late: it loads the EPICS client

    missing = missing_pvs(device, timeout)
    survive_outages(device)
    if missing:
        lines = "\n".join(f"  {pv}  ({device.name}.{attr})" for attr, pv in missing)
        raise PVConnectionError(f"{len(missing)} PVs do not answer within {timeout:g} s:\n{lines}")


def missing_pvs(device: Any, timeout: float = CONNECT_TIMEOUT) -> list[tuple[str, str]]:
    """Attribute and PV name of everything that does not answer.

    Parameters
    ----------
    device : ophyd.Device
    timeout : float
        Given up when no further PV has answered for so long (s). Each takes some round trips of
        its own, one after the other, so over a slow connection the whole takes longer.
    """
    left, since = -1, time.monotonic()
    while True:
        try:
            device.wait_for_connection(timeout=min(timeout, LOOK_EVERY))
        except TimeoutError:
            missing = [(attr, pv) for attr, pv, connected in walk_pvs(device) if not connected]
        else:
            return []
        now = time.monotonic()
        if len(missing) != left:
            left, since = len(missing), now
        elif now - since >= timeout:
            return missing
