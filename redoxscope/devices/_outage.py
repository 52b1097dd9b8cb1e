"""After an outage: rights, limits and units are asked anew, and the log says what happened.

When a network or an IOC hangs, libca reports every channel as disconnected and without rights;
when it comes back libca reports the connection, but not the rights. ophyd believes what it was
told last, so without this every later put would fail with "No write access", for ever.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from ophyd.signal import EpicsSignalBase

from ._channels import asking
from ._timers import call_later

__all__ = ["survive_outages"]

log = logging.getLogger("redoxscope.devices")

GATHER = 1.0
"""Time (s) in which what happens to many PVs is gathered into one line of the log."""

SHOWN = 3
ANSWER_TIMEOUT = 5.0

_watched: WeakSet[EpicsSignalBase] = WeakSet()
_gone: set[str] = set()


def _in_use() -> set[str]:
    """Names of the PVs of devices that were not destroyed."""
    return {s.pvname for s in list(_watched) if not s._destroyed}  # noqa: SLF001


class _News:
    """Gathers the PVs to which the same thing happens at the same time.

    Parameters
    ----------
    what : str
        What happens to them; one line of the log for all.
    then : callable, optional
        ``then(names)``, called when that was said; it must not wait for anything.
    """

    def __init__(self, what: str, then: Callable[[list[str]], None] | None = None):
        self.what, self._then = what, then
        self._lock = threading.Lock()
        self._names: list[str] = []

    def add(self, name: str) -> None:
        with self._lock:
            self._names.append(name)
            first = len(self._names) == 1
        if first:
            call_later(GATHER, self._tell)

    def _tell(self) -> None:
        with self._lock:
            names, self._names = list(dict.fromkeys(self._names)), []
        used = _in_use()
        names = [name for name in names if name in used]  # hanging up is no outage
        if not names:
            return
        more = ", …" if len(names) > SHOWN else ""
        shown = ", ".join(names[:SHOWN])
        log.warning("%d PVs %s: %s%s", len(names), self.what, shown, more)
        if self._then is not None:
            self._then(names)


def _ask_limits(names: list[str]) -> None:
    """Limits, units and names of states: an IOC that was restarted may have others."""
    wanted = set(names)
    signals = [signal for signal in list(_watched) if signal.pvname in wanted]

    def ask() -> None:
        for signal in signals:
            try:
                pv = signal._read_pv  # noqa: SLF001
                with asking(pv):
                    if signal._destroyed or not signal.connected:  # noqa: SLF001
                        continue
                    values = pv.get_ctrlvars(timeout=ANSWER_TIMEOUT, warn=False)
                if values is None:  # silent again: all of it is asked again when it is back
                    log.warning("%s: its limits and units were not read", signal.pvname)
                    return
                signal._metadata_changed(  # noqa: SLF001  as ophyd's own motor does
                    signal.pvname, values, from_monitor=False, update=True
                )
            except Exception as exc:  # lost again: then it is asked again
                log.warning("%s: its limits and units were not read: %r", signal.pvname, exc)

    threading.Thread(target=ask, daemon=True, name="after-outage").start()


_lost = _News("do not answer any more")
_back = _News("answer again, and may be read and written as their server says", _ask_limits)


def survive_outages(device: Any) -> None:
    """Let every PV of a device that was lost and comes back be used as before.

    Parameters
    ----------
    device : ophyd.Device or ophyd.Signal
        Of any class; one that was given before is not watched twice.
    """
    if isinstance(device, EpicsSignalBase):
        survive_outage(device)
    for item in device.walk_signals() if hasattr(device, "walk_signals") else ():
        if isinstance(item.item, EpicsSignalBase):
            survive_outage(item.item)


def survive_outage(signal: EpicsSignalBase) -> None:
    """Let one signal that was lost and comes back be used as before."""
    if signal not in _watched:
        _watched.add(signal)
    read = signal._read_pv  # noqa: SLF001
    for pv in (read, getattr(signal, "_write_pv", read)):
        if _connection_changed not in pv.connection_callbacks:
            # First: who waits for the connection writes as soon as ophyd hears of it.
            pv.connection_callbacks.insert(0, _connection_changed)


def _connection_changed(*, pvname: str, conn: bool, pv: Any, **_: Any) -> None:
    """Callback of pyepics, for each change but the first connection."""
    from epics import ca

    if not conn:
        _gone.add(pvname)
        _lost.add(pvname)
    elif pvname in _gone:
        _gone.discard(pvname)
        rights = bool(ca.read_access(pv.chid)), bool(ca.write_access(pv.chid))
        for callback in list(pv.access_callbacks):
            callback(*rights, pv=pv)
        _back.add(pvname)
