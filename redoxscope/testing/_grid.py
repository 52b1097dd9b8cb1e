"""Checks the documents of a stepped grid against the contract."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from ..documents import STACK_START_KEYS, STEP_KEYS, STREAM, LineStatus
from ..scan import Scan

__all__ = ["wrong_in_grid"]

Doc = Mapping[str, Any]

UNITS = {"energy": "eV", "ring_current": "mA"}


def wrong_in_grid(documents: Iterable[tuple[str, Doc]]) -> list[str]:
    """What is wrong with one run of `documents.STEPPED_SCANS`: one event for each point."""
    start: Doc = {}
    scan: Scan | None = None
    keys: dict[str, Doc] = {}
    rows: dict[int, Doc] = {}
    wrong: list[str] = []
    stops = 0
    for name, doc in documents:
        if name == "start":
            wrong += ["two start documents"] if start else []
            start = doc
            scan, told = _scan_of(doc)
            wrong += told
        elif name == "descriptor" and doc["name"] == STREAM and scan is not None:
            keys[doc["uid"]] = doc["data_keys"]
            wrong += _wrong_keys(doc, start, scan)
        elif name in ("event", "event_page") and doc["descriptor"] in keys:
            for seq_num, row in _rows(name, doc):
                if set(row) != set(keys[doc["descriptor"]]):
                    wrong.append(f"event {seq_num}: its keys are not those of its descriptor")
                else:
                    rows[seq_num] = row
        elif name == "stop":
            stops += 1
    if stops != 1:
        wrong.append(f"{stops} stop documents")
    if sorted(rows) != list(range(1, len(rows) + 1)):
        wrong.append("seq_num does not run from 1 without a gap")
    if scan is not None:
        for seq_num, row in sorted(rows.items()):
            told = _wrong_row(row, seq_num - 1, scan, list(start.get("detectors", ())))
            wrong += [f"event {seq_num}: {text}" for text in told]
    return wrong


def _scan_of(start: Doc) -> tuple[Scan | None, list[str]]:
    wrong = [f"start has no {key!r}" for key in STACK_START_KEYS if key not in start]
    try:
        scan = Scan.from_start(start)
    except ValueError as exc:
        return None, [*wrong, str(exc)]
    if scan.kind != "points":
        return None, [*wrong, f"its scan is one of {scan.kind}"]
    if start.get("num_points") != len(scan.points):
        wrong.append(f"num_points {start.get('num_points')} where {len(scan.points)} are due")
    names = [outer.name for outer in scan.outer]
    if start.get("motors") != names:
        wrong.append(f"motors {start.get('motors')} where the scan loops over {names}")
    grid = [len({point.outer[i] for point in scan.points}) for i in (-2, -1)]
    if list(start.get("shape", ())) != grid:
        wrong.append(f"shape {start.get('shape')} where the grid has {grid}")
    return scan, wrong


def _rows(name: str, doc: Doc) -> list[tuple[int, Doc]]:
    if name == "event":
        return [(doc["seq_num"], doc["data"])]
    return [
        (seq_num, {key: values[i] for key, values in doc["data"].items()})
        for i, seq_num in enumerate(doc["seq_num"])
    ]


def _wrong_keys(descriptor: Doc, start: Doc, scan: Scan) -> list[str]:
    keys, detectors = descriptor["data_keys"], list(start.get("detectors", ()))
    units = {**UNITS, **{outer.name: outer.unit for outer in scan.outer}}
    wanted = (*STEP_KEYS, *units, *detectors)
    wrong = [f"no data key {key!r}" for key in dict.fromkeys(wanted) if key not in keys]
    for key, unit in {**units, **dict.fromkeys(detectors, "counts")}.items():
        if key in keys and keys[key].get("units") != unit:
            wrong.append(f"{key} has units {keys[key].get('units')!r}, not {unit!r}")
    known = {key for conf in descriptor.get("configuration", {}).values() for key in conf["data"]}
    needed = [f"{det}_{what}" for det in detectors for what in ("dead_time", "saturation")]
    return wrong + [f"no configuration {key!r}" for key in needed if key not in known]


def _wrong_row(row: Doc, due: int, scan: Scan, detectors: list[str]) -> list[str]:
    if row.get("point") != due or due >= len(scan.points):
        return [f"point {row.get('point')} where {due} of {len(scan.points)} is due"]
    wrong = []
    status = row.get("point_status")
    if status not in tuple(LineStatus):
        wrong.append(f"point_status {status}")
    taken = status in (LineStatus.OK, LineStatus.RETRIED)
    for key in detectors:
        missing = math.isnan(row.get(key, math.nan))
        if status == LineStatus.MISSED and not missing:
            wrong.append(f"{key} of a missed point is not NaN")
        if taken and missing and key != "i0":
            wrong.append(f"{key} is NaN in a point that was taken")
    for key in ("energy", *(outer.name for outer in scan.outer)):
        value = row.get(key)
        if not isinstance(value, float) or (taken and not math.isfinite(value)):
            wrong.append(f"{key} = {value!r} is not a finite float")
    return wrong
