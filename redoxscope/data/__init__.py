"""Edges and reference spectra, with their sources (see ``PROVENANCE.md`` in this folder)."""

from ._absorption import (
    DENSITY,
    ENERGY_RANGE,
    FORMULA,
    continuum,
    edge_absorption,
    phase_absorption,
)
from ._edges import EDGES, Edge, Species, edge_energies, get_edge
from ._files import references_from_csv, references_from_h5
from ._references import CONDITION_LIMIT, References, load_references

__all__ = [
    "CONDITION_LIMIT",
    "DENSITY",
    "EDGES",
    "ENERGY_RANGE",
    "FORMULA",
    "Edge",
    "References",
    "Species",
    "continuum",
    "edge_absorption",
    "edge_energies",
    "get_edge",
    "load_references",
    "phase_absorption",
    "references_from_csv",
    "references_from_h5",
]
