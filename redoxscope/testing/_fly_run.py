"""Validator of runs of the ALS's ``stxm`` contract, version 1, written from its facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

__all__ = ["validate_fly_run"]

PLAN_NAME = "stxm_energy_stack"
NAMES = ("x_motor", "y_motor", "energy_motor", "data_field")
KEYS = ("contract_version", "shape", "energies", "dwell_ms", "x_extent", "y_extent", *NAMES)


def validate_fly_run(documents: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Check that a run is one that viewers of the ALS's ``stxm`` contract show.

    What is looked at: ``plan_name``; the block ``stxm`` of the start document; that every event of
    every stream has a line of the detector named there, of the right length; that each ``seq_num``
    is there once, rising; that a run which ended well has all its lines. NaN are no fault, and
    other keys none either. A run that was ended early may be short.

    Parameters
    ----------
    documents : iterable of (str, mapping)
        Name and document of one run, in the order in which they came.

    Raises
    ------
    ValueError
        Names each thing that is wrong.
    """
    wrong: list[str] = []
    starts: list[Mapping[str, Any]] = []
    stops: list[Mapping[str, Any]] = []
    rows: list[tuple[Any, Mapping[str, Any]]] = []
    for name, doc in documents:
        if name == "start":
            starts.append(doc)
        elif name == "stop":
            stops.append(doc)
        else:
            rows += _rows(name, doc)
    wrong += [
        f"{len(found)} {what} documents"
        for what, found in (("start", starts), ("stop", stops))
        if len(found) != 1
    ]
    if starts:
        wrong += _wrong_start(starts[0])
        block = starts[0].get("stxm")
        if isinstance(block, Mapping):
            wrong += _wrong_rows(rows, block, bool(stops) and _succeeded(stops[0]))
    if wrong:
        raise ValueError("not a run of the stxm contract: " + "; ".join(dict.fromkeys(wrong)))


def _succeeded(stop: Mapping[str, Any]) -> bool:
    return bool(stop.get("exit_status") == "success")


def _rows(name: str, doc: Mapping[str, Any]) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    if name == "event":
        yield doc["seq_num"], doc["data"]
    elif name == "event_page":
        for i, number in enumerate(doc["seq_num"]):
            yield number, {key: values[i] for key, values in doc["data"].items()}


def _wrong_start(start: Mapping[str, Any]) -> list[str]:
    wrong = []
    if start.get("plan_name") != PLAN_NAME:
        wrong.append(f"plan_name is {start.get('plan_name')!r}, not {PLAN_NAME!r}")
    block = start.get("stxm")
    if not isinstance(block, Mapping):
        return [*wrong, "start has no block 'stxm'"]
    wrong += [f"stxm has no {key!r}" for key in KEYS if key not in block]
    if block.get("contract_version", 1) != 1 or isinstance(block.get("contract_version"), bool):
        wrong.append(f"stxm contract_version is {block['contract_version']!r}, not 1")
    shape = block.get("shape")
    if "shape" in block and _shape(block) is None:
        wrong.append(f"stxm shape {shape!r} is not 3 whole numbers above 0")
    energies = block.get("energies")
    if "energies" in block:
        if not _floats(energies):
            wrong.append(f"stxm energies {energies!r:.60} is not a list of floats (eV)")
        elif (known := _shape(block)) is not None and len(block["energies"]) != known[0]:
            n = len(block["energies"])
            wrong.append(f"stxm energies has {n} values where the shape has {known[0]}")
    dwell = block.get("dwell_ms")
    if "dwell_ms" in block and not (type(dwell) is float and dwell > 0):
        wrong.append(f"stxm dwell_ms {dwell!r} is not a float above 0 (ms)")
    for key in ("x_extent", "y_extent"):
        if key in block and not (_floats(block[key]) and len(block[key]) == 2):
            wrong.append(f"stxm {key} {block[key]!r:.60} is not two floats")
    wrong += [
        f"stxm {key} {block[key]!r:.60} is no name"
        for key in NAMES
        if key in block and not (isinstance(block[key], str) and block[key])
    ]
    return wrong


def _floats(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(type(one) is float for one in value)


def _shape(block: Mapping[str, Any]) -> Sequence[int] | None:
    shape = block.get("shape")
    whole = isinstance(shape, (list, tuple)) and len(shape) == 3
    if not whole or not all(type(n) is int and n > 0 for n in shape or ()):
        return None
    return shape


def _wrong_rows(
    rows: Sequence[tuple[Any, Mapping[str, Any]]], block: Mapping[str, Any], complete: bool
) -> list[str]:
    wrong: list[str] = []
    field, shape = str(block.get("data_field")), _shape(block)
    last = 0
    for number, data in rows:
        if field not in data:
            wrong.append(f"event {number} has no {field!r}")
            continue
        if not isinstance(number, int) or number <= last:
            wrong.append(f"event {number} after event {last}: each comes once, rising")
        else:
            last = number
        if shape is None:
            continue
        line = data[field]
        if not isinstance(line, (list, tuple)) or len(line) != shape[2]:
            size = len(line) if isinstance(line, (list, tuple)) else "no list"
            wrong.append(f"event {number}: {field!r} has {size} where the shape has {shape[2]}")
        if number > shape[0] * shape[1]:
            wrong.append(f"event {number} is beyond the {shape[0] * shape[1]} lines of the shape")
    if shape is not None and complete and len(rows) != shape[0] * shape[1]:
        wrong.append(f"{len(rows)} lines where a run that succeeded has {shape[0] * shape[1]}")
    return wrong
