"""Between the threads that receive and the run that is under way, if one is."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...photons import LiveBatch
from ._acquisition import Acquisition
from ._clock import ServerClock, parse_rfc3339
from ._errors import DastardError
from ._server_watch import ServerWatch

__all__ = ["Receiver"]

log = logging.getLogger("redoxscope.tes")

REMEMBERED = 2.5
"""Time (s) for which photons are remembered that came before a run: the server's first count of
pulses in it began before it did."""
MEASURED = 2.0
"""Time (s) over which the speed of the server's clock is known well enough to be judged."""
SPEED_TOLERANCE = 0.3
LATE = 1.0
"""So late (s) a busy machine may take a message: over a short time its speed seems another."""
SETTLED = 0.5
"""Time (s) after a connection from which on nothing is missed."""


class Receiver:
    """Hands photons and counts to the run, keeps the clock, and passes live photons on.

    Parameters
    ----------
    name : str
        Of the device, for messages.
    where : str
        The server, for messages.
    on_rate : callable, optional
        Gets the pulses per second of the array, NaN where no point is open.
    """

    def __init__(self, name: str, where: str, on_rate: Callable[[float], Any] = lambda _: None):
        self.name, self.where, self._on_rate = name, where, on_rate
        self.clock = ServerClock()
        self._lock = threading.RLock()
        self._acquisition: Acquisition | None = None
        self._watch: ServerWatch | None = None
        self._recent: deque[tuple[float, NDArray[np.uint16], NDArray[np.int64]]] = deque()
        self._clock_told = threading.Event()
        self._dropped: Any = None
        self._newest = 0
        self._first: tuple[int, float] | None = None
        self._last: tuple[int, float] | None = None
        self._subscribers: list[Callable[[LiveBatch], None]] = []

    def hand_to(self, acquisition: Acquisition | None, watch: ServerWatch | None = None) -> None:
        """Everything goes to this run from now on; ``watch`` says what must not change in it."""
        with self._lock:
            self._watch = watch
            if acquisition is not None:
                for _, index, time_ns in self._recent:
                    acquisition.came_before(index, time_ns)
            self._acquisition = acquisition
        if acquisition is not None and watch is not None:
            self._judge(acquisition, watch.now())

    def _judge(self, acquisition: Acquisition, reason: str) -> None:
        if reason:
            acquisition.fail(DastardError(f"{self.where}: {reason}"))

    def complete_since(self, linked_for: float) -> int:
        """Server's time (ns) since which every photon is remembered.

        Parameters
        ----------
        linked_for : float
            Since how long (s) the server is connected.
        """
        back = min(max(linked_for - SETTLED, 0.0), REMEMBERED - SETTLED)
        return self.clock.now_ns() - round(back * 1e9 * self.clock.scale)

    def wait_clock(self, timeout: float) -> None:
        """Wait until the server has told its time.

        Raises
        ------
        DastardError
            It has not.
        """
        if not self.clock.known and not self._clock_told.wait(timeout):
            raise DastardError(
                f"{self.where} did not tell its time within {timeout:.3g} s (status TRIGGERRATE)"
            )

    def check_speed(self) -> None:
        """Refuse a wrong ``time_scale``, as far as the server's messages tell.

        Raises
        ------
        DastardError
            Names the speed of the server's clock.
        """
        if self._first is None or self._last is None:
            return
        there, here = (b - a for a, b in zip(self._first, self._last, strict=True))
        if here < MEASURED:
            return
        speed = 1e-9 * there / here
        if abs(speed / self.clock.scale - 1) > SPEED_TOLERANCE + LATE / here:
            raise DastardError(
                f"{self.where}: its clock runs {speed:.3g} s per second here, but time_scale is "
                f"{self.clock.scale:g}"
            )

    def subscribe(self, function: Callable[[LiveBatch], None]) -> Callable[[], None]:
        """Pass live photons to a function; returns what ends it."""
        self._subscribers = [*self._subscribers, function]

        def end() -> None:
            self._subscribers = [f for f in self._subscribers if f is not function]

        return end

    def publish(self, batch: LiveBatch) -> None:
        """Pass on photons of the open point."""
        for function in self._subscribers:
            try:
                function(batch)
            except Exception:  # a display must never stop a scan
                log.exception("showing live photons failed; it is not tried again")
                self._subscribers = [f for f in self._subscribers if f is not function]

    # -- called by the threads that receive -----------------------------------------------

    def batch(self, arrays: list[NDArray[np.void]], at: float, drained: bool) -> None:
        """Photons came."""
        with self._lock:
            for array in arrays:
                self._recent.append((at, array["chan_index"].copy(), array["t_ns"].copy()))
            while self._recent and self._recent[0][0] < at - REMEMBERED:
                self._recent.popleft()
            acquisition = self._acquisition
        if acquisition is None:
            return
        for array in arrays:
            acquisition.add(array)
        acquisition.tick(drained=drained)

    def status(self, tag: str, content: Any, at: float) -> None:
        """A status message came."""
        acquisition, watch = self._acquisition, self._watch
        if acquisition is not None and watch is not None:
            self._judge(acquisition, watch.changed(tag, content))
        if tag == "TRIGGERRATE":
            end = parse_rfc3339(content["HiTime"])
            self.clock.heard(end, at)
            self._clock_told.set()
            self._note_speed(end, at)
            counts = np.asarray(content["CountsSeen"], np.int64)
            if acquisition is not None:
                rate = acquisition.rates(end - int(content["Duration"]), end, counts, at)
                self._on_rate(rate)
        elif tag == "DATADROP" and content != self._dropped:
            self._dropped = content  # the server repeats it with every run
            if content.get("TotalObserved"):
                log.warning("%s: data were lost on the way into it: %s", self.where, content)

    def _note_speed(self, end: int, at: float) -> None:
        # The first may be an old message that was asked for again, as may repeated ones.
        newest, self._newest = self._newest, max(end, self._newest)
        if newest and end > newest:
            self._first, self._last = self._first or (end, at), (end, at)

    def lost(self, error: DastardError) -> None:
        """The server ended, or is silent."""
        acquisition = self._acquisition
        if acquisition is not None:
            acquisition.fail(DastardError(f"{self.name}: {error}"))
        else:
            log.warning("%s", error)
        self._clock_told.clear()
        self.clock.reset()
        self._first = self._last = None
        self._newest = 0
