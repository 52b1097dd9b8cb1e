"""Faults of the FLY contract's controllers, on request."""

from __future__ import annotations

__all__ = ["FLY_FAULTS", "FlyFaults"]

FLY_FAULTS = {
    "line_fails": "line_fails [TIMES [AFTER]]: the line fails: GO completes, STATE is ERROR",
    "stale_dwell": "stale_dwell [TIMES [AFTER]]: another client makes the dwell x 10",
    "foreign_line": "foreign_line [TIMES [AFTER]]: another's line is on the first counter",
    "zero_positions": "zero_positions [TIMES [AFTER]]: POS is all zeros, as of nPoint's",
    "no_data": "no_data [TIMES [AFTER]]: the counters never finish; the line's deadline ends it",
    "silent": "silent [TIMES [AFTER]]: GO is never answered, until ABORT",
    "arm_refused": "arm_refused [TIMES [AFTER]]: ARM says that a controller is not ready",
    "restart": "restart [TIMES [AFTER]]: the service starts anew before the line: INDEX 0, IDLE",
    "clear": "clear: forget every fault that is still due",
}
"""Name of each fault: how it is written and what it does; TIMES lines after AFTER good ones."""


class FlyFaults:
    """Faults that are due, counted by what they befall: a line, or an ARM."""

    def __init__(self) -> None:
        self._due: dict[str, list[int]] = {}  # name: times, after

    def request(self, command: str) -> None:
        """Take a command.

        Raises
        ------
        ValueError
            Unknown fault, or numbers that are none.
        """
        name, *numbers = command.split() or [""]
        if name not in FLY_FAULTS:
            raise ValueError(f"unknown fault 'fly {name}'; known: {', '.join(FLY_FAULTS)}")
        try:
            times, after, *_ = (*map(int, numbers), *((1, 0)[len(numbers) :]))
        except ValueError:
            times = after = -1
        if len(numbers) > 2 or times < 0 or after < 0:
            raise ValueError(f"fault 'fly {command}': expected {FLY_FAULTS[name]}")
        if name == "clear":
            self._due.clear()
        else:
            self._due[name] = [times, after]

    def take(self, name: str) -> bool:
        """Whether a fault is due now; it is then used up once."""
        due = self._due.get(name)
        if due is None:
            return False
        if due[1] > 0:
            due[1] -= 1
            return False
        if due[0] > 0:
            due[0] -= 1
            return True
        return False
