"""State of the scan server beside the simulated Dastard: files, scans, points."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["ScanLog", "ScanState", "TransitionError"]

_TRANSITIONS = {
    "file_start": ("no_file", "file_open"),
    "file_end": ("file_open", "no_file"),
    "scan_start": ("file_open", "scan"),
    "calibration_start": ("file_open", "scan"),
    "scan_point_start": ("scan", "scan_point"),
    "scan_point_end": ("scan_point", "scan"),
    "scan_end": ("scan", "file_open"),
}
"""State before and after each call."""


class TransitionError(Exception):
    """A call that the state does not allow."""


class ScanState:
    """no_file, file_open, scan, scan_point: only the steps between neighbours are allowed."""

    def __init__(self) -> None:
        self.name = "no_file"

    def check(self, call: str) -> None:
        """Refuse a call.

        Raises
        ------
        TransitionError
            Not in this state.
        """
        if self.name != _TRANSITIONS[call][0]:
            raise TransitionError(f"TransitionNotAllowed: Can't {call} when in {self.name}.")

    def go(self, call: str) -> None:
        """Take the step of a call that was carried out."""
        self.name = _TRANSITIONS[call][1]


class ScanLog:
    """Points of a scan, and its JSON file.

    Parameters
    ----------
    number : int
        Of the scan, or of the calibration.
    routine : str or None
        Of a calibration.
    header : dict
        What the client says of the scan: var_name, var_unit, sample_id, sample_desc, extra...
    """

    def __init__(self, number: int, routine: str | None, header: dict[str, Any]):
        self.number, self._header = number, dict(header)
        if routine is not None:
            self._header |= {"cal_number": number, "routine": routine}
        self.is_calibration = routine is not None
        self.label = f"{'CAL' if self.is_calibration else 'SCAN'}{number}"
        self._columns: dict[str, list[Any]] = {
            name: []
            for name in ("point_extras", "var_values", "epoch_time_start_s", "epoch_time_end_s")
        }

    def start(self, value: Any, when_s: float, extra: Any) -> None:
        """Begin a point at a time (s since 1970)."""
        for name, item in zip(self._columns, (extra, value, when_s), strict=False):
            self._columns[name].append(item)

    def end(self, when_s: float) -> None:
        """End the point."""
        self._columns["epoch_time_end_s"].append(when_s)

    @property
    def last_point(self) -> tuple[float, float]:
        """Start and end (s since 1970) of the last point that ended.

        Raises
        ------
        IndexError
            None did.
        """
        ends = self._columns["epoch_time_end_s"]
        return self._columns["epoch_time_start_s"][len(ends) - 1], ends[-1]

    def write(self, folders: list[Path], roi: dict[str, Any]) -> None:
        """Write the JSON file into each of the folders; raises OSError."""
        name = f"{'calibration' if self.is_calibration else 'scan'}{self.number:04d}.json"
        content = json.dumps(self._header | self._columns | {"roi": roi}, indent=1)
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content)
