"""Energies of the monochromator: those of a log, and those that are given where it has none."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from ..formats import Pass, TesLog
from ._inputs import name_of

__all__ = ["with_energies"]

LOW_EV, HIGH_EV = 50.0, 10_000.0
"""What can be an energy of a soft X-ray monochromator in eV; outside, it is another unit."""
HOW = (
    "give them with --energies {name}=VALUE, where VALUE is one energy in eV, a list as "
    "778.1,778.3 or a text file with one for each point"
)


def with_energies(logs: Sequence[TesLog], given: Iterable[str] | str = ()) -> list[TesLog]:
    """The logs, with the energies that are given for those that have none.

    Parameters
    ----------
    logs : sequence of TesLog
    given : iterable of str
        ``"NAME=VALUE"`` for the log of that name, or ``"VALUE"`` for all scans whose logs have no
        energies. The value is one energy (eV), several with commas, or the path of a text file
        that holds one for each point of a pass.

    Raises
    ------
    ValueError
        A scan has points without an energy, and none is given; an energy is none of a soft X-ray
        monochromator; the number of energies is not that of the points; there is no such log, or
        it has energies of its own.
    OSError
        The text file cannot be read.
    """
    by_name = {name_of(log): log for log in logs}
    values: dict[str, list[float]] = {}
    for text in [given] if isinstance(given, str) else given:
        name, equals, value = text.partition("=")
        if not equals or Path(text).is_file():  # a path may have that sign too
            name, equals, value = "", "", text
        elif name not in by_name:
            raise ValueError(
                f"energies {text!r}: no log {name!r} is given; given are {', '.join(by_name)}"
            )
        wanted = [name] if equals else [n for n, x in by_name.items() if _lacks(x) and _scan(x)]
        if not wanted:
            raise ValueError(f"energies {text!r}: the log of every scan has energies of its own")
        for each in wanted:
            if not _lacks(by_name[each]):
                raise ValueError(f"energies {text!r}: log {each} has energies of its own")
            if each in values:
                raise ValueError(f"energies {text!r}: log {each} was given some already")
            values[each] = _numbers(value)
    out = [_filled(log, values.get(name)) for name, log in by_name.items()]
    for log in out:
        _check(log)
    return out


def _scan(log: TesLog) -> bool:
    return log.kind == "data"


def _lacks(log: TesLog) -> bool:
    if not _scan(log):
        return log.mono_ev is None
    return any(math.isnan(energy) for each in log.passes for energy, _, _ in each.points)


def _numbers(value: str) -> list[float]:
    """Numbers of a list or of a text file."""
    source = "energies"
    text = value.strip()
    if not text:
        raise ValueError("energies: nothing is given")
    try:
        return [float(word) for word in text.split(",")]
    except ValueError:
        path = Path(text)
    if not path.is_file():
        raise ValueError(f"energies {text!r}: neither numbers (eV) nor a file")
    source = f"energies file {path}"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as e:
        raise ValueError(f"{source}: not a text file") from e
    found = []
    for number, line in enumerate(lines, start=1):
        for word in line.partition("#")[0].replace(",", " ").split():
            try:
                found.append(float(word))
            except ValueError as e:
                raise ValueError(f"{source}, line {number}: {word!r} is no number") from e
    if not found:
        raise ValueError(f"{source}: no number in it")
    return found


def _filled(log: TesLog, values: list[float] | None) -> TesLog:
    if values is None:
        return log
    if not _scan(log):
        if len(values) != 1:
            raise ValueError(
                f"log {name_of(log)}: {len(values)} energies given; a calibration has one"
            )
        return replace(log, mono_ev=values[0])
    passes = []
    for number, each in enumerate(log.passes, start=1):
        n = len(each.points)
        if len(values) not in (1, n):
            raise ValueError(
                f"log {name_of(log)}: {len(values)} energies given, but pass {number} has {n} "
                "points"
            )
        own = values * n if len(values) == 1 else values
        points = [(e, a, b) for e, (_, a, b) in zip(own, each.points, strict=True)]
        passes.append(Pass(each.start, each.stop, points))
    return replace(log, passes=passes, mono_ev=values[0] if len(values) == 1 else None)


def _check(log: TesLog) -> None:
    for number, each in enumerate(log.passes, start=1):
        for (_, _, end), (energy, start, _) in pairwise(each.points if _scan(log) else []):
            if start < end:
                raise ValueError(
                    f"log {log.path}: pass {number}, the point at {energy:g} eV starts "
                    f"{(end - start) * 1e-9:.3f} s before the one before it ends"
                )
    if not _scan(log):
        energies = [] if log.mono_ev is None else [log.mono_ev]
    else:
        energies = [energy for each in log.passes for energy, _, _ in each.points]
        missing = sum(math.isnan(energy) for energy in energies)
        if missing:
            raise ValueError(
                f"log {log.path}: {missing} of {len(energies)} points have no energy of the "
                f"monochromator; {HOW.format(name=name_of(log))}"
            )
    wrong = [energy for energy in energies if not LOW_EV <= energy <= HIGH_EV]
    if wrong:
        raise ValueError(
            f"log {log.path}: {wrong[0]:g} eV is no energy of a soft X-ray monochromator "
            f"({LOW_EV:g} to {HIGH_EV:g} eV)"
        )
