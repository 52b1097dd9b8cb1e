"""What goes wrong with the simulated server on request."""

from __future__ import annotations

import os

__all__ = ["SERVER_FAULTS", "ServerFaults"]

SERVER_FAULTS = {
    "drop": "drop FRACTION: summaries that are counted and written, but not sent",
    "late": "late FRACTION SECONDS: summaries that are sent so much later",
    "late_writing": "late_writing SECONDS: WRITING comes so long after the reply",
    "rpc_slow": "rpc_slow SECONDS: every reply takes so long (real time)",
    "rate": "rate FACTOR: so many times the photons",
    "quiet": "quiet: no messages and no replies, but the process lives",
    "disk_full": "disk_full: nothing can be written",
    "data_drop": "data_drop: some frames get lost on the way into the server",
    "exit": "exit: the process ends at once",
    "clear": "clear: end of every fault",
}
"""Name of each fault: how it is written and what it does."""

_NUMBERS = {"drop": 1, "late": 2, "late_writing": 1, "rpc_slow": 1, "rate": 1}
_MOST = {"drop": 1.0, "late": 1.0, "rate": 1000.0}
"""Largest fraction; and more photons than this nobody's memory holds."""


class ServerFaults:
    """Faults in force.

    Attributes
    ----------
    drop, late : float
        Fraction of the summaries (0 to 1).
    late_s, late_writing_s : float
        Delay (server s).
    rpc_slow_s : float
        Delay (real s).
    rate : float
        Factor on the flux.
    quiet, disk_full : bool
    data_drops : int
        Losses of data that are due.
    """

    def __init__(self) -> None:
        self.data_drops = 0
        self._clear()

    def _clear(self) -> None:
        self.drop = self.late = self.late_s = self.late_writing_s = self.rpc_slow_s = 0.0
        self.rate = 1.0
        self.quiet = self.disk_full = False

    @staticmethod
    def parse(command: str) -> tuple[str, list[float]]:
        """Name and numbers of a command as in `SERVER_FAULTS`.

        Raises
        ------
        ValueError
            Unknown fault, or numbers that are none.
        """
        name, *texts = command.split() or [""]
        if name not in SERVER_FAULTS:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(SERVER_FAULTS)}")
        try:
            numbers = [float(text) for text in texts]
        except ValueError:
            numbers = [-1.0]
        good = len(numbers) == _NUMBERS.get(name, 0) and all(0 <= n < 1e9 for n in numbers)
        if not good or numbers[:1] > [_MOST.get(name, 1e9)]:
            raise ValueError(f"fault {command!r}: expected {SERVER_FAULTS[name]}")
        return name, numbers

    def request(self, command: str) -> None:
        """Take a command.

        Raises
        ------
        ValueError
            See `parse`.
        """
        name, numbers = self.parse(command)
        if name == "exit":
            os._exit(3)
        elif name == "clear":
            self._clear()
        elif name == "late":
            self.late, self.late_s = numbers
        elif name == "data_drop":
            self.data_drops += 1
        elif name in ("quiet", "disk_full"):
            setattr(self, name, True)
        else:
            setattr(self, name if name in ("drop", "rate") else f"{name}_s", numbers[0])
