"""Pauses at a chosen message."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from bluesky import Msg, RunEngine
from bluesky.utils import MsgGenerator, RunEngineInterrupted

__all__ = ["paused_after", "run_resuming"]


def paused_after(plan: MsgGenerator[Any], numbers: int | Iterable[int]) -> MsgGenerator[Any]:
    """Run a plan, with a pause after its messages of these numbers, from 0.

    Parameters
    ----------
    plan : generator
    numbers : int or iterable of int
    """
    wanted = {numbers} if isinstance(numbers, int) else set(numbers)
    count = 0
    step: Callable[[], Msg] = functools.partial(next, plan)
    while True:
        try:
            msg = step()
        except StopIteration as end:
            return end.value
        try:
            answer = yield msg
            if count in wanted:
                yield Msg("pause")
            step = functools.partial(plan.send, answer)
        except GeneratorExit:
            plan.close()
            raise
        except BaseException as exc:
            step = functools.partial(plan.throw, exc)
        count += 1


def run_resuming(
    engine: RunEngine, plan: MsgGenerator[Any], paused: Callable[[], None] | None = None
) -> int:
    """Run a plan to its end, and resume it whenever it is paused.

    Parameters
    ----------
    engine : bluesky.RunEngine
    plan : generator
    paused : callable, optional
        Called while it is paused: what must be so then.

    Returns
    -------
    int
        How often it was paused.
    """
    count = 0
    act: Callable[[], Any] = functools.partial(engine, plan)
    while True:
        try:
            act()
        except RunEngineInterrupted:
            if engine.state != "paused":  # aborted, from elsewhere
                raise
            count += 1
            if paused is not None:
                paused()
            act = engine.resume
        else:
            return count
