"""Listens at a proxy, until it is told to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from ...inputs import proxy_address
from ...photons import LiveBatch
from ._form import BEAT
from ._hearing import Hearing

__all__ = ["Listener"]

PATIENCE = 5.0
"""Time (s) after which it is said that nothing answers."""
MOST_BYTES = 1 << 28
"""Longest message that is taken."""
MOST_WAITING = 20_000
"""Most messages that wait here; then the proxy drops what more there is, and it is counted."""
WAKE_MS = 200
"""Longest time (ms) for `Listener.close` to be seen."""


class Listener:
    """Takes the documents of sessions elsewhere from a 0MQ proxy; whatever comes, it goes on.

    Parameters
    ----------
    address : str
        Of the proxy, where it gives documents out: ``HOST:PORT``.
    take : callable
        ``take(name, doc)`` gets the documents, on the thread of `run`.
    photons : callable, optional
        ``photons(run, batch)`` gets the photons of a TES's point under way.
    say : callable, optional
        ``say(text)`` gets what a user should know: who is there, what is missing, what is dropped.

    Raises
    ------
    ValueError
        The address is none.
    """

    def __init__(
        self,
        address: str,
        take: Callable[[str, dict[str, Any]], object],
        *,
        photons: Callable[[str, LiveBatch], object] | None = None,
        say: Callable[[str], object] = print,
    ) -> None:
        self.address = proxy_address("address", address)
        self.say = say
        self.hearing = Hearing(take, photons or (lambda run, batch: None), say)
        self._ending = threading.Event()
        self._understood = False

    def close(self) -> None:
        """Have `run` return; from any thread."""
        self._ending.set()

    def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Listen until `close` is called, or ``until()`` is true."""
        with zmq.Context() as context, context.socket(zmq.SUB) as socket:
            for option, value in (
                (zmq.LINGER, 0),
                (zmq.IPV6, 1),
                (zmq.RCVHWM, MOST_WAITING),
                (zmq.MAXMSGSIZE, MOST_BYTES),
                (zmq.HEARTBEAT_IVL, 2500),
                (zmq.HEARTBEAT_TIMEOUT, 5000),
            ):
                socket.setsockopt(option, value)
            socket.setsockopt(zmq.SUBSCRIBE, b"")
            monitor = socket.get_monitor_socket(
                zmq.EVENT_CONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED
            )
            try:
                socket.connect(self.address)
                self._listen(socket, monitor, until)
            finally:
                socket.disable_monitor()
                monitor.close(linger=0)

    def _listen(self, socket: Any, monitor: Any, until: Callable[[], bool]) -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(monitor, zmq.POLLIN)
        silent_at: float | None = time.monotonic() + PATIENCE
        look_at = 0.0
        while not self._ending.is_set() and not until():
            ready = dict(poller.poll(WAKE_MS))
            now = time.monotonic()
            if monitor in ready:
                silent_at = self._connection(recv_monitor_message(monitor)["event"], silent_at, now)
            if silent_at is not None and now > silent_at:
                silent_at = None
                self.say(f"nothing answers at {self.address}; waiting")
            if socket in ready:
                self.hearing.message(socket.recv(), now)
            if now > look_at:
                self.hearing.tick(now)
                look_at = now + BEAT / 2

    def _connection(self, event: int, silent_at: float | None, now: float) -> float | None:
        """Say what has become of the connection; when to say that nothing answers."""
        understood, self._understood = self._understood, event == zmq.EVENT_HANDSHAKE_SUCCEEDED
        if self._understood:
            self.say(f"{self.address} answers")
            return None
        if event == zmq.EVENT_DISCONNECTED and not understood:
            self.say(
                f"{self.address} answers, but gives out no documents: is it where the proxy takes "
                "them in?"
            )
            return None
        return silent_at if silent_at is not None else now + PATIENCE
