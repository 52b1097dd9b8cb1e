"""Time in the simulation: real time times a speed factor."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

__all__ = ["Clock", "InstantClock"]


AN_INSTANT = 0.003
"""Real time (s) of what is over at once: so that a client sees it begin and end."""


class Clock:
    """Simulated seconds that pass ``speed`` times as fast as real ones.

    Parameters
    ----------
    speed : float
        Simulated seconds per real second, greater than 0.
    now : callable
        Monotonic real time (s); injected by tests.
    what : str
        What the speed is called.

    Raises
    ------
    ValueError
        A speed that is not a positive number.
    """

    def __init__(
        self,
        speed: float = 1.0,
        now: Callable[[], float] = time.monotonic,
        *,
        what: str = "speed",
    ):
        if not 0 < speed < float("inf"):
            raise ValueError(f"{what} = {speed} must be a number greater than 0")
        self.speed = speed
        self._now = now
        self._zero = now()

    def now(self) -> float:
        """Simulated time since the start (s)."""
        return (self._now() - self._zero) * self.speed

    async def sleep_until(self, when: float) -> None:
        """Wait until a simulated time (s); no time lost earlier is added."""
        delay = (when - self.now()) / self.speed
        await asyncio.sleep(max(delay, 0.0))

    async def sleep(self, duration: float) -> None:
        """Wait for a simulated duration (s)."""
        await self.sleep_until(self.now() + duration)

    async def unless(self, stop: asyncio.Event, duration: float) -> bool:
        """Wait for a simulated duration (s); True when it was stopped before its end."""
        try:
            await asyncio.wait_for(stop.wait(), duration / self.speed)
        except TimeoutError:
            return False
        return True


class InstantClock(Clock):
    """Simulated time that does not pass but jumps: whoever waits is there at once.

    For dry runs. Moves that begin together are counted one after the other: how long something
    would take is for the client to say.
    """

    def __init__(self) -> None:
        super().__init__(1e6)
        self._at = 0.0

    def now(self) -> float:
        return self._at

    async def sleep_until(self, when: float) -> None:
        await asyncio.sleep(AN_INSTANT)
        self._at = max(self._at, when)

    async def unless(self, stop: asyncio.Event, duration: float) -> bool:
        end = self.now() + duration
        if not stop.is_set():
            await self.sleep_until(end)
        return stop.is_set()
