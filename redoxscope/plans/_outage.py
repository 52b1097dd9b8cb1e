"""A step of a plan that is tried again when the server is back that did not answer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky.utils import RunEngineControlException

from ._safety import MsgGenerator, finished, named

__all__ = ["outlasting"]

log = logging.getLogger("redoxscope.plans")

REPEATS = 2
"""How often a step is tried again."""


def outlasting(step: Callable[[], MsgGenerator], *devices: Any) -> MsgGenerator:
    """Run a step of a plan, and again when the devices answer that did not.

    Parameters
    ----------
    step : callable
        Makes the messages; it asks for the same each time.
    *devices
        ``back_after(error)`` says what to wait for, or None where an error has another cause.
    """
    for left in reversed(range(1 + REPEATS)):
        try:
            return (yield from step())
        except RunEngineControlException:
            raise
        except Exception as exc:
            error = named(exc)
            waits = [device.back_after(error) for device in devices] if left else []
            if not any(waits):
                raise
        names = " and ".join(device.name for device in devices)
        verb = "answers" if len(devices) == 1 else "answer"
        log.warning("%s; it is asked for again when %s %s", error, names, verb)
        for back in filter(None, waits):
            # A pause breaks off a wait, which is then not asked for again.
            while not back.done:
                yield Msg("wait_for", None, [partial(finished, back)])
            failed = back.exception(timeout=0)
            if failed is not None:
                raise failed
