"""What is moved: signals that are asked anew for a document, and a move that waits."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from ophyd import EpicsSignal, EpicsSignalRO
from ophyd.status import Status
from ophyd.utils import LimitError, WaitTimeoutError

from ..inputs import is_number
from ._base import ask

__all__ = ["FreshSignal", "FreshSignalRO", "Positioner", "check_limits", "common_limits"]


class _Fresh:
    """Signal whose value in a document comes from the server, not from the last monitor.

    A put is known to be complete before the monitors that belong to it have come: a reading
    taken from them would be that of the point before.
    """

    name: str
    get: Callable[..., Any]
    _read_pv: Any

    def read(self) -> dict[str, dict[str, Any]]:
        """Value and time stamp as the server has them now.

        Raises
        ------
        TimeoutError
            The server does not answer.
        """
        value = ask(self)
        return {self.name: {"value": value, "timestamp": self._read_pv.timestamp}}


class FreshSignalRO(_Fresh, EpicsSignalRO):
    """Read-only PV, asked anew for each document."""


class FreshSignal(_Fresh, EpicsSignal):
    """PV that can be written, asked anew for each document."""


def check_limits(name: str, value: float, limits: tuple[Any, Any], unit: str) -> None:
    """Refuse a value outside ``limits``, NaN, or limits that say nothing.

    EPICS reads limits (0, 0) as "no limits"; here they are an error, so that a check can
    never pass because nobody set them. So are those of a PV that never answered.

    Raises
    ------
    ophyd.utils.LimitError
        Names the device, the value, the limits and the unit.
    """
    low, high = limits
    unit = "µm" if unit == "um" else unit  # as records write it
    if not (is_number(low) and is_number(high) and low < high):
        raise LimitError(
            f"{name} publishes no soft limits (low {low}, high {high} {unit}): set them in "
            f"the IOC before moving it"
        )
    if not low <= value <= high:
        raise LimitError(
            f"{name} = {value:.6g} {unit} is outside its soft limits, {low:g} to {high:g} {unit}"
        )


def common_limits(*limits: tuple[Any, Any]) -> tuple[float, float]:
    """Where all ranges overlap; NaN where one says nothing, so that nothing is within."""
    if any(not (is_number(low) and is_number(high) and low < high) for low, high in limits):
        return math.nan, math.nan
    return float(max(low for low, _ in limits)), float(min(high for _, high in limits))


class Positioner(ABC):
    """What bluesky, its magics and a user at the prompt expect of what can be moved.

    A class that uses it has ``set``, ``stop``, ``position`` and ``limits``.
    """

    set: Callable[..., Status]
    stop: Callable[..., None]

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """Lowest and highest position; NaN where nothing may be moved."""

    @property
    @abstractmethod
    def position(self) -> float:
        """Where it is."""

    @property
    def low_limit(self) -> float:
        """Lowest position."""
        return self.limits[0]

    @property
    def high_limit(self) -> float:
        """Highest position."""
        return self.limits[1]

    def wm(self) -> float:
        """Where it is, for the prompt."""
        return self.position

    def move(
        self,
        position: float,
        wait: bool = True,
        *,
        moved_cb: Callable[..., None] | None = None,
        timeout: float | None = None,
    ) -> Status:
        """Move as ``set`` does, and wait; Ctrl-C or the end of the time stops it.

        Parameters
        ----------
        position : float
        wait : bool
        moved_cb : callable, optional
            ``moved_cb(status, obj=device)`` when it has ended.
        timeout : float, optional
            Longest time (s) to wait; by default as long as the move may take.
        """
        status = self.set(position)
        if moved_cb is not None:
            status.add_callback(lambda done: moved_cb(done, obj=self))
        if wait:
            try:
                status.wait(timeout=timeout)
            except (KeyboardInterrupt, WaitTimeoutError):
                self.stop()
                raise
        return status
