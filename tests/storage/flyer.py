"""A flyer that hands over one event page per line, for tests through the RunEngine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import bluesky.plan_stubs as bps
import bluesky.preprocessors as bpp
from ophyd.status import Status

from redoxscope.documents import STACK

from .conftest import data_keys


class LineFlyer:
    """Ready lines, one per kickoff."""

    name = "scanner"
    parent = None

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines
        self._next = 0

    def kickoff(self) -> Status:
        return _done()

    def complete(self) -> Status:
        return _done()

    def describe_collect(self) -> dict[str, Any]:
        return data_keys(len(self.lines[0]["sample_x"]))

    def collect_pages(self) -> Iterator[dict[str, Any]]:
        line = self.lines[self._next]
        self._next += 1
        now = time.time()
        yield {
            "data": {key: [value] for key, value in line.items()},
            "timestamps": {key: [now] for key in line},
            "time": [now],
        }


def _done() -> Status:
    status = Status()
    status.set_finished()
    return status


@bpp.run_decorator(md={"plan_name": STACK})
def fly_lines(flyer: LineFlyer) -> Iterator[Any]:
    """One run with every line of the flyer."""
    yield from bps.declare_stream(flyer, name="primary", collect=True)
    for _ in flyer.lines:
        yield from bps.checkpoint()
        yield from bps.kickoff(flyer, wait=True)
        yield from bps.complete(flyer, wait=True)
        yield from bps.collect(flyer, name="primary")
