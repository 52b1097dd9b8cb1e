"""The temperature of what is hot, as a stream of its own in every run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bluesky import Msg
from bluesky import preprocessors as bpp
from bluesky.utils import MsgGenerator, ensure_generator

from ..plans.support import carried
from ..plans.thermal import monitored

__all__ = ["HeatRecorder"]


class HeatRecorder:
    """Preprocessor: T(t) of a heater that is on, or is set while a run is open.

    A run without heat has no such stream: other people's readers need not learn it for a cold
    sample.

    Parameters
    ----------
    heaters : sequence of HeatingStage
    """

    def __init__(self, heaters: Sequence[Any]):
        self.heaters = tuple(heaters)

    def __call__(self, plan: MsgGenerator) -> MsgGenerator:
        if not self.heaters:
            return (yield from plan)
        recorded: dict[Any, set[str]] = {}  # heaters, by run that is open

        def record(heater: Any, run: Any) -> MsgGenerator:
            recorded[run].add(heater.name)
            step = monitored(heater)
            yield from step if run is None else bpp.set_run_key_wrapper(step, run)

        def carry(msg: Msg) -> MsgGenerator:
            if msg.command == "set":
                for heater in self.heaters:
                    if msg.obj in (heater, heater.soaking):
                        for run in [run for run in recorded if heater.name not in recorded[run]]:
                            yield from record(heater, run)
            response = yield msg
            if msg.command == "open_run":
                recorded[msg.run] = set()
                for heater in self.heaters:
                    if heater.is_on:
                        yield from record(heater, msg.run)
            elif msg.command == "close_run":
                recorded.pop(msg.run, None)
            return response

        return (yield from carried(ensure_generator(plan), carry))
