"""Measuring at an edge: its energy offset applies for as long as the plan runs."""

from __future__ import annotations

from typing import Any

from bluesky import plan_stubs as bps
from bluesky import preprocessors as bpp

from ._safety import MsgGenerator

__all__ = ["at_edge"]


def at_edge(mono: Any, edge: str | None, plan: MsgGenerator) -> MsgGenerator:
    """Tell a monochromator at which edge one measures, run a plan, and set back what was found.

    Parameters
    ----------
    mono : redoxscope.devices.Monochromator
        Which offset that means is its business.
    edge : str or None
        None: at none of which anything is known.
    plan : generator
    """
    found = mono.edge.get()

    def inner() -> MsgGenerator:
        yield from bps.abs_set(mono.edge, edge or "", wait=True)
        return (yield from plan)

    def restore() -> MsgGenerator:
        yield from bps.abs_set(mono.edge, found, wait=True)

    return (yield from bpp.finalize_wrapper(inner(), restore))
