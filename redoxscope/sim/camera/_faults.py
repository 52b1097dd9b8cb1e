"""Faults of the simulated camera, on request."""

from __future__ import annotations

import math

__all__ = ["CAMERA_FAULTS", "CameraFaults"]

CAMERA_FAULTS = {
    "drop": "drop [FRAMES]: frames get lost on the way to the file; their numbers are left out",
    "miss": "miss [FRAMES]: gates that the camera does not see: no frame",
    "extra": "extra [FRAMES]: gates of which it makes two frames",
    "torn": "torn [FRAMES]: half of the frame is written, and its number is not",
    "unwritten": "unwritten [FRAMES]: frames that are counted as written and are not in the file",
    "late": "late SECONDS: frames come into the file so much later",
    "stall": "stall: no more frames, and the acquisition does not end",
    "silent": "silent: the camera takes no orders and says nothing new; puts complete",
    "disk_full": "disk_full: nothing more can be written",
    "exit": "exit: the process that makes the frames dies",
    "clear": "clear: end of every fault",
}
"""Name of each fault: how it is written and what it does."""

COUNTED = ("drop", "miss", "extra", "torn", "unwritten")
_MOST_FRAMES, _MOST_S = 1_000_000, 3600.0


class CameraFaults:
    """Faults in force.

    Attributes
    ----------
    late_s : float
        Delay of the file (s).
    """

    def __init__(self) -> None:
        self._due: dict[str, int] = {}
        self._now: set[str] = set()
        self.late_s = 0.0

    def __contains__(self, name: str) -> bool:
        return name in self._now

    @staticmethod
    def parse(command: str) -> tuple[str, float]:
        """Name and number of a command as in `CAMERA_FAULTS`.

        Raises
        ------
        ValueError
            Unknown fault, or a number that is none or beyond its limits.
        """
        name, *texts = command.split() or [""]
        if name not in CAMERA_FAULTS:
            raise ValueError(f"unknown fault 'camera {name}'; known: {', '.join(CAMERA_FAULTS)}")
        try:
            numbers = [float(text) for text in texts]
        except ValueError:
            numbers = [math.nan]
        if name in COUNTED:
            numbers = numbers or [1.0]
            good = len(numbers) == 1 and 1 <= numbers[0] <= _MOST_FRAMES and numbers[0] % 1 == 0
        elif name == "late":
            good = len(numbers) == 1 and 0 <= numbers[0] <= _MOST_S
        else:
            good, numbers = not numbers, [0.0]
        if not good:
            raise ValueError(f"fault 'camera {command}': expected {CAMERA_FAULTS[name]}")
        return name, numbers[0]

    def request(self, command: str) -> None:
        """Take a command.

        Raises
        ------
        ValueError
            As `parse`.
        """
        name, number = self.parse(command)
        if name == "clear":
            self._due.clear()
            self._now.clear()
            self.late_s = 0.0
        elif name in COUNTED:
            self._due[name] = self._due.get(name, 0) + int(number)
        elif name == "late":
            self.late_s = number
        else:
            self._now.add(name)

    def take(self, name: str) -> bool:
        """Whether a fault is due for this frame; it is then used up once."""
        if not self._due.get(name):
            return False
        self._due[name] -= 1
        return True
