"""All calibrations that were applied, as a list for a terminal or a program."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ._proposal import DIGITS, said
from ._record import Calibration, local_time

__all__ = ["FOLDER", "newest_of", "read_calibration", "read_calibrations", "states", "table"]

log = logging.getLogger("redoxscope.calibrations")

FOLDER = "optics_calibrations"
"""Where a session keeps them, in its data folder."""

Key = tuple[str, str, str, str]


def read_calibration(path: Path) -> Calibration | None:
    """What a file says; None, with a warning, where it says nothing."""
    try:
        return Calibration.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError as exc:
        log.warning("%s cannot be read, so what it may hold is not told: %s", path, exc)
    except (ValueError, TypeError, RecursionError) as exc:
        log.warning("%s is no calibration: %s", path, exc)
    return None


def read_calibrations(folder: Path, beamline: str | None = None) -> list[Calibration]:
    """All that were applied, the last one last; no session is needed, and no device is asked.

    Parameters
    ----------
    folder : path
        `FOLDER` of a data folder.
    beamline : str, optional
        Of this one alone.
    """
    found = [one for one in map(read_calibration, folder.glob("*.json")) if one is not None]
    found = [one for one in found if beamline in (None, one.beamline)]
    return sorted(found, key=lambda one: (one.applied, one.uid))


def newest_of(history: Iterable[Calibration]) -> dict[Key, Calibration]:
    """Of each device and edge the last one that was not taken back."""
    return {
        (one.beamline, one.kind, one.of, one.device): one for one in history if not one.reverted
    }


def states(history: Sequence[Calibration]) -> list[dict[str, Any]]:
    """Each as JSON takes it, with its ``state``: ``"applied"``, ``"replaced"``, ``"reverted"``."""
    last = {one.uid for one in newest_of(history).values()}
    return [{**one.as_dict(), "state": _state(one, last)} for one in history]


def table(history: Sequence[Calibration]) -> str:
    """The last one first: state, edge or device, what changed to what, when, runs, uid."""
    last = {one.uid for one in newest_of(history).values()}
    lines: list[str] = []
    for beamline in dict.fromkeys(one.beamline for one in reversed(history)):
        rows = [_row(one, last) for one in reversed(history) if one.beamline == beamline]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines += ["", f"beamline {beamline or 'without a name'}"]
        for row in rows:
            cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
            lines.append("  " + "  ".join(cells).rstrip())
    return "\n".join(lines[1:])


def _state(one: Calibration, last: set[str]) -> str:
    if one.reverted:
        return "reverted"
    return "applied" if one.uid in last else "replaced"


def _row(one: Calibration, last: set[str]) -> tuple[str, ...]:
    changes = [
        f"{name} {said(one.before.get(name), one.units[name])} -> {value:.{digits}f} ± "
        f"{one.sigma[name]:.{digits}f} {one.units[name]}"
        for name, value in one.values.items()
        for digits in [DIGITS.get(one.units[name], 4)]
    ]
    when = f"applied {local_time(one.applied)}"
    if one.reverted:
        when += f", reverted {local_time(one.reverted)}"
    runs = ", ".join(uid[:8] for uid in one.source.get("runs", ())) or "none"
    return (
        one.uid[:8], _state(one, last), one.of, one.device, "; ".join(changes), when, f"run {runs}"
    )  # fmt: skip
