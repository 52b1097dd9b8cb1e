"""The JSON form of a scan: columns, in which one value stands for all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..inputs import as_whole, check_keys, is_number
from ._parts import Exposures, Frame, Outer, Point
from ._regions import as_region

__all__ = ["SCAN_VERSION", "as_dict", "loaded", "parts_of"]

SCAN_VERSION = 1
MAX_LISTED = 1_000_000

_FRAME = ("energy", "dwell", "region", "role", "outer")
_POINT = ("energy", "dwell", "role", "repeat", "outer")
_EXPOSURES = ("energy", "dwell", "positions", "role", "outer", "region")
_TOP = ("version", "kind", "edge", "retries", "regions", "outer", "frames", "points", "exposures",
        "passes")  # fmt: skip


def as_dict(kind: str, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Plain dictionaries, lists, numbers and text, from the arguments of a `Scan`."""
    content: dict[str, Any] = {
        "version": SCAN_VERSION,
        "kind": kind,
        "edge": parts["edge"],
        "retries": parts["retries"],
        "outer": [{"name": outer.name, "unit": outer.unit} for outer in parts["outer"]],
    }
    if parts["frames"]:
        content["regions"] = [region.as_dict() for region in parts["regions"]]
        content["frames"] = _columns(parts["frames"], _FRAME)
    elif parts["points"]:
        passes, once = _passes(parts["points"])
        if passes > 1:
            content["passes"] = passes
        content["points"] = _columns(once, [n for n in _POINT if passes == 1 or n != "repeat"])
    else:
        if parts["regions"]:
            content["regions"] = [region.as_dict() for region in parts["regions"]]
        content["exposures"] = _exposures(parts["exposures"])
    return content


def _exposures(parts: Sequence[Exposures]) -> list[dict[str, Any]]:
    """Places that an earlier part has are written once: its index stands for them."""
    found, first = [], dict[tuple[tuple[float, float], ...], int]()
    for i, part in enumerate(parts):
        content = {name: _plain(getattr(part, name)) for name in _EXPOSURES}
        if part.region is None:
            del content["region"]
        at = first.setdefault(part.positions, i)
        content["positions"] = at if at < i else [list(place) for place in part.positions]
        found.append(content)
    return found


def _read_exposures(listed: Sequence[Any]) -> Iterator[Exposures]:
    parts: list[Exposures] = []
    for i, one in enumerate(listed):
        given = _fields(f"scan exposures[{i}]", one, _EXPOSURES, 3)
        if is_number(given["positions"]):
            name = f"scan exposures[{i}].positions"
            earlier = as_whole(name, given["positions"], meaning="index of an earlier part")
            if earlier >= i:
                raise ValueError(f"{name} = {earlier} is the index of no earlier part")
            given["positions"] = parts[earlier].positions
        parts.append(Exposures(**given))
        yield parts[-1]


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, str) else value


def _columns(parts: Sequence[Any], names: Sequence[str]) -> dict[str, Any]:
    columns = {}
    for name in names:
        column = [_plain(getattr(part, name)) for part in parts]
        if name == "outer":
            if any(column):
                columns[name] = column
        elif name != "energy" and all(value == column[0] for value in column):
            columns[name] = column[0]
        else:
            columns[name] = column
    return columns


def _passes(points: Sequence[Point]) -> tuple[int, Sequence[Point]]:
    """How often the same points come, one pass after the other; and one pass of them."""
    passes = points[-1].repeat + 1
    n, rest = divmod(len(points), passes)
    if rest:
        return 1, points
    for i, point in enumerate(points):
        first = points[i % n]
        if (
            point.repeat != i // n
            or point.energy != first.energy
            or point.dwell != first.dwell
            or point.role is not first.role
            or point.outer != first.outer
        ):
            return 1, points
    return passes, points[:n]


def loaded(source: str | Path) -> Any:
    """Content of JSON text, or of a file."""
    text = source
    if isinstance(source, Path) or source.strip().lower().endswith(".json"):
        try:
            text = Path(source).expanduser().read_text(encoding="utf-8")
        except (OSError, RuntimeError, ValueError) as exc:  # no such user's home; no text
            raise ValueError(f"the scan {str(source)!r:.200} cannot be read: {exc}") from exc
    try:
        return json.loads(str(text))
    except (ValueError, RecursionError) as exc:  # a number too long, lists too deep
        what = str(source) if text is not source else f"{str(source)!r:.60}"
        raise ValueError(f"scan {what} is no JSON: {exc}") from exc


def parts_of(content: Any) -> dict[str, Any]:
    """Arguments of a `Scan`, from its dictionary."""
    if not isinstance(content, Mapping):
        raise ValueError(f"scan = {content!r:.80} must be a mapping with the key 'version'")
    version = content.get("version")
    if version != SCAN_VERSION or isinstance(version, bool):
        raise ValueError(
            f"scan version = {version!r}; this redoxscope reads version {SCAN_VERSION}"
        )
    check_keys("scan", content, _TOP, needed=2)
    kind = content.get("kind")
    found: dict[str, Any] = {
        "edge": content.get("edge"),
        "retries": content.get("retries", 1),
        "outer": tuple(
            Outer(**_fields(f"scan outer[{i}]", one, ("name", "unit"), 2))
            for i, one in enumerate(_list("scan outer", content.get("outer", ())))
        ),
    }
    if kind in ("lines", "exposures"):
        regions = _list("scan regions", content.get("regions", ()))
        found["regions"] = tuple(as_region(r, f"scan regions[{i}]") for i, r in enumerate(regions))
    if kind == "lines":
        found["frames"] = _rows("frames", content.get("frames"), _FRAME, Frame)
    elif kind == "points":
        passes = as_whole("scan passes", content.get("passes", 1), at_least=1)
        points = _rows("points", content.get("points"), _POINT, Point)
        if len(points) * passes > MAX_LISTED:
            raise ValueError(f"scan: {passes} passes of {len(points)} points are too many")
        if passes > 1:
            points = tuple(
                Point(p.energy, p.dwell, p.role, i, p.outer) for i in range(passes) for p in points
            )
        found["points"] = points
    elif kind == "exposures":
        listed = _list("scan exposures", content.get("exposures"))
        found["exposures"] = tuple(_read_exposures(listed))
    else:
        raise ValueError(f"scan kind = {kind!r} must be 'lines', 'points' or 'exposures'")
    return found


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, (str, Mapping)) or not hasattr(value, "__len__"):
        raise ValueError(f"{name} = {value!r:.80} must be a list")
    return list(value)


def _fields(name: str, content: Any, known: Sequence[str], needed: int) -> dict[str, Any]:
    if not isinstance(content, Mapping):
        raise ValueError(f"{name} = {content!r:.80} must be a mapping of {', '.join(known)}")
    check_keys(name, content, known, needed)
    return dict(content)


def _rows(name: str, columns: Any, known: Sequence[str], kind: type) -> tuple[Any, ...]:
    """Rows of columns; a single value of a column stands for all."""
    given = _fields(f"scan {name}", columns, known, 2)
    lists = {
        key: _list(f"scan {name}.{key}", value)
        for key, value in given.items()
        if not (isinstance(value, str) or is_number(value))
    }
    lengths = {len(column) for column in lists.values()} or {1}
    if len(lengths) > 1:
        told = ", ".join(f"{key}: {len(column)}" for key, column in lists.items())
        raise ValueError(f"scan {name}: columns of different lengths ({told})")
    (count,) = lengths
    if count > MAX_LISTED:
        raise ValueError(f"scan {name} has {count} members, more than {MAX_LISTED}")
    rows = []
    for i in range(count):
        row = {key: lists[key][i] if key in lists else value for key, value in given.items()}
        try:
            rows.append(kind(**row))
        except ValueError as exc:
            raise ValueError(f"scan {name}[{i}]: {exc}") from exc
    return tuple(rows)
