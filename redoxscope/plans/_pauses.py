"""What a pause leaves undone: how a plan finds out, and does it again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from bluesky import Msg
from bluesky.utils import MsgGenerator

__all__ = ["Pauses", "in_thread", "uninterrupted"]

T = TypeVar("T")


class Pauses:
    """Counts the pauses of a plan: the RunEngine tells everything that it has seen of them.

    To be shown to the engine once, by ``yield from pauses.watch()``.

    Attributes
    ----------
    count : int
        Pauses and suspensions so far.
    """

    name = "pauses"
    parent = None

    def __init__(self) -> None:
        self.count = 0

    def __repr__(self) -> str:
        return f"Pauses({self.count})"

    def watch(self) -> MsgGenerator[None]:
        """Have the engine know it."""
        yield Msg("null", self)

    def pause(self) -> None:
        """Count; called by the RunEngine."""
        self.count += 1

    def resume(self) -> None:
        """Do nothing; without it the RunEngine would not tell of a pause."""


def uninterrupted(
    step: Callable[[], MsgGenerator[T]], pauses: Pauses | None = None
) -> MsgGenerator[T]:
    """Run a step of a plan, and all of it again until no pause came between.

    Whether the RunEngine repeats the messages since the last checkpoint after a pause is not for
    a step to know: one detector that flies forbids it for everybody. So what a plan asks of a
    heater, a camera or a motor while something flies, it asks in here. The step has to be one
    that may be done twice: set, wait, trigger; no event.

    Parameters
    ----------
    step : callable
        Makes the messages; it asks for the same each time.
    pauses : Pauses, optional
        Of a plan that counts them already.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    object
        What the step returned, the last time.

    Examples
    --------
    >>> from bluesky import plan_stubs as bps
    >>> plan = uninterrupted(lambda: bps.mv(heater, 300))  # doctest: +SKIP
    """
    return _uninterrupted(step, pauses)  # a generator function would be taken for a plan


def _uninterrupted(step: Callable[[], MsgGenerator[T]], pauses: Pauses | None) -> MsgGenerator[T]:
    if pauses is None:
        pauses = Pauses()
        yield from pauses.watch()
    while True:
        before = pauses.count
        result: Any = yield from step()
        if pauses.count == before:
            return result


def in_thread(work: Callable[[], T]) -> MsgGenerator[T | None]:
    """What a function gives that the RunEngine should not wait for in its own thread.

    It is called once. A pause breaks off the wait and not the work; what is waited for after it
    is the same call, whether the RunEngine repeats the message or not.

    Parameters
    ----------
    work : callable

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    object
        What it returned, or raised; None where nobody carries the messages out.
    """
    return _in_thread(work)  # a generator function would be taken for a plan


def _in_thread(work: Callable[[], T]) -> MsgGenerator[T | None]:
    begun: list[asyncio.Future[T]] = []

    def guarded() -> T:
        try:
            return work()
        except StopIteration as exc:  # no future takes one: the wait would never end
            raise RuntimeError(f"it raised {exc!r}") from exc

    async def over() -> None:
        if not begun:
            begun.append(asyncio.get_running_loop().run_in_executor(None, guarded))
        await asyncio.wait(begun)

    while True:
        yield Msg("wait_for", None, [over])
        if not begun:
            return None
        if begun[0].done():
            return begun[0].result()
