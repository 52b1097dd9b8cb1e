"""A suspender that no pause, and no second trip, gets around."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any

from bluesky import Msg
from bluesky.suspenders import SuspenderBase
from bluesky.utils import MsgGenerator

from ...inputs import as_number

__all__ = ["HoldingSuspender", "signal_of"]

log = logging.getLogger("redoxscope.plans")

LOOK_AGAIN = 0.05
"""Time (s) after which a RunEngine that is just pausing is looked at again."""
BEGINNING = 1.0
"""Time (s) after which an idle RunEngine is looked at once more: a plan may just begin."""


class HoldingSuspender(SuspenderBase):
    """Suspends what a RunEngine does while something does not hold; the base of all of ours.

    A plan that was paused meanwhile, or was suspended by something else too, does not go on
    before it holds again; a trip during a pause counts. A plan is not begun while it does not
    hold. What was under way (a line, a point, an exposure) is thrown away and measured again.

    Parameters
    ----------
    signal : ophyd.Signal
        What is watched.
    settle : float
        Goes on once it has held for so long (s).
    """

    def __init__(self, signal: Any, *, settle: float = 0.0) -> None:
        super().__init__(signal, sleep=as_number("settle", settle, "s", at_least=0))
        # What it tripped at: on the RunEngine's loop nothing may wait for a server's answer.
        self._cause: Any = None
        self._told = False
        self._trips = 0
        self._asked = False  # the engine was asked to suspend, and has not gone on since
        self._wakers: list[Callable[[], Any]] = []

    @abstractmethod
    def _judge(self, value: Any) -> bool | None:
        """True: suspend. False: good enough to go on. None: neither."""

    @abstractmethod
    def _reason(self, value: Any) -> str:
        """Why it suspends: signal, value, limit and unit."""

    @abstractmethod
    def _until(self) -> str:
        """What is waited for, in words."""

    def _before(self) -> MsgGenerator[None]:
        """What is done when all is at rest, before it waits."""
        yield from ()

    def _should_suspend(self, value: Any) -> bool:
        return self._judge(value) is True

    def _should_resume(self, value: Any) -> bool:
        return self._judge(value) is False

    def install(self, RE: Any, *, event_type: str | None = None) -> None:
        """Watch the signal, for this RunEngine.

        Raises
        ------
        TimeoutError, ophyd.utils.DisconnectedError
            It cannot be asked for.
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
        """Take a new value of the signal."""
        self._take(value)

    def _take(self, value: Any, *, asked_for: bool = False) -> None:
        with self._lock:
            engine = self.RE
            if engine is None or (asked_for and self._told):  # what was told meanwhile is newer
                return
            self._told = True
            verdict = self._judge(value)
            if verdict is True and not self._tripped:
                self._tripped, self._trips, self._cause = True, self._trips + 1, value
                log.warning("%s: waiting until %s", self._reason(value), self._until())
                engine.loop.call_soon_threadsafe(self._ask)
            elif verdict is False and self._tripped:
                self._tripped = self._asked = False
                log.warning("%s", self._over(value))
                self._wake()

    def _over(self, value: Any) -> str:
        """What is told when it holds again."""
        return f"{self._sig.name} is {value} again"

    def get_futures(self) -> tuple[list[Callable[[], Any]], str]:
        """What a plan waits for before it begins, and why."""
        with self._lock:
            self._asked = self._tripped
            if not self._tripped:
                return [], ""
        return [self._holds], self._reason(self._cause)

    def _get_justification(self) -> str:
        return self._reason(self._cause) if self._tripped else ""

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
        engine.request_suspend(_done, pre_plan=self._until_it_holds, justification=reason)

    def _until_it_holds(self) -> MsgGenerator[None]:
        """Wait, however often something else breaks the wait off."""
        while True:
            yield from self._before()
            yield Msg("wait_for", None, [self._holds])
            engine = self.RE
            if engine is None or not self._tripped:
                return
            # A pause that was resumed, or another suspender that is over, has told the devices to
            # go on: they are paused again.
            self._suspend(engine)

    async def _holds(self) -> None:
        """Wait until it has held for long enough."""
        loop = asyncio.get_running_loop()
        while True:
            with self._lock:
                trips, tripped = self._trips, self._tripped
                changed = asyncio.Event()
                if tripped:
                    self._wakers.append(partial(loop.call_soon_threadsafe, changed.set))
            if tripped:
                await changed.wait()
                continue
            if self._sleep:
                await asyncio.sleep(self._sleep)
            with self._lock:
                if trips == self._trips and not self._tripped:
                    return


async def _done() -> None:
    """Nothing is left to wait for."""


def signal_of(name: str, device: Any, attribute: str) -> Any:
    """The signal of a device that is called so, or what was given where that is a signal.

    Raises
    ------
    ValueError
        There is none; names the argument.
    """
    signal = getattr(device, attribute, device)
    if not all(callable(getattr(signal, verb, None)) for verb in ("subscribe", "get")):
        shown = getattr(device, "name", device)
        raise ValueError(
            f"{name} = {shown!r} must be a signal, or a device with one as {attribute!r}"
        )
    return signal
