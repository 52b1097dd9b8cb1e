"""What an energy stack looks like in documents: one event per line."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ._inputs import as_number, as_pair, as_whole

__all__ = [
    "CONTRACT_VERSION",
    "LINE_KEYS",
    "STREAM",
    "LineStatus",
    "Raster",
    "Region",
    "line_of",
    "validate_run",
]

CONTRACT_VERSION = 1
STREAM = "primary"
MAX_PIXELS = 65_536
"""Most columns, and most lines, of an image. The scanner's own limit is lower for columns."""
MAX_RETRIES = 100
"""Most tries of a line after the first."""

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


@dataclass(frozen=True)
class Region:
    """Rectangle on the sample, in pixels whose centres the scan visits.

    Parameters
    ----------
    center : tuple of float
        x, y of the middle (µm), in sample coordinates (coarse plus fine stage).
    size : tuple of float
        Width, height (µm) from the outer edge of the first to that of the last pixel.
    pixels : tuple of int
        Columns nx, rows ny.

    Raises
    ------
    ValueError
        A length that is not a positive finite number, or a pixel count that is not a
        positive whole number.
    """

    center: tuple[float, float]
    size: tuple[float, float]
    pixels: tuple[int, int]

    def __post_init__(self) -> None:
        center = [
            as_number(f"region center {axis}", value, "µm")
            for axis, value in zip("xy", as_pair("region center", self.center, "µm"), strict=True)
        ]
        sides = zip(("width", "height"), as_pair("region size", self.size, "µm"), strict=True)
        size = [as_number(f"region {side}", value, "µm", above=0) for side, value in sides]
        counts = zip(("nx", "ny"), as_pair("region pixels", self.pixels), strict=True)
        pixels = [
            as_whole(f"region pixels {axis}", count, at_least=1, at_most=MAX_PIXELS)
            for axis, count in counts
        ]
        for name, values in (("center", center), ("size", size), ("pixels", pixels)):
            object.__setattr__(self, name, tuple(values))

    @property
    def extents(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """Centres of the first and last pixel, ((x0, x1), (y0, y1)) in µm."""
        spans = []
        for center, size, count in zip(self.center, self.size, self.pixels, strict=True):
            half = size * (count - 1) / (2 * count)
            spans.append((center - half, center + half))
        return spans[0], spans[1]

    def as_dict(self) -> dict[str, Any]:
        """The form in which a start document carries it."""
        return {
            "center": list(self.center),
            "size": list(self.size),
            "pixels": list(self.pixels),
        }


@dataclass(frozen=True)
class Raster:
    """What a scanner flies: lines along x, in the coordinates of its own (fine) stage.

    Parameters
    ----------
    x_start, x_stop, y_start, y_stop : float
        Centres of the first and last pixel (µm).
    nx, ny : int
        Pixels of a line and lines.
    dwell : float
        Time per pixel (s).
    retries : int
        How often a line that failed is flown again.

    Raises
    ------
    ValueError
        As `Region`; a dwell that is not positive.
    """

    x_start: float
    x_stop: float
    nx: int
    y_start: float
    y_stop: float
    ny: int
    dwell: float
    retries: int = 1

    def __post_init__(self) -> None:
        checked: dict[str, float] = {}
        for name in ("x_start", "x_stop", "y_start", "y_stop"):
            checked[name] = as_number(f"raster {name}", getattr(self, name), "µm")
        for name in ("nx", "ny"):
            value = getattr(self, name)
            checked[name] = as_whole(f"raster {name}", value, at_least=1, at_most=MAX_PIXELS)
        checked["dwell"] = as_number("raster dwell", self.dwell, "s", above=0)
        checked["retries"] = as_whole("raster retries", self.retries, at_most=MAX_RETRIES)
        for name, number in checked.items():
            object.__setattr__(self, name, number)

    @property
    def line_time(self) -> float:
        """Live time of a line (s)."""
        return self.nx * self.dwell


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
