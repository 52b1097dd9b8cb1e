"""Reading how a beamline stands. It writes to no PV."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from ophyd.utils import DisconnectedError

from ..beamline import has_server, load_beamline, make_beamline, missing_pvs
from ._state import State

__all__ = ["take_snapshot"]

ANSWER = 10.0
"""Longest time (s) to wait for the value of a PV that is connected."""

LONGEST = 16
"""Longest array (elements) whose values are kept: a line of counts is no state."""


def take_snapshot(path: str | Path, timeout: float = 5.0) -> State:
    """Read every PV of a beamline's devices, once. Nothing is written, nothing moves.

    Parameters
    ----------
    path : str or Path
        Beamline file.
    timeout : float
        Longest time (s) in which no further PV answers.

    Returns
    -------
    State
        What answered, and which PVs did not.

    Raises
    ------
    redoxscope.beamline.ConfigError
        The file is wrong.
    """
    config = load_beamline(path)
    pvs: dict[str, dict[str, Any]] = {}
    missing: list[str] = []
    made = make_beamline(config)
    try:
        devices = [device for _, device in made.roots() if not has_server(device)]
        silent = {pv for _, pv in missing_pvs(*devices, timeout=timeout)}
        for device in devices:
            for name, signal in _signals(device):
                said = None if signal.pvname in silent else _read(name, signal)
                if said is None:
                    missing.append(signal.pvname)
                else:
                    pvs[signal.pvname] = said
    finally:
        made.destroy()
    return State(
        beamline=config.name,
        file=str(path),
        sha256=hashlib.sha256(Path(path).read_bytes()).hexdigest(),
        time=datetime.now().astimezone().isoformat(timespec="seconds"),
        pvs=pvs,
        missing=tuple(dict.fromkeys(missing)),
    )


def _signals(device: Any) -> Iterator[tuple[str, Any]]:
    if not hasattr(device, "walk_signals"):  # a signal by itself
        if hasattr(device, "pvname"):
            yield device.name, device
        return
    for item in device.walk_signals(include_lazy=False):
        if hasattr(item.item, "pvname"):
            yield f"{device.name}.{item.dotted_name}", item.item


def _read(name: str, signal: Any) -> dict[str, Any] | None:
    """What a PV says; None where it does not answer."""
    try:
        value = signal.get(use_monitor=False, timeout=ANSWER)
    except (TimeoutError, DisconnectedError):
        return None
    said: dict[str, Any] = {"device": name}
    if isinstance(value, np.ndarray) and value.ndim and value.size > LONGEST:
        said["elements"] = int(value.size)
    else:
        said["value"] = _plain(value)
    known = signal.metadata
    if known.get("units"):
        said["unit"] = str(known["units"])
    limits = [known.get("lower_ctrl_limit"), known.get("upper_ctrl_limit")]
    # (0, 0) means none; of what is moved, that is something to know: it is refused.
    if None not in limits and (any(limits) or name.endswith("setpoint")):
        said["limits"] = [float(limit) for limit in limits]
    if known.get("precision"):
        said["precision"] = int(known["precision"])
    if known.get("enum_strs"):
        said["enum"] = [str(text) for text in known["enum_strs"]]
    return said


def _plain(value: Any) -> Any:
    """As YAML knows it."""
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, int | float | str | bool) or value is None else str(value)
