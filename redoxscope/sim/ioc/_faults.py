"""Faults that the simulated beamline produces on request."""

from __future__ import annotations

from collections import Counter

__all__ = ["FAULTS", "Faults"]

FAULTS = {
    "missed_trigger": "missed_trigger [LINE [TIMES]]: the line (default: the next) gets no counts",
    "hang": "hang [LINE [TIMES]]: the line never ends",
    "lost_line": "lost_line [LINE [TIMES]]: the line's position monitor is not sent",
    "lost_counts": "lost_counts [LINE [TIMES]]: the line's counts monitor is not sent",
    "scanner_error": "scanner_error [LINE]: the scanner stops with an error at the line",
    "exit": "exit [LINE]: the IOC dies in the middle of the line",
    "beam_dump": "beam_dump: no stored beam until beam_back",
    "beam_back": "beam_back: stored beam again",
    "mono_stuck": "mono_stuck: the next energy move stops half-way",
    "epu_stuck": "epu_stuck: the undulator does not follow the next energy move",
    "focus_stuck": "focus_stuck: the next zone plate move stops half-way",
    "shutter_stuck": "shutter_stuck: the shutter blade does not close any more",
    "path_hang": "path_hang: the next path stays where it is half-way",
    "path_error": "path_error: the next path ends with an error",
    "camera": "camera FAULT: a fault of the camera",
    "dastard": "dastard FAULT: a fault of the simulated Dastard, where there is one",
    "fly": "fly FAULT: a fault of the FLY contract, where it is served",
    "heat": "heat FAULT: a fault of the heating stages, the vacuum or the cryostat",
    "clear": "clear: forget every fault that is still due, free the shutter",
}
"""Name of each fault: how it is written and what it does."""


class Faults:
    """Faults that are due: by line, by move, or now.

    Commands are lines of text, ``name [line [times]]``; see `FAULTS`.
    """

    def __init__(self) -> None:
        self._due: dict[str, Counter[int]] = {}
        self.beam_on = True
        self.shutter_stuck = False

    def request(self, command: str) -> None:
        """Take a command.

        Raises
        ------
        ValueError
            Unknown fault, or numbers that are none.
        """
        name, *numbers = command.split() or [""]
        if name not in FAULTS:
            raise ValueError(f"unknown fault {name!r}; known: {', '.join(FAULTS)}")
        try:
            line, times, *_ = (*map(int, numbers), *((-1, 1)[len(numbers) :]))
        except ValueError:
            raise ValueError(f"fault {command!r}: expected {FAULTS[name]}") from None
        if name == "clear":
            self._due.clear()
            self.shutter_stuck = False
        elif name in ("beam_dump", "beam_back"):
            self.beam_on = name == "beam_back"
        elif name == "shutter_stuck":
            self.shutter_stuck = True
        else:
            self._due.setdefault(name, Counter())[line] += times

    def take(self, name: str, line: int = -1) -> bool:
        """Whether a fault is due for this line (or any); it is then used up once."""
        due = self._due.get(name)
        for key in (line, -1):
            if due and due[key] > 0:
                due[key] -= 1
                return True
        return False
