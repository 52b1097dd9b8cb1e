"""One point of a RIXS run: measured, judged, and measured again where it is doubtful."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from bluesky import Msg

from ...documents import STREAM
from .._doubts import DoubtCount
from .._events import readings
from .._outage import outlasting
from .._protocols import Spectrometer
from .._safety import MsgGenerator

__all__ = ["point"]

log = logging.getLogger("redoxscope.plans")


def point(
    tes: Spectrometer,
    asked: Mapping[str, Any],
    read: list[Any],
    doubts: DoubtCount,
    *,
    set_dwell: bool,
) -> MsgGenerator:
    """Measure a point; again, as often as the scan allows, where not all held that was asked.

    The last try is kept whatever it is, with its status. Where somebody else took the shutter,
    the run ends rather than open it again. An outage costs no try: the point is measured when
    all that did not answer does.

    Parameters
    ----------
    tes : redoxscope.devices.TES
    asked : mapping
        ``mono`` (device), ``energy`` (eV), ``dwell`` (s), ``sample`` (str or None), ``point``
        (its index in the scan).
    read : list
        What belongs to the event.
    doubts : DoubtCount
    set_dwell : bool
        Whether the dwell is another one than before.

    Raises
    ------
    RuntimeError
        The shutter was taken, or too many points in a row are doubtful.
    """
    fresh = True

    def step() -> MsgGenerator:
        nonlocal fresh
        again, fresh = not fresh, False
        return _measured(tes, asked, again=again, set_dwell=set_dwell)

    for left in reversed(range(1 + doubts.retries)):
        yield from outlasting(step, asked["mono"], tes)
        verdict = tes.conditions.verdict
        if verdict is None or not verdict.status:  # none: nobody carries the messages out
            break
        why = "; ".join(verdict.reasons)
        if verdict.taken:
            raise RuntimeError(
                f"{verdict.taken} while a point was measured: it was taken by somebody else. The "
                "run ends rather than open it again"
            )
        if left:
            doubts.again += 1
        log.warning(
            "point at %.7g eV is doubtful, %s: %s",
            asked["energy"],
            "it is measured again" if left else "and kept as such",
            why,
        )
    yield from outlasting(lambda: readings(read, STREAM), asked["mono"], tes)
    yield Msg("save")
    if verdict is not None:
        doubts.kept(verdict.status, "; ".join(verdict.reasons))


def _measured(
    tes: Spectrometer, asked: Mapping[str, Any], *, again: bool, set_dwell: bool
) -> MsgGenerator:
    """Measure, from a checkpoint: a pause abandons the window and replays all of this.

    Messages are yielded bare, ``@plan`` stubs would cost more than the work. The shutter is asked
    to open each time: a pause closes it, and so does its dead man when nobody asks again. It is
    asked when the monochromator is there: a long move would outlast the dead man.
    """
    yield Msg("checkpoint")
    if set_dwell:
        yield Msg("set", tes.dwell, asked["dwell"], group="settings")
    if set_dwell or again:
        for counter in tes.counters:
            yield Msg("set", counter.dwell, asked["dwell"], group="settings")
    if again and asked["sample"] is not None:  # somebody else may have changed it
        yield Msg("set", tes.holder, asked["sample"], group="settings")
    if set_dwell or again:
        yield Msg("wait", None, group="settings")
    yield Msg("set", asked["mono"], asked["energy"], group="energy")
    yield Msg("wait", None, group="energy")
    if tes.shutter is not None:
        yield Msg("set", tes.shutter, "hold", group="shutter")
        yield Msg("wait", None, group="shutter")
    yield Msg("set", tes.conditions, asked, group="conditions")
    yield Msg("wait", None, group="conditions")
    yield Msg("trigger", tes, group="point")
    for counter in tes.counters:
        yield Msg("trigger", counter, group="point")
    yield Msg("wait", None, group="point")
    yield Msg("trigger", tes.conditions, group="judged")
    yield Msg("wait", None, group="judged")
