"""Values that must hold for a while, watched all of that time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

__all__ = ["Watch"]

CATCH_UP = 1.0
"""Time (s) for the monitor of a value to bring what the server says already."""


class Watch:
    """One value that has to stay right: by its monitor meanwhile, asked anew at both ends.

    So what goes away and comes back is found, and what a monitor did not bring is found at the
    end. What a monitor still brings from before is not counted: the watch begins when it has
    caught up with the server.

    Parameters
    ----------
    signal : ophyd.Signal
    wrong : callable
        Of a value: what is wrong with it, in words; "" where nothing is.
    """

    def __init__(self, signal: Any, wrong: Callable[[Any], str]):
        self.signal = signal
        self._wrong = wrong
        self._changed = threading.Condition()
        self._last: str | None = None
        self._watching = False
        self._found = ""
        self.values: list[Any] = []

    @property
    def label(self) -> str:
        """Name of the signal and its PV, for messages."""
        pv = getattr(self.signal, "pvname", None)
        return self.signal.name if pv is None else f"{self.signal.name} ({pv})"

    def begin(self) -> None:
        """Ask the server and watch from now on. It waits for the server."""
        self.signal.subscribe(self._came, run=True)
        self.signal.subscribe(self._link, event_type=self.signal.SUB_META, run=False)
        value, wrong = self._ask()
        with self._changed:
            if not wrong:
                self._changed.wait_for(lambda: self._last == "", CATCH_UP)
            self.values = [] if value is None else [value]
            self._found, self._watching = wrong, True

    def end(self) -> str:
        """Ask the server again and watch no more; what was wrong first, "" where nothing was."""
        value, wrong = self._ask()
        with self._changed:
            if not wrong:  # the monitor brings the same, and what came before it
                self._changed.wait_for(lambda: self._last == "" or bool(self._found), CATCH_UP)
            if value is not None:
                self.values.append(value)
            self._found = self._found or wrong
        self.release()
        return self._found

    def release(self) -> None:
        """Watch no more."""
        with self._changed:
            self._watching = False
        self.signal.clear_sub(self._came)
        self.signal.clear_sub(self._link, event_type=self.signal.SUB_META)

    def _ask(self) -> tuple[Any, str]:
        try:
            value = self.signal.get(use_monitor=False)
            return value, self._judged(value)
        except Exception as exc:  # whatever keeps it from being known makes the point doubtful
            return None, f"{self.label} cannot be asked: {exc or type(exc).__name__}"

    def _judged(self, value: Any) -> str:
        wrong = self._wrong(value)
        return f"{self.label} {wrong}" if wrong else ""

    def _came(self, *, value: Any, **_: Any) -> None:
        try:
            wrong = self._judged(value)
        except Exception as exc:  # in the monitors' thread nobody would see it
            wrong = f"{self.label} is {value!r}: {exc}"
        with self._changed:
            self._last = wrong
            if self._watching:
                self.values.append(value)
                self._found = self._found or wrong
            self._changed.notify_all()

    def _link(self, *, connected: bool = True, **_: Any) -> None:
        with self._changed:
            if self._watching and not connected:
                self._found = self._found or f"{self.label} was disconnected"
