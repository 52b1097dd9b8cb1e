"""Finding a port."""

from __future__ import annotations

import socket

__all__ = ["check_free", "free_port"]


def free_port() -> int:
    """A loopback port that is free for TCP and UDP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def check_free(port: int) -> None:
    """Refuse a loopback port that another program has: the server would quietly take another.

    Raises
    ------
    OSError
        It is taken, or none.
    """
    for kind, name in ((socket.SOCK_STREAM, "TCP"), (socket.SOCK_DGRAM, "UDP")):
        with socket.socket(socket.AF_INET, kind) as sock:
            if kind is socket.SOCK_STREAM:  # the rest of an earlier server is no server
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
            except (OSError, OverflowError) as exc:
                why = exc.strerror if isinstance(exc, OSError) else exc
                raise OSError(f"{name} port {port} on 127.0.0.1: {why}") from exc
