"""Checks the documents of an energy stack, or of another scan, against the contract."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..documents import (
    LINE_ARRAYS,
    LINE_UNITS,
    RESUMES,
    STACK_START_KEYS,
    STEPPED_SCANS,
    LineStatus,
)
from ..scan import Scan
from ._grid import wrong_in_grid

__all__ = ["validate_run"]

Doc = Mapping[str, Any]


def validate_run(documents: Iterable[tuple[str, Doc]]) -> None:
    """Check a run of lines or of stepped points against ``docs/reference/documents.md``.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Name and document of one run, in the order in which they came; streams that hold no lines
        are passed over.

    Raises
    ------
    ValueError
        Names each thing that is wrong.
    """
    told = list(documents)
    start = next((doc for name, doc in told if name == "start"), {})
    if start.get("plan_name") in STEPPED_SCANS:
        wrong = wrong_in_grid(told)
    else:
        run = _Run()
        for name, doc in told:
            run.take(name, doc)
        wrong = run.finished()
    if wrong:
        raise ValueError("not a run of this contract: " + "; ".join(dict.fromkeys(wrong)))


@dataclass
class _Stream:
    """Lines of one region: data keys, what is due in which order, and what came.

    Where the plan may leave lines out, those that come are in the same order: ``places`` are their
    numbers among what is due.
    """

    keys: Doc
    nx: int
    due: list[tuple[int, int]]
    some: bool
    seen: list[int] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    def wrong_place(self, row: Doc, seq_num: int) -> list[str]:
        """Whether an event names the frame and line that are due."""
        if not self.some:
            return _wrong_place(row, seq_num, self.due)
        at = (row["frame"], row["line"])
        if at not in self.numbers:
            return [f"frame {at[0]}, line {at[1]} is none of the scan's"]
        self.places[seq_num] = self.numbers[at]
        if self.places[seq_num] <= self.places.get(seq_num - 1, -1):
            return [f"frame {at[0]}, line {at[1]} comes after a later one"]
        return []

    @cached_property
    def numbers(self) -> dict[tuple[int, int], int]:
        """Place of each frame and line among what is due."""
        return {at: i for i, at in enumerate(self.due)}


class _Run:
    def __init__(self) -> None:
        self.start: Doc | None = None
        self.scan: Scan | None = None
        self.begin = 0, 0
        self.stops = 0
        self.streams: dict[str, _Stream] = {}
        self.by_uid: dict[str, str] = {}
        self.wrong: list[str] = []

    def take(self, name: str, doc: Doc) -> None:
        if name == "start":
            self._begin(doc)
        elif name == "descriptor":
            self._describe(doc)
        elif name in ("event", "event_page") and doc["descriptor"] in self.by_uid:
            stream = self.by_uid[doc["descriptor"]]
            page = doc if name == "event_page" else _as_page(doc)
            self.wrong += self._wrong_page(stream, page)
        elif name == "stop":
            self.stops += 1

    def finished(self) -> list[str]:
        if self.start is None:
            self.wrong.append("no start document")
        if self.stops != 1:
            self.wrong.append(f"{self.stops} stop documents")
        for name, stream in self.streams.items():
            numbers = sorted(set(stream.seen))
            if numbers != list(range(1, len(numbers) + 1)):
                self.wrong.append(f"{name}: seq_num does not run from 1 without a gap")
            if any(b > a + 1 for a, b in zip(stream.seen, stream.seen[1:], strict=False)):
                self.wrong.append(f"{name}: a line was handed out before an earlier one")
        return self.wrong

    def _begin(self, start: Doc) -> None:
        if self.start is not None:
            self.wrong.append("two start documents")
        self.start = start
        self.wrong += [f"start has no {key!r}" for key in STACK_START_KEYS if key not in start]
        try:
            scan = Scan.from_start(start)
        except ValueError as exc:
            self.wrong.append(str(exc))
            return
        if scan.kind != "lines":
            self.wrong.append(f"its scan is one of {scan.kind}")
            return
        self.scan = scan
        first = start.get(RESUMES) or {"frame": 0, "line": 0}
        self.begin = first["frame"], first["line"]
        due = sum(scan.regions[f.region].pixels[1] for f in scan.frames[self.begin[0] :])
        due -= self.begin[1]
        if start.get("num_points") != due:
            self.wrong.append(f"num_points {start.get('num_points')} where {due} are due")

    def _describe(self, doc: Doc) -> None:
        region = None if self.scan is None else self.scan.region_in(doc["name"])
        if self.scan is None or self.start is None or region is None:
            return
        nx, ny = self.scan.regions[region].pixels
        frames = [i for i, frame in enumerate(self.scan.frames) if frame.region == region]
        due = [(f, line) for f in frames for line in range(ny) if (f, line) >= self.begin]
        known = self.streams.get(doc["name"])  # a pause may have declared it again
        some = "rows" in self.start or "until" in self.start
        stream = _Stream(doc["data_keys"], nx, due, some)
        if known is not None:
            stream.seen, stream.places = known.seen, known.places
        self.streams[doc["name"]] = stream
        self.by_uid[doc["uid"]] = doc["name"]
        detectors = list(self.start.get("detectors", ()))
        self.wrong += [f"{doc['name']}: {text}" for text in _wrong_keys(doc, detectors, nx)]

    def _wrong_page(self, name: str, page: Doc) -> list[str]:
        assert self.start is not None
        stream = self.streams[name]
        data, stamps = page["data"], page["timestamps"]
        if set(data) != set(stream.keys) or set(stamps) != set(stream.keys):
            return ["an event's keys are not those of its descriptor"]
        detectors = list(self.start.get("detectors", ()))
        wrong: list[str] = []
        for i, seq_num in enumerate(page["seq_num"]):
            stream.seen.append(seq_num)
            row = {key: values[i] for key, values in data.items()}
            said = [*stream.wrong_place(row, seq_num), *_wrong_row(row, detectors, stream.nx)]
            if len({stamps[key][i] for key in stream.keys}) != 1 or not stamps["line"][i] > 1e9:
                said.append("time stamps are not one time in s since 1970")
            wrong += [f"event {seq_num} of {name}: {text}" for text in said]
        return wrong


def _as_page(event: Doc) -> dict[str, Any]:
    page: dict[str, Any] = {"seq_num": [event["seq_num"]], "time": [event["time"]]}
    for part in ("data", "timestamps"):
        page[part] = {key: [value] for key, value in event[part].items()}
    return page


def _wrong_keys(descriptor: Doc, detectors: list[str], nx: int) -> list[str]:
    keys = descriptor["data_keys"]
    wanted = {
        **dict.fromkeys(("frame", "line", "line_status")),
        **LINE_UNITS,
        **dict.fromkeys(detectors, "counts"),
    }
    wrong = [f"no data key {key!r}" for key in wanted if key not in keys]
    for key, units in wanted.items():
        if units is not None and key in keys and keys[key].get("units") != units:
            wrong.append(f"{key} has units {keys[key].get('units')!r}, not {units!r}")
    for key in (*LINE_ARRAYS, *detectors):
        if key in keys and list(keys[key]["shape"]) != [nx]:
            wrong.append(f"{key} has shape {keys[key]['shape']}, not [{nx}]")
    known = {key for conf in descriptor.get("configuration", {}).values() for key in conf["data"]}
    needed = [f"{det}_{what}" for det in detectors for what in ("dead_time", "saturation")]
    return wrong + [f"no configuration {key!r}" for key in needed if key not in known]


def _wrong_place(row: Doc, seq_num: int, due: list[tuple[int, int]]) -> list[str]:
    """Whether an event names the frame and line that are due."""
    if not 1 <= seq_num <= len(due):
        return [f"the scan has {len(due)} lines here"]
    frame, line = due[seq_num - 1]
    if (row["frame"], row["line"]) != (frame, line):
        return [f"frame {row['frame']}, line {row['line']} where frame {frame}, line {line} is due"]
    return []


def _wrong_row(row: Doc, detectors: list[str], nx: int) -> list[str]:
    wrong: list[str] = []
    status = row["line_status"]
    if status not in tuple(LineStatus):
        wrong.append(f"line_status {status}")
    for key in (*LINE_ARRAYS, *detectors):
        values = row[key]
        if not isinstance(values, list) or len(values) != nx:
            wrong.append(f"{key} is not a list of {nx}")
            continue
        if not all(type(v) is float for v in values):
            wrong.append(f"{key} holds other than floats")
        if key in detectors:
            missing = [math.isnan(v) for v in values]
            if status == LineStatus.MISSED and not all(missing):
                wrong.append(f"{key} of a missed line is not all NaN")
            taken = status in (LineStatus.OK, LineStatus.RETRIED)
            if taken and any(missing) and not all(missing):
                wrong.append(f"{key} holds NaN in a line that was taken")
            if taken and all(missing) and key != "i0":
                wrong.append(f"{key} is NaN in a line that was taken")
    if type(row["energy"]) is not float or not math.isfinite(row["energy"]):
        wrong.append(f"energy = {row['energy']!r} is not a finite float")
    return wrong
