"""What an experiment of several runs tells while it goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..documents import (
    EXPERIMENT,
    HEATING,
    PHASE_KEYS,
    SOAK_KEYS,
    SOAK_STREAM,
    STREAM,
    monitor_stream,
    soak_key,
)
from ._heat_found import Temperature

__all__ = ["HeatRuns"]


class HeatRuns:
    """Callback that notes which runs there were, and the temperature of the heated one.

    Parameters
    ----------
    heater : str
        Its name.
    on_run : callable, optional
        Told the part of the experiment and the start document of each run.
    on_point : callable, optional
        Told each event of the stream ``primary``.
    """

    def __init__(
        self,
        heater: str,
        on_run: Callable[[str, Mapping[str, Any]], None] | None = None,
        on_point: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.heater, self._on_run, self._on_point = heater, on_run, on_point
        self.starts: list[Mapping[str, Any]] = []
        self.status: dict[str, str] = {}
        self.heated = ""
        self.heating: Mapping[str, Any] = {}
        self._streams: dict[str, tuple[str, str]] = {}
        self._readings: list[tuple[float, float]] = []
        self._events: list[tuple[str, float, float]] = []
        self.soak: dict[str, float] = {}

    def __call__(self, name: str, doc: Mapping[str, Any]) -> None:
        if name == "start":
            self.starts.append(doc)
            if HEATING in doc:
                self.heated, self.heating = doc["uid"], doc[HEATING]
                self._readings, self._events, self.soak = [], [], {}
            if self._on_run is not None:
                self._on_run(self.part(doc), doc)
        elif name == "descriptor":
            self._streams[doc["uid"]] = doc["run_start"], doc["name"]
        elif name in ("event", "event_page"):
            self._event(*self._streams[doc["descriptor"]], name, doc)
        elif name == "stop":
            self.status[doc["run_start"]] = doc["exit_status"]

    def _event(self, run: str, stream: str, name: str, doc: Mapping[str, Any]) -> None:
        data = doc["data"]
        if run == self.heated and name == "event":
            if stream == monitor_stream(self.heater):
                # When it was read, not when it came: the engine may have been busy.
                when = doc["timestamps"].get(self.heater, doc["time"])
                self._readings.append((when, float(data[self.heater])))
            elif stream == SOAK_STREAM:
                self.soak = {what: data[soak_key(self.heater, what)] for what in SOAK_KEYS}
            elif stream == STREAM and set(PHASE_KEYS) <= set(data):
                self._events.append((data["phase"], doc["time"], float(data["elapsed"])))
        if stream == STREAM and self._on_point is not None:
            for _ in range(1 if name == "event" else len(doc["seq_num"])):
                self._on_point(data)

    def part(self, start: Mapping[str, Any]) -> str:
        """Part of the experiment that a run belongs to; empty for none."""
        return str(start.get(EXPERIMENT, {}).get("part", ""))

    def uids(self, *, part: str | None = None) -> list[str]:
        """Runs that succeeded, of all parts or of one."""
        return [
            start["uid"]
            for start in self.starts
            if self.status.get(start["uid"]) == "success"
            and EXPERIMENT in start
            and (part is None or self.part(start) == part)
        ]

    def temperature(self, speed: float) -> Temperature | None:
        """T(t) of the run with the heating; None where there was none.

        Parameters
        ----------
        speed : float
            Seconds of the heater's clock per real second.
        """
        if not self._events or not self._readings:
            return None
        began = self._events[0][1]
        when, celsius = np.array(self._readings).T
        hours = (when - began) * speed / 3600
        order = np.argsort(hours, kind="stable")
        phases = {phase: elapsed / 3600 for phase, _, elapsed in self._events[1:]}
        return Temperature(hours[order], celsius[order], phases, dict(self.soak))
