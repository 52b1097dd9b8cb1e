"""Whether the documents of a RIXS run are what the contract says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..documents import POINT_KEYS, RIXS_START, STREAM
from ..scan import Scan

__all__ = ["validate_rixs_run"]


def validate_rixs_run(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check the documents of a RIXS run, or of a calibration, against the contract.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Name and document of one run, in the order in which they came.

    Raises
    ------
    ValueError
        Names each thing that is wrong.
    """
    start: Mapping[str, Any] = {}
    scan: Scan | None = None
    keys: dict[str, Mapping[str, Any]] = {}
    wrong: list[str] = []
    rows: dict[int, tuple[Mapping[str, Any], str]] = {}
    stops = 0
    for name, doc in documents:
        if name == "start":
            start = doc
            wrong += [f"start has no {key!r}" for key in RIXS_START if key not in doc]
            scan, told = _scan_of(doc)
            wrong += told
        elif name == "descriptor" and doc["name"] == STREAM:
            keys[doc["uid"]] = doc["data_keys"]
            wrong += _wrong_keys(doc, start)
        elif name == "event" and doc["descriptor"] in keys:
            rows[doc["seq_num"]] = (doc["data"], doc["descriptor"])
        elif name == "stop":
            stops += 1
    if not start:
        wrong.append("no start document")
    if stops != 1:
        wrong.append(f"{stops} stop documents")
    if sorted(rows) != list(range(1, len(rows) + 1)):
        wrong.append("seq_num does not run from 1 without a gap")
    previous = -1
    for seq_num in sorted(rows):
        data, descriptor = rows[seq_num]
        wrong += _wrong_row(seq_num, data, keys[descriptor], scan)
        if data.get("tes_point", previous + 1) <= previous:
            wrong.append(f"event {seq_num}: tes_point {data['tes_point']} after {previous}")
        previous = data.get("tes_point", previous + 1)
    points = [data.get("point") for _, (data, _) in sorted(rows.items())]
    if points != list(range(len(points))):
        wrong.append(f"the points are {points[:20]}, not each once in the order of the scan")
    if wrong:
        raise ValueError("not a RIXS run of this contract: " + "; ".join(dict.fromkeys(wrong)))


def _scan_of(start: Mapping[str, Any]) -> tuple[Scan | None, list[str]]:
    """The scan that a start document carries, and what is wrong with it."""
    try:
        scan = Scan.from_start(start)
    except ValueError as exc:
        return None, [str(exc)]
    if scan.kind != "points":
        return None, [f"its scan is one of {scan.kind}, not of points"]
    if start.get("num_points") != len(scan.points):
        told = f"num_points = {start.get('num_points')} where its scan has {len(scan.points)}"
        return scan, [told]
    return scan, []


def _wrong_keys(descriptor: Mapping[str, Any], start: Mapping[str, Any]) -> list[str]:
    keys = descriptor["data_keys"]
    wrong = [f"no data key {key!r}" for key in POINT_KEYS if key not in keys]
    for key, units in POINT_KEYS.items():
        if units is not None and key in keys and keys[key].get("units") != units:
            wrong.append(f"{key} has units {keys[key].get('units')!r}, not {units!r}")
    known = {key for conf in descriptor.get("configuration", {}).values() for key in conf["data"]}
    needed = (
        "tes_spectrum_low", "tes_spectrum_high", "tes_spectrum_step", "tes_windows",
        "tes_calibration_uid", "tes_projector_uid", "tes_noise_uid", "tes_line_table",
    )  # fmt: skip
    return wrong + [f"no configuration {key!r}" for key in needed if key not in known]


def _wrong_row(
    seq_num: int, data: Mapping[str, Any], keys: Mapping[str, Any], scan: Scan | None
) -> list[str]:
    where = f"event {seq_num}: "
    inline = {key for key, description in keys.items() if "external" not in description}
    if set(data) != inline:
        return [where + "its keys are not those of its descriptor"]
    wrong = []
    number = data["point"]
    if scan is not None and not (type(number) is int and 0 <= number < len(scan.points)):
        wrong.append(where + f"point = {number!r} is none of the {len(scan.points)} of the scan")
    elif scan is not None:
        asked = round(1e9 * scan.points[number].dwell)
        took = data["tes_point_end"] - data["tes_point_start"]
        if took != asked:
            wrong.append(where + f"a window of {took} ns where the scan has {asked} ns")
    if not data["tes_point_end"] > data["tes_point_start"]:
        wrong.append(where + "tes_point_end is not after tes_point_start")
    if len(data["tes_spectrum"]) != keys["tes_spectrum"]["shape"][0]:
        wrong.append(where + "tes_spectrum has not the length of its descriptor")
    if not 0 <= data["tes_live_fraction"] <= 1:
        wrong.append(where + f"tes_live_fraction = {data['tes_live_fraction']}")
    for key in ("tes_counts", "tes_late", "tes_lost", "tes_point_status"):
        if type(data[key]) is not int or data[key] < 0:
            wrong.append(where + f"{key} = {data[key]!r} is not a count")
    return wrong
