"""RIXS presets per edge, and users' own windows in a file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from redoxscope.documents import Window

from ._inverse_channels import window_problems
from ._presets import load_presets, preset_of
from ._text import FileError, parse_yaml, read_text

__all__ = [
    "Clash",
    "FeatureRange",
    "RixsPreset",
    "load_windows",
    "rixs_edges",
    "rixs_preset",
    "save_windows",
]

Range = tuple[float, float]


@dataclass(frozen=True)
class FeatureRange:
    """Where on the map a feature is looked for.

    Attributes
    ----------
    window : str
        Name of the window around it (emission).
    excitation : (float, float)
        Excitation energies at which it shows (eV).
    reference : tuple of (float, float)
        Excitation energies whose emission is like that of the others, without it (eV).
    """

    window: str
    excitation: Range
    reference: tuple[Range, ...]


@dataclass(frozen=True)
class Clash:
    """A line of something else that falls into a window.

    Attributes
    ----------
    line : str
    energy_ev : float
        Where it is (eV).
    window : str
        Name of the window it falls into.
    note : str
    """

    line: str
    energy_ev: float
    window: str
    note: str

    def __str__(self) -> str:
        return f"{self.line} at {self.energy_ev:g} eV ({self.window}): {self.note}"


@dataclass(frozen=True)
class RixsPreset:
    """How to measure RIXS at an edge.

    Attributes
    ----------
    edge : str
        For instance ``"O K"``.
    element : str
    zones : tuple of (float, float, float)
        Start, stop and step of the excitation energy (eV).
    dwell : float
        Live time per point (s).
    pixels : int
        How many pixels, those of the best resolution first; 0 for all.
    windows : tuple of Window
    elastic : float
        Half width of the mask on the elastic line (eV).
    feature : FeatureRange or None
        None where no feature is looked for.
    clashes : tuple of Clash
    source : str
    """

    edge: str
    element: str
    zones: tuple[tuple[float, float, float], ...]
    dwell: float
    pixels: int
    windows: tuple[Window, ...]
    elastic: float
    feature: FeatureRange | None
    clashes: tuple[Clash, ...]
    source: str

    @property
    def energies(self) -> list[float]:
        """Excitation energies of one pass (eV), strictly rising, rounded to 1 meV."""
        values: set[float] = set()
        for start, stop, step in self.zones:
            n = round((stop - start) / step)
            values.update(np.round(np.linspace(start, stop, n + 1), 3).tolist())
        return sorted(values)

    def window(self, name: str) -> Window:
        """The window of that name.

        Raises
        ------
        ValueError
            There is none; the message lists those that are.
        """
        for window in self.windows:
            if window.name == name:
                return window
        known = ", ".join(w.name for w in self.windows)
        raise ValueError(f"{self.edge} has no window {name!r}; it has {known}")

    def warnings(self, windows: Iterable[Window | str] | None = None) -> tuple[str, ...]:
        """What to know before measuring: clashes of lines, and windows that mean little.

        Parameters
        ----------
        windows : iterable of Window or str, optional
            In place of the preset's own.

        Raises
        ------
        ValueError
            A window cannot be read.
        """
        own = self.windows if windows is None else tuple(windows)
        return (*window_problems(self.energies, own), *(str(clash) for clash in self.clashes))


def _preset(edge: str, raw: Mapping[str, Any]) -> RixsPreset:
    feature = raw.get("feature")
    return RixsPreset(
        edge=edge,
        element=raw["element"],
        zones=tuple((a, b, c) for a, b, c in raw["zones"]),
        dwell=raw["dwell"],
        pixels=raw["pixels"],
        windows=tuple(Window.parse(text) for text in raw["windows"]),
        elastic=raw["elastic"],
        feature=feature
        and FeatureRange(
            feature["window"],
            (feature["excitation"][0], feature["excitation"][1]),
            tuple((a, b) for a, b in feature["reference"]),
        ),
        clashes=tuple(Clash(*item) for item in raw["clashes"]),
        source=" ".join(raw["source"].split()),
    )


@cache
def _load() -> dict[str, RixsPreset]:
    return load_presets("rixs_edges.yaml", _preset)


def rixs_edges() -> tuple[str, ...]:
    """Edges that have a preset."""
    return tuple(_load())


def rixs_preset(edge: str) -> RixsPreset:
    """Look up how RIXS is measured at an edge.

    Parameters
    ----------
    edge : str
        For instance ``"O K"`` or ``"Mn L"``.

    Raises
    ------
    ValueError
        There is no preset for the edge; the message lists those that are.
    """
    return preset_of(_load(), edge, "RIXS")


def load_windows(path: str | os.PathLike[str]) -> dict[str, tuple[Window, ...]]:
    """Read the windows that a user saved.

    Parameters
    ----------
    path : path
        YAML: for each edge a list of windows as text, for instance
        ``Co L: ["PFY[765:785]", "iPFY[500:540]"]``.

    Returns
    -------
    dict of str to tuple of Window

    Raises
    ------
    ValueError
        The file is missing, is not such a file, holds an edge twice, or two windows of an edge
        share a name; the message names file, line or edge, and window.
    """
    path = Path(path)
    try:
        raw = parse_yaml(read_text(path), str(path)).content
    except FileError as e:
        raise ValueError(f"windows file {e}") from e
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise ValueError(f"windows file {path}: expected edges with lists of windows")
    return {str(edge): _windows(path, edge, items) for edge, items in raw.items()}


def save_windows(
    path: str | os.PathLike[str], edge: str, windows: Iterable[Window | str]
) -> tuple[Window, ...]:
    """Save the windows of an edge; those of other edges in the file stay.

    Parameters
    ----------
    path : path
        Made where there is none; replaced whole or not at all.
    edge : str
    windows : iterable of Window or str

    Returns
    -------
    tuple of Window
        As saved.

    Raises
    ------
    ValueError
        A window cannot be read, two share a name, or what is at `path` is no windows file.
    OSError
        The file cannot be written.
    """
    path = Path(path)
    kept = load_windows(path) if path.exists() else {}
    kept[edge] = _windows(path, edge, list(windows))
    text = yaml.safe_dump(
        {name: [str(window) for window in items] for name, items in kept.items()},
        sort_keys=False,
        allow_unicode=True,
    )
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return kept[edge]


def _windows(path: Path, edge: object, items: object) -> tuple[Window, ...]:
    where = f"windows file {path}, {edge}"
    if not isinstance(items, list):
        raise ValueError(f"{where}: {items!r} is not a list of windows")
    try:
        windows = tuple(w if isinstance(w, Window) else Window.parse(w) for w in items)
    except ValueError as e:
        raise ValueError(f"{where}: {e}") from e
    names = [window.name for window in windows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{where}: two windows are called {twice[0]!r}; write name=KIND[low:high]")
    return windows
