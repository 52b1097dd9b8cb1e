"""Checks a FLY group and its counters against the contract of the ALS's caproto IOCs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ._pv_watch import Watched

__all__ = ["check_fly_contract"]

NUMBERS = ("START", "STOP", "NPOINTS", "DWELL", "ARM", "GO", "ABORT", "INDEX", "POS")
DAQ = ("DWELL", "LINE:NPOINTS", "LINE:INDEX")


def check_fly_contract(
    fly: str,
    counters: Mapping[str, str],
    line: tuple[float, float, int, float] | None = None,
    *,
    timeout: float = 10.0,
) -> list[str]:
    """Look whether PVs are as the FLY contract has them, and behave so.

    Without a line it only reads. With one **it flies it, three times**: the stage moves, and the
    shutter opens.

    Parameters
    ----------
    fly : str
        Prefix of the FLY group, e.g. ``"STXM7012:NPT:FLY:"``.
    counters : mapping of str to str
        Prefix of each counter by its key, e.g. ``{"default": "STXM7012:DEFAULT:"}``.
    line : (float, float, int, float), optional
        START and STOP (µm), NPOINTS, DWELL (ms) of a line within the limits of the stage.
    timeout : float
        Longest wait for an answer, beyond the live time of a line (s).

    Returns
    -------
    list of str
        What is wrong, in words; empty where nothing is.
    """
    names = {key: fly + key for key in (*NUMBERS, "STATE", "AXIS", "MODE")}
    names |= {"ERROR": fly + "ERROR.VAL$"}
    names |= {f"DATA:{key}": f"{fly}DATA:{key}" for key in counters}
    for key, prefix in counters.items():
        names |= {f"{key}:{suffix}": prefix + suffix for suffix in (*DAQ, "LINE:STATUS")}
        names |= {f"{key}:LINE:ERROR": f"{prefix}LINE:ERROR.VAL$"}
    data = [f"DATA:{key}" for key in counters]
    watched = Watched(names, [*data, "POS", "INDEX", "STATE"], timeout)
    try:
        wrong = watched.missing()
        if wrong:
            return wrong
        kinds = dict.fromkeys([*NUMBERS, *data], "number")
        kinds |= {"STATE": "enum", "AXIS": "enum", "MODE": "enum", "ERROR": "text"}
        wrong = watched.wrong_types(kinds)
        if line is not None and not wrong:
            wrong += _flown(watched, list(counters), line)
        return wrong
    finally:
        watched.close()


def _settings(watched: Watched, line: tuple[float, float, int, float]) -> list[str]:
    names = ("START", "STOP", "NPOINTS", "DWELL")
    said = [watched.put(name, value) for name, value in zip(names, line, strict=True)]
    return [text for text in [*said, watched.put("ARM", 1)] if text]


def _state(watched: Watched) -> str:
    return str(watched.get("STATE", text=True))


def _flown(watched: Watched, keys: list[str], line: tuple[float, float, int, float]) -> list[str]:
    start, stop, n, dwell = line
    limit = watched.timeout + n * dwell * 1e-3
    state, index = watched.name("STATE"), int(watched.get("INDEX"))
    wrong = _settings(watched, (start, stop, 0, dwell))
    if _state(watched) != "ERROR" or not watched.get("ERROR", text=True):
        wrong.append(
            f"{state} is {_state(watched)} after ARM with NPOINTS = 0; ERROR has to say why"
        )
    wrong += [text for text in [watched.put("GO", 1, limit)] if text]
    if _state(watched) != "ERROR" or int(watched.get("INDEX")) != index:
        wrong.append(f"GO was not refused after an ARM that failed: {state} is {_state(watched)}")
    wrong += _settings(watched, line)
    if _state(watched) != "ARMED":
        why = watched.get("ERROR", text=True)
        return [*wrong, f"{state} is {_state(watched)} after ARM, not ARMED: {why}"]
    for number in (1, 2):  # the second without settings and ARM
        watched.forget()
        said = watched.put("GO", 1, limit)
        wrong += [said] if said else _wrong_line(watched, keys, line, index + number)
        if wrong:
            return wrong
    wrong += [text for text in [watched.put("ABORT", 1)] if text]
    wrong += [text for text in [watched.put("GO", 1, limit)] if text]
    if _state(watched) != "IDLE":
        wrong.append(f"{state} is {_state(watched)} after ABORT and GO, not IDLE")
    return wrong


def _wrong_line(
    watched: Watched, keys: list[str], line: tuple[float, float, int, float], index: int
) -> list[str]:
    start, stop, n, dwell = line
    wrong = []
    found = int(watched.get("INDEX"))
    if found != index:
        wrong.append(f"{watched.name('INDEX')} is {found} after a line, not {index}")
    if _state(watched) != "ARMED":
        why = watched.get("ERROR", text=True)
        wrong.append(f"{watched.name('STATE')} is {_state(watched)} after a line: {why}")
    if wrong:
        return wrong
    for name in (*(f"DATA:{key}" for key in keys), "POS"):
        values = np.atleast_1d(watched.get(name))
        if values.size != n:
            wrong.append(f"{watched.name(name)} has {values.size} values, not {n}")
    pos = np.atleast_1d(watched.get("POS"))
    if pos.size > 1 and not np.ptp(pos) > abs(stop - start) / 2:
        wrong.append(
            f"{watched.name('POS')} goes from {pos[0]:g} to {pos[-1]:g} µm, not from {start:g} to "
            f"{stop:g} µm: it holds no positions"
        )
    for key in keys:
        for suffix, value in (("DWELL", dwell), ("LINE:NPOINTS", n)):
            there = watched.get(f"{key}:{suffix}")
            if there != value:
                name = watched.name(f"{key}:{suffix}")
                wrong.append(f"{name} is {there}, not {value:g}: somebody else sets it")
    return wrong + _wrong_order(watched, keys)


def _wrong_order(watched: Watched, keys: list[str]) -> list[str]:
    """Data, positions, index, state: a client that waits for one has what comes before."""
    order: list[str] = []
    while (change := watched.next(watched.timeout)) is not None:
        order.append(change.name)
        if change.name == "STATE" and "INDEX" in order:
            break
    wanted = [*(f"DATA:{key}" for key in keys), "POS", "INDEX"]
    lost = [name for name in wanted if name not in order]
    if lost:
        return [f"{watched.name(name)} was not sent with the line" for name in lost]
    places = [order.index(name) for name in wanted] + [len(order) - 1]
    if max(places[:-3], default=-1) > places[-3] or not places[-3] < places[-2] < places[-1]:
        return [f"PVs change in the order {', '.join(order)}; it must be data, POS, INDEX, STATE"]
    return []
