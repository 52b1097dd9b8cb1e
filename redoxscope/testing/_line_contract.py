"""Checks a scanner's PVs against the contract of lines with stamped indices."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..scan import Raster
from ._pv_watch import Change, Watched

__all__ = ["check_line_contract"]

SETTINGS = {
    "XStart": "x_start", "XStop": "x_stop", "NX": "nx", "YStart": "y_start", "YStop": "y_stop",
    "NY": "ny", "Dwell": "dwell",
}  # fmt: skip
LIMITS = ("Flyback", "RunUp", "MinDwell", "MaxDwell", "MaxPoints")
OWN = (*SETTINGS, *LIMITS, "Go", "Abort", "State", "X", "Y", "Info", "Index")


def check_line_contract(
    scanner: str,
    counters: Sequence[str],
    raster: Raster | None = None,
    *,
    pvs: Mapping[str, str] | None = None,
    timeout: float = 10.0,
) -> list[str]:
    """Look whether PVs are as ``docs/reference/pvs.md`` has them, and behave so.

    Without a raster it only reads. With one **it flies it, twice, the second time to abort it**:
    the stage moves, and a shutter that follows opens.

    Parameters
    ----------
    scanner : str
        Prefix of the scanner, e.g. ``"BL:Scan:"``.
    counters : sequence of str
        Prefixes of the counters, e.g. ``["BL:Trans:", "BL:I0:"]``.
    raster : Raster, optional
        What to fly: small, of two lines at least, within the limits of the stage.
    pvs : mapping of str to str, optional
        Other names, by the name that the contract gives them.
    timeout : float
        Longest wait for an answer (s).

    Returns
    -------
    list of str
        What is wrong, in words; empty where nothing is.

    Examples
    --------
    >>> check_line_contract("BL:Scan:", ["BL:Trans:"])  # doctest: +SKIP
    []
    """
    names = {key: scanner + key for key in OWN}
    for i, prefix in enumerate(counters):
        names |= {f"{i}:{key}": prefix + key for key in ("Line", "Index")}
    given = dict(pvs or {})
    names = {key: given.get(name, name) for key, name in names.items()}
    arrays = ["X", "Y", "Info", *(f"{i}:Line" for i in range(len(counters)))]
    indices = ["Index", *(f"{i}:Index" for i in range(len(counters)))]
    watched = Watched(names, [*arrays, *indices, "State"], timeout)
    try:
        wrong = watched.missing()
        if wrong:
            return wrong
        wrong = watched.wrong_types(dict.fromkeys(names, "number"))
        wrong += _wrong_limits(watched)
        if raster is not None and not wrong:
            wrong += _flown(watched, raster, len(counters))
        return wrong
    finally:
        watched.close()


def _wrong_limits(watched: Watched) -> list[str]:
    value = {key: watched.get(key) for key in LIMITS}
    wrong = [
        f"{watched.name(key)} = {value[key]} is below 0"
        for key in ("Flyback", "RunUp")
        if not value[key] >= 0
    ]
    if not 0 < value["MinDwell"] < value["MaxDwell"]:
        low, high = watched.name("MinDwell"), watched.name("MaxDwell")
        wrong.append(f"{low} = {value['MinDwell']} s, {high} = {value['MaxDwell']} s: no range")
    if not value["MaxPoints"] >= 1:
        wrong.append(f"{watched.name('MaxPoints')} = {value['MaxPoints']} is below 1")
    return wrong


def _flown(watched: Watched, raster: Raster, n_counters: int) -> list[str]:
    wrong = [watched.put(key, getattr(raster, name)) for key, name in SETTINGS.items()]
    wrong = [text for text in wrong if text]
    for key, name in SETTINGS.items():
        back, asked = watched.get(key), getattr(raster, name)
        if back is None or abs(float(back) - asked) > 1e-6:
            wrong.append(f"{watched.name(key)} reads {back} after {asked} was written")
    if wrong:
        return wrong
    limit = 2 * (raster.line_time + float(watched.get("Flyback"))) + watched.timeout
    index = int(watched.get("Index"))
    watched.forget()
    watched.start("Go", 0)
    for line in range(raster.ny):
        changes = list(_of_one_line(watched, limit, n_counters))
        wrong += _wrong_line(watched, changes, index + line + 1, line, raster.nx, n_counters)
        if not changes:
            break
    if not wrong:
        wrong += _rests(watched, limit)
    return wrong + _halts(watched, limit)


def _of_one_line(watched: Watched, limit: float, n_counters: int) -> Iterator[Change]:
    """Changes until the index of the scanner and of each counter came."""
    left = {"Index", *(f"{i}:Index" for i in range(n_counters))}
    while left:
        change = watched.next(limit)
        if change is None:
            return
        if change.name != "State":
            left.discard(change.name)
            yield change


def _wrong_line(
    watched: Watched, changes: Sequence[Change], number: int, line: int, nx: int, n_counters: int
) -> list[str]:
    where = f"line {line}: "
    if not changes:
        return [f"{where}no index came; {watched.name('State')} = {watched.get('State')}"]
    wrong, seen = [], [change.name for change in changes]
    last = {change.name: change for change in changes}
    stamps = set()
    groups = {"Index": ["X", "Y", "Info"]}
    groups |= {f"{i}:Index": [f"{i}:Line"] for i in range(n_counters)}
    for index, arrays in groups.items():
        if index not in last:
            wrong.append(f"{where}{watched.name(index)} did not change")
            continue
        stamps.add(last[index].stamp)
        for array in arrays:
            if array not in seen:
                wrong.append(f"{where}{watched.name(array)} was not sent")
                continue
            if seen.index(array) > seen.index(index):
                wrong.append(f"{where}{watched.name(index)} came before {watched.name(array)}")
            stamps.add(last[array].stamp)
            if array != "Info" and np.size(last[array].value) != nx:
                size = np.size(last[array].value)
                wrong.append(f"{where}{watched.name(array)} has {size} values, not {nx}")
    if len(stamps) > 1:
        wrong.append(f"{where}its time stamps differ, by {max(stamps) - min(stamps):.3g} s")
    if "Index" in last and int(last["Index"].value) != number:
        found = int(last["Index"].value)
        wrong.append(f"{where}{watched.name('Index')} is {found}, not {number}")
    if "Info" in last:
        info: list[Any] = [int(value) for value in np.atleast_1d(last["Info"].value)]
        if info[:2] != [number, line] or len(info) != 3:
            wrong.append(f"{where}{watched.name('Info')} is {info}, not [{number}, {line}, status]")
    return wrong


def _rests(watched: Watched, limit: float) -> list[str]:
    """After the last line it is idle."""
    until = time.monotonic() + limit
    while int(watched.get("State")) == 1 and time.monotonic() < until:
        watched.next(0.1)
    state = int(watched.get("State"))
    return [] if state == 0 else [f"{watched.name('State')} is {state} after the last line, not 0"]


def _halts(watched: Watched, limit: float) -> list[str]:
    """An abort completes when nothing moves: no index after it."""
    watched.start("Go", 0)
    wrong = [text for text in [watched.put("Abort", 1, limit)] if text]
    state = int(watched.get("State"))
    if state != 0:
        wrong.append(f"{watched.name('State')} is {state} when the abort has completed, not 0")
    index = watched.get("Index")
    watched.forget()
    while (change := watched.next(limit - watched.timeout)) is not None:
        if change.name == "Index" and change.value != index:
            return [*wrong, f"{watched.name('Index')} went on after the abort had completed"]
    return wrong
