"""A plan with beam on the sample, for step scans and whatever else triggers detectors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from bluesky import Msg
from bluesky import plan_stubs as bps
from bluesky.protocols import Flyable
from bluesky.utils import MsgGenerator, ensure_generator

from ._carried import carried
from ._safety import close, made_safe

__all__ = ["with_beam", "with_beam_decorator"]


GROUP = "beam"


def with_beam(plan: MsgGenerator, shutter: Any) -> MsgGenerator:
    """Run a plan with the shutter open, and close it whatever ends the plan.

    The shutter is held open, which its controller ends after ``shutter.dead_man`` seconds
    unless it is asked again. It is asked at the beginning and before each point is counted:
    a client that dies, a long move or a pause leave no beam on the sample, and after them the
    next point has beam again.

    Parameters
    ----------
    plan : generator
        Any plan, e.g. ``bp.scan([stxm.transmission], stxm.energy, 640, 650, 11)``. A scanner
        in it has the shutter follow it; that is not interfered with.
    shutter : redoxscope.devices.Shutter

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    object
        What the plan returns.

    Raises
    ------
    ValueError
        Something else than a shutter with a dead man.

    Examples
    --------
    >>> RE(with_beam(bp.count([stxm.transmission], num=3), stxm.shutter))  # doctest: +SKIP
    """
    if isinstance(shutter, type) or not all(
        hasattr(shutter, part) for part in ("set", "dead_man", "status")
    ):
        shown = getattr(shutter, "name", shutter)
        raise ValueError(
            f"shutter = {shown!r} is not a device such as redoxscope.devices.Shutter, "
            "e.g. stxm.shutter"
        )
    return _with_beam(ensure_generator(plan), shutter)


def with_beam_decorator(shutter: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`with_beam` for every plan that a function makes.

    Parameters
    ----------
    shutter : redoxscope.devices.Shutter
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def plan(*args: Any, **kwargs: Any) -> MsgGenerator:
            return with_beam(function(*args, **kwargs), shutter)

        return plan

    return decorate


def _with_beam(plan: MsgGenerator, shutter: Any) -> MsgGenerator:
    asked = False

    def open_it() -> MsgGenerator:
        yield from bps.abs_set(shutter, "hold", group=GROUP)
        yield from bps.wait(GROUP)

    def carry(msg: Msg) -> MsgGenerator[Any]:
        nonlocal asked
        if msg.obj is shutter or msg.kwargs.get("group") == GROUP:  # the plan's own wish
            return (yield msg)
        if msg.command != "trigger" or isinstance(msg.obj, Flyable):
            asked = False
        elif not asked:  # else it is another detector of the same point
            asked = True
            yield from open_it()
        return (yield msg)

    def whole() -> MsgGenerator:
        yield from open_it()
        return (yield from carried(plan, carry))

    return (yield from made_safe(whole(), [close(shutter)]))
