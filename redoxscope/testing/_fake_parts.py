"""Axes, settings, a shutter and a counter that are only remembered."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ophyd.status import Status

__all__ = ["FakeAxis", "FakePoint", "FakeSetting", "FakeShutter", "reading", "settled"]


def settled() -> Status:
    """A status that is done."""
    status = Status()
    status.set_finished()
    return status


def reading(value: Any) -> dict[str, Any]:
    """A value as ``read`` gives it, of now."""
    return {"value": value, "timestamp": time.time()}


def number_key(unit: str = "") -> dict[str, Any]:
    """Data key of a number."""
    key = {"dtype": "number", "dtype_numpy": "<f8", "shape": [], "source": "fake"}
    return {**key, "units": unit} if unit else key


class FakeSetting:
    """Something that is set and has the value at once."""

    parent = None

    def __init__(self, name: str, value: Any = "") -> None:
        self.name, self.value = name, value

    def __repr__(self) -> str:
        return self.name

    def get(self) -> Any:
        """The value."""
        return self.value

    def set(self, value: Any) -> Status:
        """Take it."""
        self.value = value
        return settled()

    def read(self) -> dict[str, Any]:
        """The value."""
        return {self.name: reading(self.value)}

    def describe(self) -> dict[str, Any]:
        """Its data key."""
        return {self.name: number_key()}


class FakeAxis:
    """An axis whose moves end at once, or when ``arrive`` is called.

    One that is stopped on its way ends its move well and stands elsewhere, as motor records do.

    Parameters
    ----------
    name : str
    value : float
        Where it stands.
    unit : str
    limits : tuple of float, optional
    prompt : bool
        Moves end at once.

    Attributes
    ----------
    targets : list of float
        Where it was sent.
    """

    parent = None
    tolerance = 0.01

    def __init__(
        self,
        name: str,
        value: float = 0.0,
        *,
        unit: str = "um",
        limits: tuple[float, float] | None = None,
        prompt: bool = True,
    ) -> None:
        self.name, self.position, self.unit, self.limits = name, value, unit, limits
        self.prompt, self.targets = prompt, list[float]()
        self._move: Status | None = None

    def __repr__(self) -> str:
        return self.name

    def check_value(self, value: float, **_: Any) -> None:
        """Refuse what is outside the limits.

        Raises
        ------
        ValueError
        """
        if self.limits is not None and not self.limits[0] <= value <= self.limits[1]:
            low, high = self.limits
            raise ValueError(f"{self.name} = {value:g} is outside {low:g} to {high:g} {self.unit}")

    def set(self, value: float) -> Status:
        """Go there."""
        self.check_value(value)
        self.stop()
        self.targets.append(value)
        self._move = Status()
        move = self._move
        if self.prompt:
            self.arrive()
        return move

    def time_to(self, target: float, start: float | None = None) -> float:
        """0 s."""
        return 0.0

    @property
    def moving(self) -> bool:
        """Whether it is on its way."""
        return self._move is not None and not self._move.done

    def arrive(self) -> None:
        """End the move where it was sent."""
        if self._move is not None and not self._move.done:
            self.position = self.targets[-1]
            self._move.set_finished()

    def at(self, value: float) -> bool:
        """Whether it rests there."""
        return not self.moving and abs(self.position - value) <= self.tolerance

    def stop(self, *, success: bool = False) -> None:
        """Rest half-way."""
        if self._move is not None and not self._move.done:
            self.position = (self.position + self.targets[-1]) / 2
            self._move.set_finished()

    def read(self) -> dict[str, Any]:
        """Where it is."""
        return {self.name: reading(float(self.position))}

    def describe(self) -> dict[str, Any]:
        """Data key of the position."""
        return {self.name: number_key(self.unit)}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}


class FakeShutter:
    """A shutter that remembers what it was told.

    Attributes
    ----------
    told : list of str
        ``"hold"``, ``"follow"``, ``"closed"``, and ``"stop"`` where a pause or an abort closed it.
    beam : bool
        Whether beam may reach the sample: it is open, or follows a scanner.
    """

    name = "shutter"
    parent = None
    dead_man = FakeSetting("shutter_dead_man", 30.0)
    blade = FakeSetting("shutter_status")
    takes_beam = True

    def __init__(self) -> None:
        self.told: list[str] = []
        self.beam = False

    def __repr__(self) -> str:
        return self.name

    def check_free(self) -> None:
        """Nobody else is there."""

    @property
    def follows(self) -> bool:
        """Whether it was last told to follow; nobody takes it."""
        return bool(self.told) and self.told[-1] == "follow"

    def check_open_time(self, seconds: float, what: str) -> None:
        """Refuse what takes longer than the dead man allows.

        Raises
        ------
        ValueError
        """
        if seconds >= self.dead_man.get():
            raise ValueError(f"{what} takes {seconds:g} s, longer than {self.dead_man.get():g} s")

    def check_holds(self) -> None:
        """It can be held open."""

    def set(self, value: str) -> Status:
        """Do as told, at once."""
        self.told.append(value)
        self.beam = value != "closed"
        return settled()

    def stop(self, *, success: bool = False) -> None:
        """Close."""
        self.told.append("stop")
        self.beam = False


class FakePoint:
    """A point detector whose points end at once, or when ``finish`` is called.

    Parameters
    ----------
    count : callable, optional
        Gives the counts of a point; by default 1, 2, 3…
    prompt : bool
        Points end at once.
    """

    parent = None

    def __init__(
        self,
        name: str = "counter",
        count: Callable[[], float] | None = None,
        *,
        prompt: bool = True,
    ) -> None:
        self.name, self.prompt = name, prompt
        self.points = 0
        self._count = count or (lambda: float(self.points))
        self._value = 0.0
        self._open: Status | None = None

    def __repr__(self) -> str:
        return self.name

    def point_time(self, dwell: float | None = None) -> float:
        """The dwell (s), and no more; 0 where there is none."""
        return 0.0 if dwell is None else dwell

    def trigger(self) -> Status:
        """Count a point."""
        self.pause()
        self._open = Status()
        status = self._open
        if self.prompt:
            self.finish()
        return status

    def finish(self) -> None:
        """End the point that is open, with a count."""
        if self._open is not None and not self._open.done:
            self.points += 1
            self._value = self._count()
            self._open.set_finished()

    def pause(self) -> None:
        """Break the point off: its status ends well, and there is no count."""
        if self._open is not None and not self._open.done:
            self._open.set_finished()

    def resume(self) -> None:
        """Do nothing: the plan asks again."""

    def read(self) -> dict[str, Any]:
        """The last count."""
        return {self.name: reading(self._value)}

    def describe(self) -> dict[str, Any]:
        """Data key of the counts."""
        return {self.name: number_key("counts")}

    def read_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}

    def describe_configuration(self) -> dict[str, Any]:
        """Nothing."""
        return {}
