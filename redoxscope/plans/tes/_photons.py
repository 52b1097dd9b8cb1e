"""A plan of anybody's with the photons of a spectrometer in its runs."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator, RunEngineControlException, ensure_generator

from ...documents import PHOTON_STREAM, TOTALS_STREAM
from .._carried import carried
from .._events import event
from .._protocols import Spectrometer
from .._safety import finished, named

__all__ = ["ANNOUNCED", "announced", "collected", "totals", "with_photons"]

log = logging.getLogger("redoxscope.plans")

ANNOUNCED = 20
"""Points between two announcements of photons: those of the last few a killed client can cost."""


def with_photons(plan: MsgGenerator, tes: Spectrometer) -> MsgGenerator:
    """Run a plan; where it counts with the spectrometer, its photons go into its runs.

    ``bp.count([tes])`` and ``bp.scan([tes], mono, 525, 550, 51)`` know nothing of photons, for a
    plan of bluesky's asks a detector for one reading per point. This adds the streams
    ``tes_photons`` and ``tes_totals`` to each run for which the spectrometer is staged, and waits
    until its server has begun to write, also where a pause broke that wait off. A plan that
    declares the photons itself, as `rixs_map` does, is left alone.

    A session has it on its RunEngine. In a RunEngine of your own:
    ``RE.preprocessors.append(partial(with_photons, tes=tes))``.

    Parameters
    ----------
    plan : generator
        Any plan.
    tes : redoxscope.devices.TES

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    object
        What the plan returns.

    Examples
    --------
    >>> scan = bp.scan([tes, stxm.i0], mono, 525, 550, 51)  # doctest: +SKIP
    >>> RE(with_photons(with_beam(scan, stxm.shutter), tes))  # doctest: +SKIP
    """
    return _with_photons(plan, tes)  # a function: a queue server takes a generator for a plan


def _with_photons(plan: MsgGenerator, tes: Spectrometer) -> MsgGenerator:
    staged = False
    ours: dict[Any, int] = {}  # runs whose photons are announced here: events since the last time

    def carry(msg: Msg) -> MsgGenerator[Any]:
        nonlocal staged
        if msg.obj is tes and msg.command == "stage":
            status = yield msg
            while status is not None and not status.done:
                yield Msg("wait_for", None, [partial(finished, status)])
            staged = True
            return status
        if msg.obj is tes and msg.command == "unstage":
            staged = False
        elif msg.command == "open_run" and staged:
            uid = yield msg
            ours[msg.run] = 0
            yield from _in(msg.run, declared(tes))
            return uid
        elif msg.run not in ours:
            pass
        elif msg.command == "declare_stream" and tes.photons in msg.args:
            del ours[msg.run]  # the plan's own business, and declared already
            return (yield Msg("null"))
        elif msg.command == "save":
            ours[msg.run] += 1
        elif msg.command == "checkpoint" and ours[msg.run] >= ANNOUNCED:
            ours[msg.run] = 0
            yield from _in(msg.run, announced(tes))
        elif msg.command == "close_run":
            del ours[msg.run]
            yield from _in(msg.run, _last(tes, msg.kwargs.get("exit_status")))
        return (yield msg)

    return carried(ensure_generator(plan), carry)


def _in(run: Any, plan: MsgGenerator) -> MsgGenerator:
    """A plan's messages, for the run that is meant."""
    return plan if run is None else bpp.set_run_key_wrapper(plan, run)


def declared(tes: Spectrometer) -> MsgGenerator:
    """Declare the stream of photons; between checkpoints, for a replay would do it again."""
    yield Msg("checkpoint")
    yield from bps.declare_stream(tes.photons, name=PHOTON_STREAM, collect=True)
    yield Msg("checkpoint")


def collected(tes: Spectrometer) -> MsgGenerator:
    """Announce the photons that came."""
    yield Msg("collect", tes.photons, name=PHOTON_STREAM, return_payload=False)


def announced(tes: Spectrometer) -> MsgGenerator:
    """Announce the photons that came; between checkpoints, for a replay counts rows twice."""
    yield Msg("checkpoint")
    yield from collected(tes)
    yield Msg("checkpoint")


def _last(tes: Spectrometer, exit_status: str | None) -> MsgGenerator:
    """What belongs to the end of a run: totals, and the rest of the photons.

    Where something else ended the run, only what has come is announced.
    """
    if exit_status not in (None, "success"):
        try:
            yield from collected(tes)
        except RunEngineControlException:
            raise
        except Exception as exc:  # what ended the run is what counts
            log.warning("no more photons at the end of the run: %s", named(exc))
        return
    yield from totals(tes)


def totals(tes: Spectrometer) -> MsgGenerator:
    """Wait for the server's counts, close the list, announce the rest of it."""
    yield from bps.trigger(tes.totals, wait=True)
    yield from announced(tes)
    yield from event([tes.totals], TOTALS_STREAM)
