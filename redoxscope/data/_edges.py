"""Edges: which energies a stack over an absorption edge takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import numpy as np
import yaml

from redoxscope.inputs import suggestion

__all__ = ["EDGES", "Edge", "Species", "edge_energies", "get_edge"]


@dataclass(frozen=True)
class Species:
    """One pure phase of the shipped references.

    Attributes
    ----------
    name : str
    valence : float or None
    curve : str or None
        File of the computed curve, relative to its L3 maximum.
    maximum_ev : float or None
        Energy the L3 maximum of `curve` is placed at (eV).
    step_ev : float
        Middle of the edge step (eV): from the L3 maximum where there is a `curve`, else absolute.
    peaks : tuple of (float, float, float)
        Gaussians: centre (eV), standard deviation (eV), height (1/µm).
    """

    name: str
    valence: float | None = None
    curve: str | None = None
    maximum_ev: float | None = None
    step_ev: float = 0.0
    peaks: tuple[tuple[float, float, float], ...] = ()


@dataclass(frozen=True)
class Edge:
    """An absorption edge.

    Attributes
    ----------
    name : str
        For instance ``"Mn L3"``.
    element : str
    edge_ev : tuple of float
        Tabulated atomic edges (eV): L3 and L2, or K.
    window_ev : tuple of float
        Range the shipped references cover (eV).
    zones : tuple of (float, float, float)
        Start, stop and step of each energy zone (eV); a zone starts where the last one stopped.
    species : tuple of Species
        Oxidised first; empty where no reference is shipped.
    peak_per_um : float
        Height of the white line above the pre-edge (1/µm of the Li-rich oxide).
    source : str
    """

    name: str
    element: str
    edge_ev: tuple[float, ...]
    window_ev: tuple[float, float]
    zones: tuple[tuple[float, float, float], ...]
    species: tuple[Species, ...] = ()
    peak_per_um: float = 0.0
    source: str = ""

    @property
    def l3_max_ev(self) -> dict[str, float]:
        """Energy of the L3 maximum of each species that has one (eV)."""
        return {s.name: s.maximum_ev for s in self.species if s.maximum_ev is not None}

    def energies(self) -> list[float]:
        """Energies of a stack (eV), strictly increasing, rounded to 1 meV."""
        values: set[float] = set()
        for start, stop, step in self.zones:
            n = round((stop - start) / step)
            values.update(np.round(np.linspace(start, stop, n + 1), 3).tolist())
        return sorted(values)


def _edge(name: str, raw: dict[str, Any]) -> Edge:
    species = tuple(
        Species(**{**s, "peaks": tuple(tuple(map(float, p)) for p in s.get("peaks", ()))})
        for s in raw["species"]
    )
    low, high = raw["window"]
    return Edge(
        name=name,
        element=raw["element"],
        edge_ev=tuple(raw["edge_ev"]),
        window_ev=(low, high),
        zones=tuple((a, b, c) for a, b, c in raw["zones"]),
        species=species,
        peak_per_um=raw.get("peak_per_um", 0.0),
        source=" ".join(raw["source"].split()),
    )


@cache
def _load() -> dict[str, Edge]:
    text = resources.files(__package__).joinpath("edges.yaml").read_text(encoding="utf-8")
    return {name: _edge(name, raw) for name, raw in yaml.safe_load(text).items()}


EDGES: dict[str, Edge] = _load()


def get_edge(name: str) -> Edge:
    """Look an edge up by its name.

    Parameters
    ----------
    name : str
        For instance ``"Mn L3"``.

    Raises
    ------
    ValueError
        The edge is not known; the message names the nearest one and lists all. Names are
        taken as written: they go into documents.
    """
    try:
        return EDGES[name]
    except (KeyError, TypeError):
        raise ValueError(
            f"edge = {name!r} is not known{suggestion(name, EDGES)}; "
            f"known edges: {', '.join(EDGES)}"
        ) from None


def edge_energies(name: str) -> list[float]:
    """Energies of a stack over an edge, in three zones (eV), strictly increasing.

    Parameters
    ----------
    name : str
        For instance ``"Mn L3"``.

    Raises
    ------
    ValueError
        The edge is not known.
    """
    return get_edge(name).energies()
