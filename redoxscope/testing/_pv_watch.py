"""PVs of a contract that is checked: there or not, of which type, in which order they change."""

from __future__ import annotations

import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Change", "Watched"]


@dataclass(frozen=True)
class Change:
    """What a monitor said: which PV, its value, its time stamp (s since 1970)."""

    name: str
    value: Any
    stamp: float


class Watched:
    """PVs by short names, connected; changes of some of them in the order in which they came.

    Parameters
    ----------
    names : mapping of str to str
        Full name of each PV.
    monitored : sequence of str
        Those whose changes are wanted.
    timeout : float
        Longest wait for an answer (s).
    """

    def __init__(
        self, names: Mapping[str, str], monitored: Sequence[str] = (), timeout: float = 10.0
    ) -> None:
        from epics import PV

        self.changes: queue.Queue[Change] = queue.Queue()
        self.timeout = timeout
        self._pvs = {
            key: PV(name, auto_monitor=key in monitored, connection_timeout=timeout)
            for key, name in names.items()
        }
        until = time.monotonic() + timeout
        for pv in self._pvs.values():
            pv.wait_for_connection(timeout=max(until - time.monotonic(), 0.05))
        for key in monitored:
            if self._pvs[key].connected:
                self._pvs[key].get(timeout=timeout)
                self._pvs[key].add_callback(self._keep(key))

    def _keep(self, key: str) -> Any:
        def keep(value: Any = None, timestamp: float = 0.0, **_: Any) -> None:
            self.changes.put(Change(key, value, timestamp))

        return keep

    def missing(self) -> list[str]:
        """PVs that do not answer, in words."""
        return [f"{pv.pvname} does not answer" for pv in self._pvs.values() if not pv.connected]

    def wrong_types(self, kinds: Mapping[str, str]) -> list[str]:
        """PVs of another type than ``number``, ``text`` or ``enum``."""
        allowed = {
            "number": ("double", "float", "long", "int", "short", "char", "enum"),
            "enum": ("enum",),
            "text": ("string", "char"),
        }
        wrong = []
        for key, kind in kinds.items():
            found = str(self._pvs[key].type).rsplit("_", 1)[-1]
            if found not in allowed[kind]:
                wrong.append(f"{self.name(key)} is of type {found}, which is no {kind}")
        return wrong

    def name(self, key: str) -> str:
        """Full name of a PV."""
        return str(self._pvs[key].pvname)

    def get(self, key: str, *, text: bool = False) -> Any:
        """Its value now, from the server; None where it does not answer."""
        return self._pvs[key].get(timeout=self.timeout, as_string=text, use_monitor=False)

    def put(self, key: str, value: Any, timeout: float | None = None) -> str:
        """Write with completion; "" or what went wrong."""
        try:
            done = self._pvs[key].put(value, wait=True, timeout=timeout or self.timeout)
        except Exception as exc:
            return f"{self.name(key)} cannot be written: {exc}"
        if done is None or done < 0:
            return f"{self.name(key)} = {value!r}: the put did not complete"
        return ""

    def start(self, key: str, value: Any) -> None:
        """Write without waiting."""
        self._pvs[key].put(value, wait=False)

    def next(self, timeout: float) -> Change | None:
        """The next change; None where there is none in time."""
        try:
            return self.changes.get(timeout=timeout)
        except queue.Empty:
            return None

    def forget(self) -> None:
        """Throw away the changes so far."""
        while not self.changes.empty():
            self.changes.get()

    def close(self) -> None:
        """Disconnect."""
        for pv in self._pvs.values():
            pv.disconnect()
