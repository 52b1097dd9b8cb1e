"""The server's time: real time since an epoch, times a speed factor."""

from __future__ import annotations

import time
from datetime import datetime

__all__ = ["ServerClock", "rfc3339"]


class ServerClock:
    """Nanoseconds since 1970 on the clock of the simulated server.

    Parameters
    ----------
    speed : float
        Server seconds per real second.
    epoch_ns : int, optional
        Real time (ns since 1970) at which both clocks agree; default now. A server that is
        started again keeps that of the first, or its time would jump back.

    Raises
    ------
    ValueError
        A speed that is not a positive number.
    """

    def __init__(self, speed: float = 1.0, epoch_ns: int | None = None):
        if not 0 < speed < float("inf"):
            raise ValueError(f"speed = {speed} must be a number greater than 0")
        self.speed = speed
        # A step of the computer's clock must not become a jump of photon times.
        self._real_zero, self._zero = time.time_ns(), time.monotonic_ns()
        self.epoch_ns = self._real_zero if epoch_ns is None else epoch_ns

    def now_ns(self) -> int:
        """Server time (ns since 1970)."""
        return self._at(time.monotonic_ns() - self._zero + self._real_zero)

    def of_real(self, real_s: float) -> int:
        """Server time (ns since 1970) at a real time (s since 1970)."""
        return self._at(round(real_s * 1e9))

    def _at(self, real_ns: int) -> int:
        return self.epoch_ns + round((real_ns - self.epoch_ns) * self.speed)


def rfc3339(ns: int) -> str:
    """A time (ns since 1970) as Go writes it in JSON: local, without trailing zeros."""
    seconds, rest = divmod(ns, 1_000_000_000)
    local = datetime.fromtimestamp(seconds).astimezone()
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    zone = local.strftime("%z")
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:]}"
    return f"{local:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"
