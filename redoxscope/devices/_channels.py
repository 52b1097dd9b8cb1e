"""A channel is not hung up while somebody asks it.

When a PV connects, ophyd asks its limits and units on a thread of its own. A signal that is
destroyed meanwhile has its channel cleared under that thread, and libca ends the process with a
segmentation fault (ophyd 1.11, pyepics 3.5). No subclass can help: it is the PV that is asked, of
whichever signal. So asking and hanging up take one lock of the PV.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import ophyd
from ophyd import _pyepics_shim as shim  # noqa: PLC2701

__all__ = ["asking", "guard_channels"]


def asking(pv: Any) -> threading.RLock:
    """Lock of a PV: held while it is asked; its ``chid`` is None once it was hung up."""
    return pv.__dict__.setdefault("_redoxscope_asking", threading.RLock())


def _ask_metadata(pv: Any, callback: Callable[[str, Any], None], *, timeout: float) -> None:
    """As ``PyepicsShimPV.get_all_metadata_callback``, of a PV that is still there."""

    def ask(pvname: str) -> None:
        with asking(pv):
            if pv.chid is None:
                return
            found = pv.get_all_metadata_blocking(timeout=timeout)
        callback(pvname, found)

    shim.get_dispatcher().schedule_utility_task(ask, pvname=pv.pvname)


def guard_channels() -> None:
    """Have every signal of this process hang up only when nobody asks its PV; again is no error.

    The first device that is made does it, not an import: it concerns also the signals of others.
    """
    if ophyd.cl.name != "pyepics" or shim.PyepicsShimPV.get_all_metadata_callback is _ask_metadata:
        return
    hang_up = ophyd.cl.release_pvs

    def release_pvs(*pvs: Any) -> None:
        for pv in pvs:
            with asking(pv):
                hang_up(pv)

    shim.PyepicsShimPV.get_all_metadata_callback = _ask_metadata
    ophyd.cl.release_pvs = release_pvs
