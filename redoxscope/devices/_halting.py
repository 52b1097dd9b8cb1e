"""Halting a controller, however long it takes until it answers; writing what differs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ophyd import Signal
from ophyd.status import Status

from ._base import DeviceError, Move, done
from ._timers import call_later
from ._waiting import differing

__all__ = ["HALT_TIMEOUT", "halting", "write_changed"]

log = logging.getLogger("redoxscope.scanner")

HALT_TIMEOUT = 5.0
"""Time (s) within which the controller reports that it is idle after an abort."""


def halting(
    name: str,
    what: str,
    signals: Sequence[Signal],
    order: Callable[[Move, Callable[[], None]], None],
    patience: float,
) -> Move:
    """Halt, once all PVs that are needed answer.

    Asked again after a disconnection, which is where an order gets lost.

    Parameters
    ----------
    name, what : str
        Of the source, and of the halt, for messages.
    signals : sequence of Signal
    order : callable
        ``order(move, again)`` gives the order and ends the move when nothing moves any more; it
        calls ``again`` where the order may have been lost.
    patience : float
        Longest time (s).
    """
    halted = Move(what, patience)
    lock, asked = threading.RLock(), False

    def ask(**_: Any) -> None:
        halted.attempt(look)

    def look() -> None:
        nonlocal asked
        with lock:
            missing = [sig for sig in signals if not sig.connected]
            if missing:
                asked = False
                pv = getattr(missing[0], "pvname", missing[0].name)
                halted.what = f"{name}: PV {pv} is disconnected, it did not come back"
            if missing or asked or halted.done:
                return
            asked = True
            halted.what = what
            order(halted, ask)

    def tell() -> None:
        log.warning(
            "%s: the controller does not answer; waiting for it, at most %g s", name, patience
        )

    slow = call_later(HALT_TIMEOUT, tell)
    for signal in signals:
        signal.subscribe(ask, event_type=signal.SUB_META, run=False)

    def clear(_: Status) -> None:
        slow.cancel()
        for signal in signals:
            signal.clear_sub(ask, event_type=signal.SUB_META)

    halted.add_callback(clear)
    ask()
    return halted


def write_changed(what: str, wanted: Mapping[Any, Any], *, ask: bool = False) -> Status:
    """Write what differs from the present values; done when all was read back as written.

    Parameters
    ----------
    what : str
        For messages.
    wanted : mapping of Signal to value
    ask : bool
        Ask the servers what differs; else believe the last monitors.
    """
    if ask:
        changed = {sig: wanted[sig] for sig in differing(wanted)}
    else:
        changed = {sig: value for sig, value in wanted.items() if sig.get() != value}
    if not changed:
        return done()
    last = list(changed)[-1]
    move = Move(f"{what} ({last.pvname}) taking the raster", HALT_TIMEOUT)
    lock, left = threading.Lock(), len(changed)

    def taken(**_: Any) -> None:
        nonlocal left
        with lock:
            left -= 1
            all_taken = left == 0
        if all_taken:
            move.attempt(check)

    def check() -> None:
        # Anew: what ophyd caches of a PV that was written is what was asked for.
        for signal, got in differing(changed).items():
            raise DeviceError(f"{signal.pvname} is {got} where {changed[signal]} was written")
        move.end()

    try:
        for signal, value in changed.items():
            signal.put(value, use_complete=True, callback=taken)
    except Exception as exc:
        move.end(DeviceError(f"{move.what}: {exc}"))
    return move
