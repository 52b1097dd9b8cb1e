"""Waiting for the ring: a suspender that no pause, and no second trip, gets around."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky.suspenders import SuspenderBase
from bluesky.utils import MsgGenerator

from ..inputs import as_number, plain_number

__all__ = ["RingSuspender"]

log = logging.getLogger("redoxscope.plans")

LOOK_AGAIN = 0.05
"""Time (s) after which a RunEngine that is just pausing is looked at again."""
BEGINNING = 1.0
"""Time (s) after which an idle RunEngine is looked at once more: a plan may just begin."""


class RingSuspender(SuspenderBase):
    """Suspends what a RunEngine does while the ring current is low.

    As bluesky's ``SuspendFloor``, and further: a plan that was paused meanwhile, or was suspended
    by something else too, does not go on before there is current; a trip during a pause counts; a
    current that is no number (NaN) is none.

    A plan is not begun while the current is low. What was under way when it fell (a line, a point,
    an exposure) is thrown away and measured again; a line is marked as ``RETRIED``.

    Parameters
    ----------
    ring : device or Signal
        A device whose ``current`` (mA) is the signal, as `redoxscope.devices.RingCurrent`; or the
        signal itself.
    below : float
        Suspends below this (mA).
    resume : float, optional
        Goes on from this on (mA); by default ``below``.
    settle : float
        Goes on once the current has been high for so long (s).

    Raises
    ------
    ValueError
        A limit is no number or negative, ``resume`` is lower than ``below``, or ``ring`` has no
        signal.

    Examples
    --------
    >>> RE.install_suspender(RingSuspender(ring, below=100, resume=200))  # doctest: +SKIP
    """

    def __init__(
        self, ring: Any, *, below: float, resume: float | None = None, settle: float = 0.0
    ) -> None:
        signal = getattr(ring, "current", ring)
        if not all(callable(getattr(signal, verb, None)) for verb in ("subscribe", "get")):
            raise ValueError(f"ring = {ring!r} must be a signal, or a device with one as 'current'")
        self.below = as_number("below", below, "mA", above=0)
        self.resume = (
            self.below if resume is None else as_number("resume", resume, "mA", at_least=self.below)
        )
        super().__init__(signal, sleep=as_number("settle", settle, "s", at_least=0))
        # What was told last: on the RunEngine's loop nothing may wait for a server's answer.
        self._value: Any = None
        self._told = False
        self._trips = 0
        self._asked = False  # the engine was asked to suspend, and has not gone on since
        self._wakers: list[Callable[[], Any]] = []

    def __repr__(self) -> str:
        return f"RingSuspender({self._sig.name}, below={self.below:g}, resume={self.resume:g})"

    def _should_suspend(self, value: Any) -> bool:
        number = plain_number(value)
        return number is None or not number >= self.below

    def _should_resume(self, value: Any) -> bool:
        number = plain_number(value)
        return number is not None and number >= self.resume

    def install(self, RE: Any, *, event_type: str | None = None) -> None:
        """Watch the current, for this RunEngine.

        Raises
        ------
        TimeoutError, ophyd.utils.DisconnectedError
            The current cannot be asked for.
        """
        with self._lock:
            self.RE, self._told = RE, False
        self._sig.subscribe(self, event_type=event_type, run=False)
        try:
            value = self._sig.get()
        except BaseException:
            self.remove()
            raise
        self._take(value, asked_for=True)

    def remove(self) -> None:
        """Watch no more; what waits goes on."""
        self._sig.clear_sub(self)
        with self._lock:
            self.RE, self._tripped, self._asked = None, False, False
            self._wake()

    def __call__(self, value: Any, **_: Any) -> None:
        """Take a new value of the current (mA)."""
        self._take(value)

    def _take(self, value: Any, *, asked_for: bool = False) -> None:
        with self._lock:
            engine = self.RE
            if engine is None or (asked_for and self._told):  # what was told meanwhile is newer
                return
            self._value, self._told = value, True
            if self._should_suspend(value) and not self._tripped:
                self._tripped, self._trips = True, self._trips + 1
                log.warning("%s: waiting until it is %g mA", self._reason(value), self.resume)
                engine.loop.call_soon_threadsafe(self._ask)
            elif self._tripped and self._should_resume(value):
                self._tripped = self._asked = False
                log.warning("%s is %s mA again", self._sig.name, value)
                self._wake()

    def get_futures(self) -> tuple[list[Callable[[], Any]], str]:
        """What a plan waits for before it begins, and why."""
        with self._lock:
            self._asked = self._tripped
            if not self._tripped:
                return [], ""
        return [self._high], self._reason(self._value)

    def _get_justification(self) -> str:
        return self._reason(self._value) if self._tripped else ""

    def _reason(self, value: Any) -> str:
        return f"{self._sig.name} is {value} mA, less than {self.below:g} mA"

    def _wake(self) -> None:
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    # -- on the RunEngine's loop --------------------------------------------------------------

    def _ask(self, *, once_more: bool = True) -> None:
        """Have the engine suspend, whatever it is doing; without effect where it was asked."""
        engine = self.RE
        if engine is None or not self._tripped or self._asked:
            return
        if engine.state in ("running", "paused"):
            self._suspend(engine)
        elif engine.state in ("pausing", "suspending"):
            engine.loop.call_later(LOOK_AGAIN, self._ask)
        elif once_more:  # a plan that begins just now has asked for the futures before it tripped
            engine.loop.call_later(BEGINNING, partial(self._ask, once_more=False))

    def _suspend(self, engine: Any) -> None:
        self._asked = True
        reason = self._get_justification()
        engine.request_suspend(_done, pre_plan=self._until_high, justification=reason)

    def _until_high(self) -> MsgGenerator[None]:
        """Wait, however often something else breaks the wait off."""
        while True:
            yield Msg("wait_for", None, [self._high])
            engine = self.RE
            if engine is None or not self._tripped:
                return
            # A pause that was resumed, or another suspender that is over, has told the devices to
            # go on: they are paused again.
            self._suspend(engine)

    async def _high(self) -> None:
        """Wait until the current has been high for long enough."""
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                trips, low = self._trips, self._tripped
                changed = asyncio.Event()
                if low:
                    self._wakers.append(partial(loop.call_soon_threadsafe, changed.set))
            if low:
                await changed.wait()
                continue
            if self._sleep:
                await asyncio.sleep(self._sleep)
            with self._lock:
                if trips == self._trips and not self._tripped:
                    return


async def _done() -> None:
    """Nothing is left to wait for."""
