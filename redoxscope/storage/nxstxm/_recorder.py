"""Documents of one run, in; an NXstxm file, out."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from redoxscope.callbacks.oxidation import groups_of, is_stack, layout_of
from redoxscope.callbacks.scans import pictures_of
from redoxscope.documents import LineStatus
from redoxscope.formats import NxstxmWriter
from redoxscope.inputs import is_number
from redoxscope.scan import Role, Scan

from ._entries import POINT_SCANS, Target, entries_of_lines, entries_of_points, measured_positions

__all__ = ["NxstxmRecorder", "is_for_nxstxm"]

log = logging.getLogger("redoxscope.storage")
Doc = Mapping[str, Any]
MONITOR = "i0"
USABLE = (LineStatus.OK, LineStatus.RETRIED)


def is_for_nxstxm(start: Doc) -> bool:
    """Whether a run is one of those that NXstxm has: images, spectra, focus, OSA, detector."""
    return _of_lines(start) or start.get("plan_name") in POINT_SCANS


def _of_lines(start: Doc) -> bool:
    """Whether a run has lines, of whatever plan, or is a stack of the ALS."""
    scan = start.get("scan")
    return is_stack(start) or (isinstance(scan, Mapping) and scan.get("kind") == "lines")


class NxstxmRecorder:
    """Writes what comes of one run into a file.

    The file is made, full of NaN, when the first stream of lines or points is described, and can
    be read from then on. A line that comes again, after a pause, replaces the first.

    Parameters
    ----------
    path : Path
        The file; it must not be there.
    start : mapping
        Start document of a run `is_for_nxstxm`.

    Raises
    ------
    ValueError
        The start document cannot be read, or its scan is none that NXstxm has.

    Attributes
    ----------
    made : bool
        Whether there is a file.
    """

    def __init__(self, path: Path, start: Doc) -> None:
        self.path, self.start = path, start
        self._writer: NxstxmWriter | None = None
        detectors = [str(name) for name in start.get("detectors") or ()]
        monitor = MONITOR if MONITOR in detectors else ""
        self._layout = layout_of(start) if _of_lines(start) else None
        if self._layout is not None:
            detectors = detectors or [self._layout.counts]
            counters = [name for name in detectors if name != monitor]
            self.entries, self._targets = entries_of_lines(self._layout, counters, monitor)
        else:
            counters = [name for name in detectors if name != monitor]
            self.entries, self._targets = entries_of_points(
                Scan.from_start(start), str(start["plan_name"]), counters, monitor
            )
        self._detectors = detectors
        self._streams: dict[str, int] = {}

    @property
    def made(self) -> bool:
        """Whether there is a file."""
        return self._writer is not None

    def __call__(self, name: str, doc: Doc) -> None:
        """Take a document of the run."""
        if name == "descriptor":
            self._describe(doc)
        elif name in ("event", "event_page") and doc["descriptor"] in self._streams:
            region = self._streams[doc["descriptor"]]
            for seq_num, data in _rows(name, doc):
                self._take(region, seq_num, data)
        elif name == "stop" and self._writer is not None:
            self._writer.finish(_iso(doc["time"]))

    def entry_of(self, part: str) -> str | None:
        """Name of the entry that a part of the run's results is of; None where there is none."""
        found = self._parts.get(part)
        return None if found is None else f"entry{self._targets[found].entry + 1}"

    @cached_property
    def _parts(self) -> dict[str, int]:
        """Frame or point that each part of the results begins with."""
        found: dict[str, int] = {}
        scan = Scan.from_start(self.start) if self._layout is None else self._layout.scan
        if is_stack(self.start):
            groups = list(groups_of(scan))
            found.update((group.name, group.sample[0]) for group in groups)
            if len(groups) == 1:  # the only map has no name, also beside a region of I0
                found[""] = groups[0].sample[0]
        else:
            places = pictures_of(str(self.start["plan_name"]), scan)[1]
            for i, place in enumerate(places):
                found.setdefault(place.picture, i)
        for i, frame in enumerate(scan.frames):  # what is of a region, whatever loops go round it
            if frame.role is Role.SAMPLE:
                found.setdefault(scan.regions[frame.region].name, i)
                if len(scan.regions) == 1:
                    found.setdefault("", i)
        for i, frame in enumerate(scan.frames):  # of the empty beam: it has a dose, too
            found.setdefault(scan.regions[frame.region].name, i)
        return found

    def close(self) -> None:
        """Close the file as it is."""
        if self._writer is not None:
            self._writer.close()

    def _describe(self, doc: Doc) -> None:
        if self._layout is None:
            region = 0 if doc.get("name") == "primary" else None
        else:
            region = self._layout.scan.region_in(str(doc.get("name")))
        if region is None:
            return
        self._streams[str(doc["uid"])] = region
        if self._writer is None:
            start = self.start
            self._writer = NxstxmWriter(
                self.path,
                self.entries,
                start_time=_iso(start["time"]),
                source=str(start.get("beamline_id") or ""),
                sample=_text(start.get("sample")),
                zone_plate=_zone_plate(doc.get("configuration") or {}),
                uid=str(start["uid"]),
            )

    def _take(self, region: int, seq_num: int, data: Doc) -> None:
        assert self._writer is not None
        if self._layout is None:
            target, line = self._targets[int(data["point"])], 0
            status = data.get("point_status", LineStatus.OK)
        else:
            frame, line = self._layout.place(region, seq_num, data)
            target, status = self._targets[frame], data.get("line_status", LineStatus.OK)
            called = {self._layout.x: "sample_x", self._layout.y: "sample_y"}
            data = {called.get(key, key): value for key, value in data.items()}
        counts = {name: data[name] for name in self._detectors if name in data}
        self._write(target, line, int(status), counts, data)

    def _write(
        self, target: Target, line: int, status: int, counts: dict[str, Any], data: Doc
    ) -> None:
        assert self._writer is not None
        entry = self.entries[target.entry]
        index, number = target.index, target.number
        if target.rows:
            index, number = (*index, line), number * target.rows + line
        self._writer.write(
            target.entry,
            index,
            number,
            counts,
            energy=float(data.get("energy", np.nan)),
            count_time=target.count_time,
            positions=measured_positions(data, entry),
            status=status,
            usable=status in USABLE,
            backwards=_falls(data.get("sample_x")),
        )


def _falls(positions: Any) -> bool:
    """Whether a line was flown backwards."""
    along = np.atleast_1d(np.asarray(positions, dtype=float))
    return bool(along[0] > along[-1])


def _rows(name: str, doc: Doc) -> Iterator[tuple[int, Doc]]:
    if name == "event":
        yield doc["seq_num"], doc["data"]
        return
    for i, seq_num in enumerate(doc["seq_num"]):
        yield seq_num, {key: values[i] for key, values in doc["data"].items()}


ZONE_PLATE = {
    "diameter": ("outer_diameter", "um"),
    "outer_zone": ("outermost_zone_width", "nm"),
    "central_stop": ("central_stop_diameter", "um"),
    "a0": ("a0", "um"),
    "a1": ("a1", "um/eV"),
}
"""Settings of a zone plate, and how NXfresnel_zone_plate calls them where it does."""


def _zone_plate(configuration: Doc) -> dict[str, tuple[float | list[float], str]]:
    """What a descriptor says of the zone plate; nothing where it says not all."""
    said = {key: value for conf in configuration.values() for key, value in conf["data"].items()}
    for name in said:
        if not name.endswith("_outer_zone"):
            continue
        stem = name.removesuffix("_outer_zone")
        values = {key: said.get(f"{stem}_{key}") for key in ZONE_PLATE}
        if all(is_number(value) for value in values.values()):
            found: dict[str, tuple[float | list[float], str]] = {
                label: (float(values[key]), unit)  # type: ignore[arg-type]
                for key, (label, unit) in ZONE_PLATE.items()
            }
            # f = A1 E: the focal length as a polynomial of the energy.
            found["focus_parameters"] = ([0.0, found["a1"][0]], "um/eV")  # type: ignore[list-item]
            return found
    return {}


def _iso(stamp: float) -> str:
    return datetime.fromtimestamp(float(stamp), UTC).astimezone().isoformat(timespec="seconds")


def _text(sample: Any) -> str:
    return str(sample.get("name", "")) if isinstance(sample, Mapping) else str(sample or "")
