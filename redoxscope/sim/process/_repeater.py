"""Answers Channel Access clients of this process that look for a repeater.

A repeater passes on beacons, of which a simulated beamline sends none; but libca starts one,
and complains at length where it cannot (its program is not in the wheels). caproto's does not
answer the empty datagrams with which libca registers.
"""

from __future__ import annotations

import socket
import struct
import threading

__all__ = ["answer_repeater_requests"]

_CONFIRM = 17  # REPEATER_CONFIRM of the Channel Access protocol


def answer_repeater_requests() -> int:
    """Confirm every registration, on a loopback port, until the process ends; the port."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))

    def answer() -> None:
        (here,) = struct.unpack(">I", socket.inet_aton("127.0.0.1"))
        while True:
            _, client = sock.recvfrom(1024)
            sock.sendto(struct.pack(">HHHHII", _CONFIRM, 0, 0, 0, 0, here), client)

    threading.Thread(target=answer, daemon=True, name="ca-repeater").start()
    return int(sock.getsockname()[1])
