"""T(t) as a stream of its own."""

from __future__ import annotations

from typing import Any

from bluesky import Msg
from bluesky.utils import IllegalMessageSequence, MsgGenerator

from ...documents import monitor_stream

__all__ = ["monitored"]


def monitored(heater: Any) -> MsgGenerator[None]:
    """Record the temperature of a heater with the run that is open, as it changes.

    A session records it with every run; then nothing is left to do. It ends with the run.
    """
    signal = heater.temperature
    try:
        yield Msg("monitor", signal, name=monitor_stream(signal.name))
    except IllegalMessageSequence as exc:
        if "already monitored" not in str(exc):
            raise
