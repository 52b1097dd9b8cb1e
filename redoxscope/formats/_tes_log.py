"""Beamline logs of a scan with a microcalorimeter array: which energy was set from when to when.

Two kinds are read: the logs of SSRL's beamline 10-1 (YAML, the first document describes, every
further one is a pass) and the ``scanNNNN.json`` and ``calibrationNNNN.json`` of the scan server.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ._errors import FormatError

__all__ = ["Pass", "TesLog", "read_tes_log"]

Point = tuple[float, int, int]

_Base: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times as fast where there is C


@dataclass(frozen=True)
class Pass:
    """One pass over the points.

    Attributes
    ----------
    start, stop : int
        Beginning and end, ns since 1970, as the log has them or else those of its points.
    points : list of (float, int, int)
        Energy (eV; NaN where the log has none), start and end (ns since 1970) of each
        exposure, by start. A point that was exposed more than once is here as often.
    """

    start: int
    stop: int
    points: list[Point]


@dataclass(frozen=True)
class TesLog:
    """A log.

    Attributes
    ----------
    path : Path
        The file.
    kind : {"cal", "data"}
        What it was taken for.
    sample : str
        Name of the sample; "" where there is none.
    mono_ev : float or None
        Energy of the monochromator (eV) where it stood still.
    passes : list of Pass
        In the order of the file.
    header : dict
        What else the log says.
    problem : str or None
        What is wrong with it, in words (cut off, a point without end).
    """

    path: Path
    kind: Literal["cal", "data"]
    sample: str
    mono_ev: float | None
    passes: list[Pass]
    header: dict[str, Any]
    problem: str | None = None

    @property
    def span(self) -> tuple[int, int]:
        """Start of the first and end of the last point, ns since 1970."""
        points = [point for each in self.passes for point in each.points]
        return min(p[1] for p in points), max(p[2] for p in points)


class _Loader(_Base):
    """Safe YAML in which a key that stands twice (an energy visited again) loses nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping, with the lists of equal keys joined."""
        mapping: dict[Hashable, Any] = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            value = self.construct_object(value_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} cannot be one", key_node.start_mark
                )
            if isinstance(value, list) and isinstance(mapping.get(key), list):
                value = mapping[key] + value
            mapping[key] = value
        return mapping


def read_tes_log(path: str | os.PathLike[str]) -> TesLog:
    """Read a log of SSRL's beamline 10-1 or of the scan server.

    A log that is cut off or still being written is read as far as it goes.

    Parameters
    ----------
    path : path
        YAML log, or JSON of the scan server.

    Raises
    ------
    FormatError
        The file is no such log or has no point; names file and reason.
    OSError
        The file cannot be read.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        if text.lstrip().startswith("{"):
            return _from_json(path, text)
        return _from_yaml(path, text)
    except UnicodeDecodeError as exc:
        raise FormatError(f"{path}: not a text file, so no log") from exc
    except FormatError as exc:
        raise FormatError(f"{path}: {exc}") from exc.__cause__


def _from_yaml(path: Path, text: str) -> TesLog:
    documents, problem = [], None
    try:
        for document in yaml.load_all(text, Loader=_Loader):  # noqa: S506  (a safe loader)
            documents.append(document)
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        problem = f"cut off or not YAML{where}: {getattr(exc, 'problem', exc)}"
    header = documents[0] if documents else None
    if not isinstance(header, dict) or header.get("dtype") not in ("cal", "data"):
        raise FormatError(
            problem or "no log: its first document has no 'dtype' that is 'cal' or 'data'"
        )
    motor = str(header.get("motor", "loop"))
    passes = [
        _yaml_pass(number, document, motor)
        for number, document in enumerate(documents[1:], start=1)
        if document is not None
    ]
    if not any(each.points for each in passes):
        raise FormatError(f"log without a point{f' ({problem})' if problem else ''}")
    mono = header.get("mono")
    return TesLog(
        path=path,
        kind=header["dtype"],
        sample=str(header.get("sample") or ""),
        mono_ev=None if mono is None else _number(mono, "mono"),
        passes=passes,
        header=header,
        problem=problem,
    )


def _yaml_pass(number: int, document: Any, motor: str) -> Pass:
    head = document.get("header") if isinstance(document, dict) else None
    table = document.get(motor) if isinstance(document, dict) else None
    if not isinstance(head, dict) or not isinstance(table, dict):
        raise FormatError(f"pass {number} has no 'header' or no {motor!r}")
    fixed = _number(head.get("mono", math.nan), "mono")
    points = []
    for key, times in table.items():
        where = f"pass {number}, point {key}"
        energy = _number(key, where) if motor == "mono" else fixed
        if not isinstance(times, list) or len(times) % 2:
            raise FormatError(f"{where}: {times!r} are no pairs of start and stop")
        ns = [_ns(time, where) for time in times]
        points += [(energy, *pair) for pair in zip(ns[::2], ns[1::2], strict=True)]
    return _pass(points, number, head.get("start"), head.get("stop"))


def _from_json(path: Path, text: str) -> TesLog:
    try:
        log = json.loads(text)
    except ValueError as exc:
        raise FormatError(f"neither JSON nor a log: {exc}") from exc
    names = ("var_name", "var_values", "epoch_time_start_s", "epoch_time_end_s")
    missing = [name for name in names if name not in log]
    if missing:
        raise FormatError(f"no log of the scan server: no {', '.join(missing)}")
    values, starts, ends = (log[name] for name in names[1:])
    if not all(isinstance(column, list) for column in (values, starts, ends)):
        raise FormatError("no log of the scan server: its columns are no lists")
    problem = None
    if len({len(values), len(starts), len(ends)}) > 1:
        problem = f"{len(values)} values, {len(starts)} starts and {len(ends)} ends of points"
    energies = _is_energy(log)
    points = [
        (
            _number(v, "var_values") if energies else math.nan,
            _ns(s, f"point {i}"),
            _ns(e, f"point {i}"),
        )
        for i, (v, s, e) in enumerate(zip(values, starts, ends, strict=False))
    ]
    if not points:
        raise FormatError("log without a finished point")
    cal = "routine" in log or path.name.startswith("calibration")
    distinct = {point[0] for point in points}
    alone = distinct.pop() if len(distinct) == 1 else math.nan
    return TesLog(
        path=path,
        kind="cal" if cal else "data",
        sample=str(log.get("sample_desc") or log.get("sample_id") or ""),
        mono_ev=None if math.isnan(alone) else alone,
        passes=[_pass(points, 1)],
        header={name: value for name, value in log.items() if name not in names[1:]},
        problem=problem,
    )


def _is_energy(log: Mapping[str, Any]) -> bool:
    name, unit = str(log["var_name"]).lower(), str(log.get("var_unit", "")).lower()
    return unit == "ev" or name in ("mono", "energy", "en_energy") or name.endswith("_energy")


def _pass(points: Iterable[Point], number: int, start: Any = None, stop: Any = None) -> Pass:
    ordered = sorted(points, key=lambda point: point[1:])
    for energy, first, last in ordered:
        if last <= first:
            raise FormatError(
                f"pass {number}, point at {energy} eV ends {(first - last) / 1e9:.6f} s before "
                "it starts"
            )
    return Pass(
        start=(ordered[0][1] if ordered else 0) if start is None else _ns(start, "start"),
        stop=(ordered[-1][2] if ordered else 0) if stop is None else _ns(stop, "stop"),
        points=ordered,
    )


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise FormatError(f"{where}: {value!r} is no number")
    return float(value)


def _ns(seconds: Any, where: str) -> int:
    """Whole ns of a time in s, which has µs at best at this magnitude."""
    value = _number(seconds, where)
    if not 0 <= value < 2**33:
        raise FormatError(f"{where}: {value} is no time in s since 1970")
    return round(value * 1e6) * 1000
