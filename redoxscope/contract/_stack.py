"""What an energy stack looks like in documents: one event per line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Any

__all__ = [
    "CONTRACT_VERSION",
    "LINE_KEYS",
    "STREAM",
    "LineStatus",
    "line_of",
    "validate_run",
]

CONTRACT_VERSION = 1
STREAM = "primary"
ARRAYS = ("sample_x", "sample_y")
UNITS = {"energy": "eV", "ring_current": "mA", "sample_x": "um", "sample_y": "um"}
LINE_KEYS = ("line", "line_status", *UNITS)
"""Data keys of every line, besides one for each detector."""


class LineStatus(IntEnum):
    """How a line came about.

    ``OK`` at the first try, ``RETRIED`` after one or more failed tries, ``MISSED`` not at all:
    the counts of a missed line are NaN. ``DISTURBED``: flown, but something was not as asked for
    (moved by somebody else, no beam); its counts are kept and must not be used.
    """

    OK = 0
    RETRIED = 1
    MISSED = 2
    DISTURBED = 3


def line_of(seq_num: int, ny: int) -> tuple[int, int]:
    """Energy index and line of an event.

    Parameters
    ----------
    seq_num : int
        Sequence number of the event, from 1.
    ny : int
        Lines in an image.

    Returns
    -------
    energy_index, line : int
        Both from 0; ``seq_num = energy_index * ny + line + 1``.
    """
    return divmod(seq_num - 1, ny)


START_KEYS = (
    "uid", "time", "plan_name", "contract_version", "detectors", "motors", "shape", "extents",
    "snaking", "hints", "energies", "dwell", "edge", "region",
)  # fmt: skip


def validate_run(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check a run's documents against the contract.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Name and document of one run, in the order in which they came; other streams than
        `STREAM` are passed over.

    Raises
    ------
    ValueError
        Names each thing that is wrong.
    """
    start: Mapping[str, Any] | None = None
    stops: list[Mapping[str, Any]] = []
    keys: dict[str, Mapping[str, Any]] = {}
    wrong: list[str] = []
    seen: list[int] = []
    for name, doc in documents:
        if name == "start":
            if start is not None:
                wrong.append("two start documents")
            start = doc
            wrong += [f"start has no {key!r}" for key in START_KEYS if key not in doc]
        elif name == "descriptor" and doc["name"] == STREAM:
            keys[doc["uid"]] = doc["data_keys"]
            wrong += _wrong_keys(doc, start or {})
        elif name in ("event", "event_page") and doc["descriptor"] in keys:
            page = doc if name == "event_page" else _as_page(doc)
            wrong += _wrong_page(page, keys[doc["descriptor"]], start or {})
            seen += page["seq_num"]
        elif name == "stop":
            stops.append(doc)
    if start is None:
        wrong.append("no start document")
    if len(stops) != 1:
        wrong.append(f"{len(stops)} stop documents")
    lines = sorted(set(seen))
    if lines != list(range(1, len(lines) + 1)):
        wrong.append("seq_num does not run from 1 without a gap")
    if any(b > a + 1 for a, b in zip(seen, seen[1:], strict=False)):
        wrong.append("a line was handed out before an earlier one")
    if start is not None and stops and stops[0].get("exit_status") == "success":
        n_e, ny, _ = start.get("shape", (0, 0, 0))
        if not stops[0].get("reason") and seen and lines[-1] > n_e * ny:
            wrong.append(f"{lines[-1]} lines where the shape has {n_e * ny}")
    if wrong:
        raise ValueError("not a run of this contract: " + "; ".join(dict.fromkeys(wrong)))


def _as_page(event: Mapping[str, Any]) -> dict[str, Any]:
    page: dict[str, Any] = {"seq_num": [event["seq_num"]], "time": [event["time"]]}
    for part in ("data", "timestamps"):
        page[part] = {key: [value] for key, value in event[part].items()}
    return page


def _wrong_keys(descriptor: Mapping[str, Any], start: Mapping[str, Any]) -> list[str]:
    keys, detectors = descriptor["data_keys"], list(start.get("detectors", ()))
    nx = start.get("shape", (0, 0, 0))[2]
    wanted = {"line": None, "line_status": None, **UNITS, **dict.fromkeys(detectors, "counts")}
    wrong = [f"no data key {key!r}" for key in wanted if key not in keys]
    for key, units in wanted.items():
        if units is not None and key in keys and keys[key].get("units") != units:
            wrong.append(f"{key} has units {keys[key].get('units')!r}, not {units!r}")
    for key in (*ARRAYS, *detectors):
        if key in keys and list(keys[key]["shape"]) != [nx]:
            wrong.append(f"{key} has shape {keys[key]['shape']}, not [{nx}]")
    known = {key for conf in descriptor.get("configuration", {}).values() for key in conf["data"]}
    needed = [f"{det}_{what}" for det in detectors for what in ("dead_time", "saturation")]
    return wrong + [f"no configuration {key!r}" for key in needed if key not in known]


def _wrong_page(
    page: Mapping[str, Any], keys: Mapping[str, Any], start: Mapping[str, Any]
) -> list[str]:
    wrong: list[str] = []
    n_e, ny, nx = start["shape"]
    data, stamps = page["data"], page["timestamps"]
    detectors = list(start["detectors"])
    if set(data) != set(keys) or set(stamps) != set(keys):
        return ["an event's keys are not those of its descriptor"]
    for i, seq_num in enumerate(page["seq_num"]):
        where = f"event {seq_num}: "
        index, line = line_of(seq_num, ny)
        row = {key: values[i] for key, values in data.items()}
        if index >= n_e or row["line"] != line:
            wrong.append(f"{where}line {row['line']} where {line} is due")
        status = row["line_status"]
        if status not in tuple(LineStatus):
            wrong.append(f"{where}line_status {status}")
        for key in (*ARRAYS, *detectors):
            values = row[key]
            if not isinstance(values, list) or len(values) != nx:
                wrong.append(f"{where}{key} is not a list of {nx}")
                continue
            if not all(type(v) is float for v in values):
                wrong.append(f"{where}{key} holds other than floats")
            if key in detectors:
                missing = [math.isnan(v) for v in values]
                if status == LineStatus.MISSED and not all(missing):
                    wrong.append(f"{where}{key} of a missed line is not all NaN")
                taken = status in (LineStatus.OK, LineStatus.RETRIED)
                if taken and any(missing) and not all(missing):
                    wrong.append(f"{where}{key} holds NaN in a line that was taken")
                if taken and all(missing) and key != "i0":
                    wrong.append(f"{where}{key} is NaN in a line that was taken")
        if len({stamps[key][i] for key in keys}) != 1 or not stamps["line"][i] > 1e9:
            wrong.append(f"{where}time stamps are not one time in s since 1970")
        for key in ("energy",):
            if type(row[key]) is not float or not math.isfinite(row[key]):
                wrong.append(f"{where}{key} = {row[key]!r} is not a finite float")
    return wrong
