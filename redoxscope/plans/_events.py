"""Events of a plan, bare: bluesky's stubs cost more than the work."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from bluesky import Msg
from bluesky.utils import IllegalMessageSequence

from ._safety import MsgGenerator

__all__ = ["event", "readings"]


def event(devices: list[Any], stream: str) -> MsgGenerator:
    """One event."""
    yield from readings(devices, stream)
    yield Msg("save")


def readings(devices: list[Any], stream: str) -> MsgGenerator:
    """An event that is yet to be saved.

    One left open would fail the end of the run and hide what went wrong.
    """
    yield Msg("create", None, name=stream)
    try:
        for device in devices:
            yield Msg("read", device)
    except GeneratorExit:
        raise
    except BaseException:
        with suppress(IllegalMessageSequence):  # a pause has dropped it already
            yield Msg("drop")
        raise
