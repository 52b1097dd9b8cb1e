"""Joins what several PVs say about one line into a whole line."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ophyd import EpicsSignalRO, Signal

from ._base import DeviceError, fail_when_lost

__all__ = ["LineArray", "LineJoiner", "Parts"]

Source = tuple[Signal, Mapping[str, Signal]]
Parts = dict[str, dict[str, Any]]
"""Values of one line, by source and signal."""


class LineArray(EpicsSignalRO):
    """Array PV of a line; Channel Access hands out an array of one element as a scalar."""

    def _fix_type(self, value: Any) -> Any:
        value = super()._fix_type(value)
        return value if value is None else np.atleast_1d(value)

    def _read_changed(self, value: Any = None, **kwargs: Any) -> None:
        super()._read_changed(value=None if value is None else np.atleast_1d(value), **kwargs)


class LineJoiner:
    """Watches sources that write their arrays, then increment an index.

    A source's values belong to an index value when they carry its time stamp; a monitor
    that the network dropped is so found out, and its line reported as lost. A line is whole
    when every source has reached it.

    Parameters
    ----------
    sources : mapping of str to (index signal, mapping of str to signal)
        By name: the index and the signals written before it.
    on_line : callable
        ``on_line(flight, line, parts, time)``; ``parts[source][signal]`` are the values, None
        when some were lost; ``time`` is the time stamp of the first source's index (s).
    on_error : callable
        ``on_error(exception)``, for what would else be lost in a callback thread.
    on_lost : callable
        ``on_lost(error)`` when one of the PVs disconnects; the error names it.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        on_line: Callable[[int, int, Parts | None, float], None],
        on_error: Callable[[Exception], None],
        on_lost: Callable[[DeviceError], None],
    ):
        self._sources = dict(sources)
        self._first = next(iter(self._sources))
        self._on_line = on_line
        self._on_error = on_error
        self._lock = threading.RLock()
        self._latest: dict[tuple[str, str], tuple[Any, float]] = {}
        self._origin: dict[str, int] | None = None
        self._flight = 0
        self._line = 0
        self._taken = 0
        self._whole: dict[str, dict[int, tuple[dict[str, Any] | None, float]]] = {}
        for name, (index, signals) in self._sources.items():
            for key, signal in signals.items():
                signal.subscribe(self._keep(name, key), run=False)
            index.subscribe(self._advance(name), run=False)
            fail_when_lost((index, *signals.values()), on_lost)

    @property
    def signals(self) -> list[Signal]:
        """Every signal that a line needs."""
        return [sig for index, own in self._sources.values() for sig in (index, *own.values())]

    def origin(self, *, ask: bool) -> dict[str, int]:
        """Index of every source while the scanner is idle.

        With ``ask``, read anew instead of trusting the last monitor.
        """
        return {
            name: int(index.get(use_monitor=not ask)) for name, (index, _) in self._sources.items()
        }

    def start(self, flight: int, line: int, origin: Mapping[str, int]) -> None:
        """Forget what came before; the next increment of every index is ``line``.

        Parameters
        ----------
        flight : int
            Handed back with the lines, to tell them from those of an earlier start.
        """
        with self._lock:
            self._flight = flight
            self._origin = dict(origin)
            self._whole = {name: {} for name in self._sources}
            self._line = line
            self._taken = 0

    def _keep(self, name: str, key: str) -> Callable[..., None]:
        def keep(*, value: Any, timestamp: float, **_: Any) -> None:
            self._latest[name, key] = (value, timestamp)

        return keep

    def _advance(self, name: str) -> Callable[..., None]:
        keys = list(self._sources[name][1])

        def advance(*, value: Any, timestamp: float, **_: Any) -> None:
            try:
                with self._lock:
                    self._reached(name, keys, int(value), timestamp)
                    flight, lines = self._flight, self._take()
                for line, parts, when in lines:
                    self._on_line(flight, line, parts, when)  # outside the lock: it may start()
            except Exception as exc:
                self._on_error(exc)

        return advance

    def _reached(self, name: str, keys: Sequence[str], index: int, timestamp: float) -> None:
        """Note that a source's index was incremented, and what was written before."""
        if self._origin is None:
            return
        number = index - self._origin[name]
        if number < 1:
            return
        latest = {key: self._latest.get((name, key)) for key in keys}
        fresh = all(got is not None and got[1] == timestamp for got in latest.values())
        values = {key: got[0] for key, got in latest.items() if got} if fresh else None
        self._whole[name][number] = (values, timestamp)

    def _take(self) -> list[tuple[int, Parts | None, float]]:
        """Lines that every source has reached, in order; a skipped index is a lost line."""
        if not self._whole:
            return []
        reached = min(max(numbers, default=0) for numbers in self._whole.values())
        done = []
        for number in range(self._taken + 1, reached + 1):
            lost = (None, time.time())  # nobody says when it was: about now
            got = {name: numbers.pop(number, lost) for name, numbers in self._whole.items()}
            when = got[self._first][1]
            parts = {name: values for name, (values, _) in got.items() if values is not None}
            whole = len(parts) == len(self._sources)
            done.append((self._line, parts if whole else None, when))
            self._line += 1
            self._taken += 1
        return done
