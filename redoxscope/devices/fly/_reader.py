"""What became of a line of a FLY group: whether it was one, and what it counted."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from ...scan import Raster
from .._base import ask
from .._line_source import FlownLine
from .._watch import ask_all, together
from ._counter import FlyCounter

__all__ = ["ARMED", "ERROR", "FLYING", "LineReader"]

log = logging.getLogger("redoxscope.scanner")

STATES = ("IDLE", "ARMED", "FLYING", "ERROR")
ARMED, FLYING, ERROR = 1, 2, 3


class LineReader:
    """Notes the indices before a line, and reads what came of it.

    Parameters
    ----------
    source : FlyLines
    counters : sequence of FlyCounter
    """

    def __init__(self, source: Any, counters: Sequence[FlyCounter]):
        self._source, self._counters = source, tuple(counters)
        self._noted: dict[Any, int] = {}  # by index signal
        self._told_zeros = False

    def note(self) -> tuple[int, list[FlyCounter]]:
        """Note all indices; say the group's state, and which counters count a line.

        All are asked from the servers, at once.
        """
        indices = [self._source.index, *(det.index for det in self._counters)]
        states = [self._source.state, *(det.line_state for det in self._counters)]
        values = [int(value) for value in ask_all([*states, *indices])]
        self._noted = dict(zip(indices, values[len(states) :], strict=True))
        state, *theirs = values[: len(states)]
        counting = zip(self._counters, theirs, strict=True)
        return state, [det for det, value in counting if value in det.BUSY]

    def _left(self, due: int) -> tuple[int, int]:
        """STATE and INDEX, asked anew unless both monitors are what is due."""
        if int(self._source.state.get()) == ARMED and int(self._source.index.get()) == due:
            return ARMED, due
        return int(ask(self._source.state)), int(ask(self._source.index))

    def taken(self) -> str:
        """Why no line can begin: somebody else flew since the last, gave up, or began anew."""
        due = self._noted[self._source.index]
        state, index = self._left(due)
        if state == ARMED and index == due:
            return ""
        return (
            f"{self._source.state.pvname} is {STATES[state]} and {self._source.index.pvname} "
            f"{index} where ARMED and {due} were left: somebody else has it, or it began anew"
        )

    def read(
        self, flight: int, line: int, y: float, raster: Raster, origin: tuple[float, float]
    ) -> FlownLine:
        """What became of a line whose GO has completed.

        What others may have done to a counter's settings was told by their monitors since
        (`held`): what counts happened before the line.
        """
        state, index = self._left(self._noted[self._source.index] + 1)
        missed = self._failed(state, index)
        self._noted[self._source.index] = index
        for det in self._counters:
            due = self._noted[det.index] + 1
            self._noted[det.index] = counted = _latest(det.index, due)
            refused = str(det.line_error.get() or "").strip()
            if not missed and (counted != due or refused):
                missed = (
                    f"{det.index.pvname} is {counted} where {due} is due"
                    f"{f', {det.line_error.pvname}: {refused}' if refused else ''}: these are the "
                    "counts of somebody else's line"
                )
        y_line = np.full(raster.nx, y + origin[1])
        if missed:
            return FlownLine(flight, line, time.time(), None, y_line, missed=missed)
        arrays = [self._source.pos, *(det.line for det in self._counters)]
        # The index too, for its time stamp: ophyd's own is that of the last monitor it has told.
        asked, pos, *lines = together(
            [self._source.index.read, *(partial(ask, signal) for signal in arrays)]
        )
        (told,) = asked.values()
        when = float(told["timestamp"])
        counts = {
            det.field: np.atleast_1d(values)[: raster.nx]
            for det, values in zip(self._counters, lines, strict=True)
        }
        x = self._positions(pos, raster) + origin[0]
        for now in (int(told["value"]), int(self._source.index.get())):
            if now != index:
                missed = (
                    f"{self._source.index.pvname} is {now} where {index} was left while it was "
                    "read: somebody else has it"
                )
                return FlownLine(flight, line, when, None, y_line, missed=missed)
        return FlownLine(flight, line, when, x, y_line, counts)

    def _failed(self, state: int, index: int) -> str:
        """Why a line whose GO has completed was none; empty where it was."""
        due = self._noted[self._source.index] + 1
        if state == ARMED and index == due:
            return ""
        if state == ARMED and index != due - 1:
            return (
                f"{self._source.index.pvname} is {index} where {due} is due: somebody else has it"
            )
        return f"{self._source.state.pvname} is {self.what_is_wrong()}"

    def what_is_wrong(self) -> str:
        state = int(ask(self._source.state))
        text = str(ask(self._source.error) or "").strip()
        return f"{STATES[state]}{f', {text}' if text else ', without a word'}"

    def _positions(self, pos: Any, raster: Raster) -> Any:
        """Positions of the fast axis (µm); the nominal ones where the controller has none."""
        x = np.atleast_1d(np.asarray(pos, dtype=float))[: raster.nx]
        nominal = np.linspace(raster.x_start, raster.x_stop, raster.nx)
        if x.any() or not nominal.any():
            return x
        if not self._told_zeros:
            self._told_zeros = True
            log.warning(
                "%s (%s) is all zeros: this controller measures no positions; those that were "
                "asked for are recorded",
                self._source.name,
                self._source.pos.pvname,
            )
        return nominal


def _latest(signal: Any, right: int) -> int:
    """What the last monitor said, where that is what is due; else what the server says now.

    A reply to each question costs a way there and back; a monitor that is due cannot be an old
    one, for between two lines it was another.
    """
    value = int(signal.get())
    return value if value == right else int(ask(signal))
