"""How often each line of an image was tried, and the controller was away."""

from __future__ import annotations

import logging

from .._base import DeviceError

__all__ = ["Tries"]

log = logging.getLogger("redoxscope.scanner")

OUTAGES = 3
"""How often the controller may fall silent at one line before the image fails."""


class Tries:
    """Of the lines of one image.

    Parameters
    ----------
    name : str
        Of the scanner, for messages.
    """

    def __init__(self, name: str):
        self._name = name
        self._tried: dict[int, int] = {}
        self._outages: dict[int, int] = {}

    def again(self, line: int, retries: int) -> bool:
        """Count a try that failed; whether there is another."""
        tried = self._tried.get(line, 0)
        self._tried[line] = tried + 1
        return tried < retries

    def broken_off(self, line: int) -> None:
        """Thrown away and no failure: dark, or a pause came; the next try is no first one."""
        self._tried.setdefault(line, 0)

    def failed(self, line: int) -> bool:
        """Whether it did not come at the first try."""
        return line in self._tried or line in self._outages

    def outage(self, line: int, text: str) -> None:
        """Say that the controller was away, unless that was too often.

        Raises
        ------
        DeviceError
        """
        self._outages[line] = count = self._outages.get(line, 0) + 1
        if count > OUTAGES:
            raise DeviceError(f"{self._name}, line {line}: {text}; for the {count}th time")
        log.warning("%s, line %d: %s; flown again", self._name, line, text)
