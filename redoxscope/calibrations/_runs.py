"""What calibrations read from runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..documents import LineStatus
from ..scan import Scan
from ..storage import run_documents
from ..storage.catalog import main_streams

__all__ = ["Rows", "beamline_of", "device_with", "documents_of", "head_of", "rows_of"]

Array = NDArray[np.float64]
Docs = list[tuple[str, Mapping[str, Any]]]


def documents_of(source: Any) -> Docs:
    """Documents of a run of a catalog, or those that are given.

    Raises
    ------
    ValueError
        Neither; or a run that ended before anything was measured.
    """
    if hasattr(source, "metadata"):
        return _replayed(source, run_documents(source))
    found = list(source) if hasattr(source, "__iter__") and not isinstance(source, str) else []
    if not found or not all(isinstance(one, tuple) and len(one) == 2 for one in found):
        raise ValueError(
            f"{source!r:.80} is neither a run, as cat[-1], nor pairs of name and document"
        )
    return found


def head_of(source: Any) -> Docs:
    """Start and descriptors of a run; of one of a catalog without reading what it measured.

    Raises
    ------
    ValueError
        As `documents_of`.
    """
    if not hasattr(source, "metadata"):
        return [one for one in documents_of(source) if one[0] in ("start", "descriptor")]
    documents = run_documents(source)
    return _replayed(source, takewhile(lambda one: one[0] in ("start", "descriptor"), documents))


def _replayed(run: Any, documents: Iterable[tuple[str, Mapping[str, Any]]]) -> Docs:
    start = run.metadata["start"]
    if not set(run) & set(main_streams(start)):
        raise ValueError(
            f"run {str(start.get('uid'))[:8]} of {start.get('plan_name')} has measured nothing"
        )
    return list(documents)


def beamline_of(starts: Iterable[Mapping[str, Any]]) -> str:
    """The beamline of all of these runs; empty where none says it.

    Raises
    ------
    ValueError
        They are of several.
    """
    names = sorted({str(start["beamline_id"]) for start in starts if start.get("beamline_id")})
    if len(names) > 1:
        raise ValueError(f"the runs are of several beamlines: {', '.join(names)}")
    return names[0] if names else ""


@dataclass(frozen=True)
class Rows:
    """Lines or points of a run.

    Attributes
    ----------
    start : mapping
        Its start document.
    scan : Scan
    configuration : dict
        What the devices said of themselves, by key.
    data : dict of str to ndarray
        [n] or [n, nx], by data key, in the order of the scan; NaN where nothing was measured.
    """

    start: Mapping[str, Any]
    scan: Scan
    configuration: Mapping[str, Any]
    data: Mapping[str, Any]

    def counts(self, detector: str) -> Array:
        """Counts with the dead time taken out; NaN where a line or point was not taken."""
        found = np.array(self.data[detector], dtype=float)
        status = np.asarray(self.data["line_status" if "line" in self.data else "point_status"])
        found[~np.isin(status, (LineStatus.OK, LineStatus.RETRIED))] = np.nan
        dead = float(self.configuration.get(f"{detector}_dead_time") or 0.0)
        if dead > 0:
            dwell = self.dwell.reshape(-1, *[1] * (found.ndim - 1))
            share = found * dead / dwell
            found = found / np.where(share < 1, 1 - share, np.nan)
        return found

    @property
    def dwell(self) -> Array:
        """Time per pixel or point (s), of each row."""
        parts = self.scan.frames if "frame" in self.data else self.scan.points
        index = self.data["frame" if "frame" in self.data else "point"]
        return np.array([float(parts[int(i)].dwell) for i in index])


def rows_of(documents: Docs, plan: str) -> Rows:
    """Rows of a run of a plan; what was emitted twice counts once.

    Raises
    ------
    ValueError
        It is none of that plan, or has no rows.
    """
    start = next((doc for name, doc in documents if name == "start"), None)
    if start is None or start.get("plan_name") != plan:
        was = "no run" if start is None else f"a run of {start.get('plan_name')!r}"
        raise ValueError(f"{was} is given where one of {plan!r} is needed")
    scan = Scan.from_start(start)
    index = "frame" if scan.kind == "lines" else "point"
    rows: dict[tuple[str, int], Mapping[str, Any]] = {}
    configuration: dict[str, Any] = {}
    streams: set[str] = set()
    for name, doc in documents:
        if name == "descriptor" and index in doc["data_keys"]:
            streams.add(doc["uid"])
            for device in doc.get("configuration", {}).values():
                configuration |= device["data"]
        elif name == "event" and doc["descriptor"] in streams:
            rows[doc["descriptor"], doc["seq_num"]] = doc["data"]
        elif name == "event_page" and doc["descriptor"] in streams:
            for i, seq_num in enumerate(doc["seq_num"]):
                rows[doc["descriptor"], seq_num] = {k: v[i] for k, v in doc["data"].items()}
    if not rows:
        raise ValueError(f"run {str(start.get('uid'))[:8]} of {plan} has measured nothing yet")
    ordered = sorted(rows.values(), key=lambda row: int(row[index]))
    data = {key: np.array([row[key] for row in ordered]) for key in ordered[0]}
    return Rows(start, scan, configuration, data)


def device_with(configuration: Mapping[str, Any], *suffixes: str) -> str:
    """Name of the device whose configuration has all of these keys after its name.

    Raises
    ------
    ValueError
        There is none.
    """
    for key in configuration:
        if key.endswith(suffixes[0]):
            name = key.removesuffix(suffixes[0])
            if all(f"{name}{suffix}" in configuration for suffix in suffixes):
                return name
    raise ValueError(f"the run does not say {', '.join(suffixes)} of any device")
