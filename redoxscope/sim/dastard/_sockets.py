"""The five ports of a Dastard in a row, and the one by which its beam is told."""

from __future__ import annotations

import socket
from dataclasses import dataclass

import zmq

__all__ = ["Sockets", "open_listener", "open_sockets"]

HOST = "127.0.0.1"
_OFFSETS = {"status": 1, "records": 2, "summaries": 4}
_BLOCK = 5
_ATTEMPTS = 100


@dataclass(frozen=True)
class Sockets:
    """Bound sockets.

    Attributes
    ----------
    base : int
        Port of the calls; status is one above, records two, summaries four.
    control_port : int
    rpc : socket.socket
        Listening.
    status, records, summaries : zmq.Socket
        PUB.
    control : zmq.Socket
        PULL.
    """

    base: int
    control_port: int
    rpc: socket.socket
    status: zmq.Socket[bytes]
    records: zmq.Socket[bytes]
    summaries: zmq.Socket[bytes]
    control: zmq.Socket[bytes]


def open_listener(port: int) -> socket.socket:
    """A TCP socket that listens on loopback.

    Raises
    ------
    OSError
        The port is taken; names it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(16)
    except OSError as exc:
        listener.close()
        raise OSError(exc.errno, f"port {port} on {HOST}: {exc.strerror}") from exc
    return listener


def _open_block(context: zmq.Context[zmq.Socket[bytes]], base: int, hwm: int) -> dict:
    rpc = open_listener(base)
    opened: dict = {"rpc": rpc}
    try:
        base = rpc.getsockname()[1]
        for name, offset in _OFFSETS.items():
            opened[name] = publisher = context.socket(zmq.PUB)
            publisher.sndhwm = hwm
            publisher.linger = 0
            publisher.bind(f"tcp://{HOST}:{base + offset}")
    except (OSError, zmq.ZMQError):
        for thing in opened.values():
            thing.close()
        raise
    return {"base": base, **opened}


def open_sockets(base: int = 0, control: int = 0, hwm: int = 1_000_000) -> Sockets:
    """Bind the ports on loopback.

    Parameters
    ----------
    base : int
        Of the calls; 0: any block of ports that is free.
    control : int
        0: any that is free.
    hwm : int
        Messages that wait for a slow client before more are thrown away.

    Raises
    ------
    OSError
        A port is taken; names it.
    """
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
    for attempt in range(_ATTEMPTS):
        try:
            block = _open_block(context, base, hwm)
            break
        except (OSError, zmq.ZMQError) as exc:
            if base or attempt == _ATTEMPTS - 1:
                ports = f"ports {base} to {base + _BLOCK - 1}" if base else "a block of ports"
                raise OSError(f"{ports} on {HOST}: {exc}") from exc
    pull = context.socket(zmq.PULL)
    try:
        port = pull.bind(f"tcp://{HOST}:{control or '*'}").addr.rpartition(":")[2]
    except zmq.ZMQError as exc:
        raise OSError(f"control port {control} on {HOST}: {exc}") from exc
    return Sockets(control_port=int(port), control=pull, **block)
