"""How the simulated beamline tells the simulated Dastard what falls on the sample."""

from __future__ import annotations

import json
import time
from typing import Any

import zmq

from ..dastard import ServerFaults

__all__ = ["DastardLink"]

CONNECT_MS = 2000


class DastardLink:
    """Messages to a server's control port; a server that is gone is no error.

    Parameters
    ----------
    port : int
        Control port on loopback.
    """

    def __init__(self, port: int):
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.setsockopt(zmq.LINGER, 0)
        # Nothing may wait for a server that is started again: it would hear old news.
        self._socket.setsockopt(zmq.IMMEDIATE, 1)
        self._socket.connect(f"tcp://127.0.0.1:{port}")
        self._socket.poll(CONNECT_MS, zmq.POLLOUT)

    def tell(self, **state: Any) -> None:
        """Tell the beam's state from now on: energy (eV), flux (relative), open, sample."""
        self._send({"time": time.time(), **state})

    def go_on(self) -> None:
        """Say that up to now all is told."""
        self._send({"time": time.time(), "goes_on": True})

    def fault(self, command: str) -> None:
        """Pass on a fault.

        Raises
        ------
        ValueError
            The server does not know it.
        """
        ServerFaults.parse(command)
        self._send({"fault": command})

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.send(json.dumps(message).encode(), zmq.NOBLOCK)
        except zmq.Again:
            return  # it hears all of it again within a second of its return
