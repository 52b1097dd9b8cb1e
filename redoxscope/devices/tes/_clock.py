"""The server's clock, as far as its messages tell."""

from __future__ import annotations

import calendar
import re
import threading
import time
from collections.abc import Callable
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

__all__ = ["ServerClock", "parse_rfc3339"]

DRIFT = 50e-6
"""Two clocks go apart by no more than this, relative."""
MARGIN = 0.1
"""How long (s, here) a message may be under way where only messages told the time."""
STEP_NS = 1_000_000
"""By so much (ns) two bounds may contradict each other before a clock was set."""

_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$"
)


def parse_rfc3339(text: str) -> int:
    """Time as Go writes it, in ns since 1970; Python's own parser stops at µs.

    Raises
    ------
    ValueError
        It is no such time.
    """
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(f"{text!r} is no time of the form 2026-01-31T12:00:00.123456789Z")
    *date, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = (int(part) for part in date)
    if not 1969 <= year < 2200:  # ns since 1970 must fit into 64 bits
        raise ValueError(f"{text!r} is not of this time")
    datetime(year, month, day, hour, minute, min(second, 59))  # a leap second is none to it
    seconds = calendar.timegm((year, month, day, hour, minute, second))
    if sign is not None:
        offset = 3600 * int(hours) + 60 * int(minutes)
        seconds += offset if sign == "-" else -offset
    return seconds * 10**9 + int((fraction or "0")[:9].ljust(9, "0"))


class ServerClock:
    """What time it is at the server, from bounds: no message comes before it was sent.

    A time stamp in a message says that the server's clock is past it (`heard`). A state label
    is stamped when the server gets it, hence not before it was sent (`labelled`). The estimate
    is the latest time that the labels allow, so it errs by the way of one request and only to
    the late side: a window opened now does not begin before the beam was ready. Without a label
    it is the earliest that the messages allow, and `MARGIN` later.

    Parameters
    ----------
    scale : float
        Seconds of the server's clock per second here: 1, except for a simulated server.
    monotonic : callable
        Seconds here.
    """

    def __init__(self, scale: float = 1.0, monotonic: Callable[[], float] = time.monotonic):
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._scale = scale
        self._upper: tuple[int, float] | None = None  # offset (ns), when
        self._lower: tuple[int, float] | None = None

    @property
    def scale(self) -> float:
        return self._scale

    @scale.setter
    def scale(self, value: float) -> None:
        with self._lock:
            if value != self._scale:
                self._scale = value
                self._upper = self._lower = None

    @property
    def known(self) -> bool:
        """Whether any message told the time."""
        return self._upper is not None or self._lower is not None

    def reset(self) -> None:
        """Forget everything: the server was started again."""
        with self._lock:
            self._upper = self._lower = None

    def labelled(self, stamp_ns: int, sent: float) -> None:
        """A label that was sent at ``sent`` (monotonic, s) was stamped ``stamp_ns``."""
        with self._lock:
            bound = stamp_ns - self._run(sent)
            if self._lower is not None and self._relaxed(self._lower, sent, -1) > bound + STEP_NS:
                self._lower = None
            old = self._upper
            if old is not None:
                bound = min(bound, self._relaxed(old, sent, +1))
            self._upper = (bound, sent)

    def heard(self, stamp_ns: int, at: float) -> None:
        """A message with the time stamp ``stamp_ns`` came at ``at`` (monotonic, s)."""
        with self._lock:
            bound = stamp_ns - self._run(at)
            if self._upper is not None and bound > self._relaxed(self._upper, at, +1) + STEP_NS:
                self._upper = None
            old = self._lower
            if old is not None:
                bound = max(bound, self._relaxed(old, at, -1))
            self._lower = (bound, at)

    def now_ns(self) -> int:
        """The server's time, ns since 1970.

        Raises
        ------
        ValueError
            No message has told it.
        """
        at = self._monotonic()
        with self._lock:
            return self._offset() + self._run(at)

    def now_if_known(self) -> int | None:
        """The server's time (ns since 1970), None where no message has told it."""
        try:
            return self.now_ns()
        except ValueError:
            return None

    def local(self, time_ns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Times of the server as seconds since 1970 on this machine's clock."""
        with self._lock:
            base = self._offset()
        at = (np.asarray(time_ns, np.int64) - base) / (1e9 * self._scale)
        return at + (time.time() - self._monotonic())

    def seconds_here(self, seconds: float) -> float:
        """How long (s) so many seconds of the server take here."""
        return seconds / self._scale

    def _run(self, at: float) -> int:
        return round(at * 1e9 * self._scale)

    def _relaxed(self, bound: tuple[int, float], at: float, sign: int) -> int:
        return bound[0] + sign * round(DRIFT * self._run(abs(at - bound[1])))

    def _offset(self) -> int:
        if self._upper is not None:
            return self._upper[0]
        if self._lower is not None:
            return self._lower[0] + self._run(MARGIN)
        raise ValueError("the server has not told its time")
