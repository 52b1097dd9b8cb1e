"""X-ray emission lines, from a table that keeps what other tables say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import Any

import yaml

__all__ = ["Line", "LineTable", "load_lines", "mixture_lines"]


@dataclass(frozen=True)
class Line:
    """One emission line.

    Attributes
    ----------
    name : str
        Element and line, for instance ``"O K"`` or ``"Fe La"`` (Lα).
    energy_ev : float
        Maximum of the line (eV).
    uncertainty_ev : float
        Standard uncertainty of that, chemical shifts included (eV).
    source : str
    form : str
        Chemical form it holds for.
    alternatives : dict
        Source: (value, uncertainty or None) of other tables (eV).
    """

    name: str
    energy_ev: float
    uncertainty_ev: float
    source: str = ""
    form: str = ""
    alternatives: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)

    @property
    def element(self) -> str:
        """Symbol of the element."""
        return self.name.split()[0]

    @property
    def principal(self) -> bool:
        """Whether it is the strongest of its shell: K or Lα."""
        return self.name.endswith((" K", " La"))


@dataclass(frozen=True)
class LineTable:
    """Emission lines of one version of the table.

    Attributes
    ----------
    version : str
    lines : tuple of Line
        Energies rising.
    expected : bool
        They are those of a sample, which should show the strong ones; False for a table of all
        that there might be.
    """

    version: str
    lines: tuple[Line, ...]
    expected: bool = True

    def __len__(self) -> int:
        return len(self.lines)

    def __iter__(self) -> Iterator[Line]:
        return iter(self.lines)

    def __getitem__(self, name: str) -> Line:
        """A line by its name.

        Raises
        ------
        ValueError
            It is not in the table; the message lists those that are.
        """
        for line in self.lines:
            if line.name == name:
                return line
        known = ", ".join(line.name for line in self.lines)
        raise ValueError(f"emission line {name!r} is not in the table; it has {known}")

    @cached_property
    def hash(self) -> str:
        """SHA-256 over names, energies and uncertainties; what a run records."""
        rows = sorted((x.name, x.energy_ev, x.uncertainty_ev) for x in self.lines)
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def select(self, names: Iterable[str]) -> LineTable:
        """Only these lines.

        Parameters
        ----------
        names : iterable of str
            Lines (``"O K"``) or elements (``"Fe"``: all its lines).

        Raises
        ------
        ValueError
            One of them is not in the table.
        """
        wanted: dict[str, Line] = {}
        for name in names:
            of_element = [x for x in self.lines if x.element == name]
            for line in of_element or [self[name]]:
                wanted[line.name] = line
        return LineTable(
            self.version, tuple(sorted(wanted.values(), key=lambda line: line.energy_ev))
        )

    def from_source(self, source: str) -> LineTable:
        """The table with the values of another source; lines it does not give keep theirs."""

        def other(line: Line) -> Line:
            if source not in line.alternatives:
                return line
            value, _ = line.alternatives[source]
            return Line(line.name, value, line.uncertainty_ev, source, line.form, line.alternatives)

        lines = sorted(map(other, self.lines), key=lambda line: line.energy_ev)
        return LineTable(f"{self.version}+{source}", tuple(lines), self.expected)


def _line(name: str, raw: dict[str, Any], sources: Mapping[str, str]) -> Line:
    others = {
        source: (float(pair[0]), float(pair[1]) if len(pair) > 1 else None)
        for source, pair in raw["alternatives"].items()
    }
    for source in (raw["source"], *others):
        if source not in sources:
            raise ValueError(f"emission_lines.yaml, {name}: source {source!r} is not explained")
    return Line(
        name,
        float(raw["value"]),
        float(raw["uncertainty"]),
        raw["source"],
        raw["form"],
        others,
    )


@cache
def _load() -> tuple[LineTable, dict[str, list[str]]]:
    text = resources.files(__package__).joinpath("emission_lines.yaml").read_text(encoding="utf-8")
    raw = yaml.safe_load(text)
    lines = [_line(name, line, raw["sources"]) for name, line in raw["lines"].items()]
    ordered = tuple(sorted(lines, key=lambda line: line.energy_ev))
    table = LineTable(raw["version"], ordered, expected=False)
    return table, raw["mixtures"]


def load_lines(names: Iterable[str] | None = None) -> LineTable:
    """Read the shipped table of emission lines.

    Parameters
    ----------
    names : iterable of str, optional
        Only these lines or elements; all without.

    Raises
    ------
    ValueError
        A name is not in the table.
    """
    table, _ = _load()
    return table if names is None else table.select(names)


def mixture_lines(sample: str) -> LineTable:
    """Lines of a reference sample.

    Parameters
    ----------
    sample : str
        Name of the mixture, for instance ``"reference"`` or ``"mixv4b"``.

    Raises
    ------
    ValueError
        It is not known; the message lists those that are.
    """
    table, mixtures = _load()
    if sample not in mixtures:
        raise ValueError(
            f"reference sample {sample!r} is not known; known ones: {', '.join(mixtures)}. "
            'Name its lines or elements instead, for instance "O K" or "Fe"'
        )
    return table.select(mixtures[sample])
