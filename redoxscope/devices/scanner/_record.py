"""What a document says about one line: its row and its data keys."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from ophyd import Signal

from ...documents import LineStatus
from .._counter import LineCounter, RingCurrent
from .._line_source import FlownLine

__all__ = ["LineRecord", "Row"]

Row = dict[str, tuple[Any, float]]
"""Value and time stamp (s) by data key."""


class LineRecord:
    """Puts the values of one line under the data keys of the document contract.

    Parameters
    ----------
    detectors : sequence of LineCounter
        One array of counts per line each, under the detector's ``field``.
    scalars : mapping of str to Signal
        Monitored signals, one value per line, by data key.
    where : mapping of str to str
        PV of ``line``, ``sample_x``, ``sample_y`` and of each detector's ``field``.
    """

    def __init__(
        self,
        detectors: Sequence[LineCounter],
        scalars: Mapping[str, Signal],
        where: Mapping[str, str],
    ):
        self.detectors = tuple(detectors)
        self.scalars = dict(scalars)
        self.where = dict(where)
        self._latest: dict[Signal, Any] = {}
        for signal in self.scalars.values():
            source = getattr(signal, "derived_from", signal)
            source.subscribe(self._keep(source), run=False)

    def _keep(self, source: Signal) -> Callable[..., None]:
        def keep(*, value: Any, **_: Any) -> None:
            self._latest[source] = value

        return keep

    def scalar(self, key: str) -> Any:
        """Value of a scalar when the line came, in the order in which the monitors came.

        What ``get()`` returns may be newer than the line: it does not wait for its turn.
        """
        signal = self.scalars[key]
        source = getattr(signal, "derived_from", signal)
        if source not in self._latest:
            return _plain(signal.get())
        value = self._latest[source]
        return _plain(value if source is signal else signal.inverse(value))

    def ring_current(self) -> float:
        """Stored current (mA) when the line came; NaN where it is not recorded or no number."""
        value = self.scalar(RingCurrent.field) if RingCurrent.field in self.scalars else None
        return float(value) if isinstance(value, (int, float)) else math.nan

    def row(self, flown: FlownLine, status: LineStatus, nx: int) -> Row:
        """One event's data and time stamps, in plain Python types.

        Parameters
        ----------
        flown : FlownLine
        status : LineStatus
            A line that was missed has no counts.
        nx : int
            Pixels; what is missing is NaN.
        """
        row: dict[str, Any] = {key: self.scalar(key) for key in self.scalars}
        row["line"] = flown.line
        row["line_status"] = int(status)
        row["sample_x"] = _fit(flown.x, nx)
        row["sample_y"] = _fit(flown.y, nx)
        counts = {} if status is LineStatus.MISSED else flown.counts
        for det in self.detectors:
            row[det.field] = _fit(counts.get(det.field), nx)
        return {key: (value, flown.when) for key, value in row.items()}

    def describe(self, nx: int) -> dict[str, dict[str, Any]]:
        """Data keys of a line of ``nx`` pixels."""
        keys: dict[str, dict[str, Any]] = {}
        for key, signal in self.scalars.items():
            keys[key] = dict(next(iter(signal.describe().values())))
        whole = {"dtype": "integer", "shape": [], "dtype_numpy": "<i8"}
        keys["line"] = {"source": f"PV:{self.where['line']}", **whole}
        keys["line_status"] = {"source": f"PV:{self.where['line']}", **whole}
        arrays = {"sample_x": "um", "sample_y": "um"}
        arrays |= {det.field: "counts" for det in self.detectors}
        for key, units in arrays.items():
            keys[key] = {
                "source": f"PV:{self.where[key]}",
                "dtype": "array",
                "shape": [nx],
                "dtype_numpy": "<f8",
                "units": units,
            }
        return keys

    def configured(self) -> list[Any]:
        """Devices whose configuration belongs to the data: detectors and scalars' owners."""
        owners = [sig.parent for sig in self.scalars.values() if sig.parent is not None]
        return list(dict.fromkeys([*self.detectors, *owners]))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _fit(values: Any, nx: int) -> list[float]:
    """Plain list of ``nx`` floats; what is missing is NaN."""
    line = np.full(nx, np.nan)
    if values is not None:
        got = np.atleast_1d(np.asarray(values, float))[:nx]
        line[: len(got)] = got
    return line.tolist()
