"""Messages of a plan carried out with what belongs to them."""

from __future__ import annotations

from collections.abc import Callable

from bluesky import Msg
from bluesky.utils import MsgGenerator

__all__ = ["carried"]


def carried(plan: MsgGenerator, carry: Callable[[Msg], MsgGenerator]) -> MsgGenerator:
    """Run a plan; each of its messages is carried out by ``carry``.

    As bluesky's ``plan_mutator``, which keeps every message of the plan until its end.

    Parameters
    ----------
    plan : generator
    carry : callable
        ``carry(msg)`` yields the message and whatever else, and returns what the plan is to get
        for it; what it raises is raised within the plan.

    Yields
    ------
    bluesky.Msg

    Returns
    -------
    object
        What the plan returns.
    """
    response, error = None, None
    while True:
        try:
            msg = plan.send(response) if error is None else plan.throw(error)
        except StopIteration as end:
            return end.value
        response, error = None, None
        try:
            response = yield from carry(msg)
        except GeneratorExit:
            plan.close()
            raise
        except BaseException as exc:  # an abort, too: the plan is told, and cleans up
            error = exc
