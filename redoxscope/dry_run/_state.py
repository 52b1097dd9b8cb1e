"""How a beamline stood: the file that ``redoxscope snapshot`` writes, and a dry run reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from ..data import FileError, parse_yaml, read_text
from ..inputs import is_number

__all__ = ["STATE_VERSION", "State", "StateError", "read_state"]

STATE_VERSION = 1

HEAD = """\
# How the beamline {beamline!r} stood on {time}: what its PVs said. Nothing was written.
# Made by: redoxscope snapshot {file}
# Used by: redoxscope dry-run SCRIPT --beamline {file} --state THIS_FILE
"""


class StateError(ValueError):
    """A file that is no snapshot, or the snapshot of another beamline."""


@dataclass(frozen=True)
class State:
    """What the PVs of a beamline said.

    Parameters
    ----------
    beamline : str
        Name in the beamline file.
    file : str
        The beamline file.
    sha256 : str
        Of its text.
    time : str
        ISO 8601, with the time zone.
    pvs : mapping of str to mapping
        By PV: ``device``, then ``value`` (or ``elements``, the length of an array), and ``unit``,
        ``limits`` ([low, high]), ``precision``, ``enum`` where the PV has them.
    missing : sequence of str
        PVs that did not answer.
    """

    beamline: str
    file: str
    sha256: str
    time: str
    pvs: Mapping[str, Mapping[str, Any]]
    missing: tuple[str, ...] = field(default=())

    def to_yaml(self) -> str:
        """As a person reads it: one line a PV."""
        content: dict[str, Any] = {
            "snapshot": STATE_VERSION,
            "beamline": self.beamline,
            "file": self.file,
            "sha256": self.sha256,
            "time": self.time,
        }
        text = HEAD.format(beamline=self.beamline, time=self.time, file=self.file)
        text += yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        text += "pvs:\n" if self.pvs else "pvs: {}\n"
        for pv, said in self.pvs.items():
            text += f"  {_line(pv)}: {_line(dict(said))}\n"
        if self.missing:
            text += "missing:  # these did not answer\n"
            text += "".join(f"- {_line(pv)}\n" for pv in self.missing)
        return text

    def check(self, beamline: str, names: Iterable[str]) -> None:
        """Refuse to take this for how another beamline stood.

        Parameters
        ----------
        beamline : str
            Name in the beamline file.
        names : iterable of str
            PVs that it names; of a record, without its field, and of a pair that which is written.

        Raises
        ------
        StateError
            Names what differs.
        """
        if self.beamline != beamline:
            raise StateError(
                f"the snapshot is of the beamline {self.beamline!r}, the beamline file is of "
                f"{beamline!r}"
            )
        known = {*self.pvs, *self.missing}
        known |= {pv.removesuffix("_RBV") for pv in known}
        records = {pv.rpartition(".")[0] for pv in known}
        unknown = [name for name in names if name not in known and name not in records]
        unknown = [name for name in unknown if not name.endswith("Owner")]
        if unknown:
            raise StateError(
                f"the snapshot of {self.time} knows nothing of the PV {unknown[0]!r}"
                f"{_more(unknown[1:])} of the beamline file: take a new one, redoxscope snapshot"
            )


def _more(others: list[str]) -> str:
    return f", nor of {len(others)} more" if others else ""


def _line(value: Any) -> str:
    text: str = yaml.safe_dump(
        value, default_flow_style=True, width=10**6, sort_keys=False, allow_unicode=True
    )
    return text.removesuffix("\n").removesuffix("...").removesuffix("\n")


def read_state(path: str | Path) -> State:
    """Read what ``redoxscope snapshot`` wrote.

    Raises
    ------
    StateError
        The file cannot be read, or is no snapshot; names the file and what is wrong.
    """
    try:
        content = parse_yaml(read_text(path), str(path)).content
    except FileError as exc:
        raise StateError(str(exc)) from exc
    if not isinstance(content, dict) or "snapshot" not in content:
        raise StateError(f"{path}: no snapshot; make one with: redoxscope snapshot BEAMLINE_FILE")
    if content["snapshot"] != STATE_VERSION:
        raise StateError(
            f"{path}: a snapshot of version {content['snapshot']!r}; this program reads version "
            f"{STATE_VERSION}"
        )
    if isinstance(content.get("time"), datetime):  # YAML knows dates
        content["time"] = content["time"].isoformat()
    for key in ("beamline", "file", "sha256", "time"):
        if not isinstance(content.get(key), str):
            raise StateError(f"{path}: {key} = {content.get(key)!r} must be text")
    pvs = content.get("pvs")
    if not isinstance(pvs, dict):
        raise StateError(f"{path}: pvs must hold a line for each PV")
    for pv, said in pvs.items():
        _check_entry(f"{path}: {pv}", said)
    missing = content.get("missing") or []
    if not isinstance(missing, list):
        raise StateError(f"{path}: missing must be a list of PVs")
    return State(
        beamline=content["beamline"],
        file=content["file"],
        sha256=content["sha256"],
        time=content["time"],
        pvs={str(pv): said for pv, said in pvs.items()},
        missing=tuple(map(str, missing)),
    )


def _check_entry(where: str, said: Any) -> None:
    if not isinstance(said, dict):
        raise StateError(f"{where} = {said!r} must hold value, unit, limits …, in braces")
    limits = said.get("limits")
    if limits is not None and not (
        isinstance(limits, list) and len(limits) == 2 and all(map(is_number, limits))
    ):
        raise StateError(f"{where}: limits = {limits!r} must be two numbers, [low, high]")
