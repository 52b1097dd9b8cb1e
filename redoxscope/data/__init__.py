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
from ._emission import Line, LineTable, load_lines, mixture_lines
from ._files import references_from_csv, references_from_h5
from ._given import as_references
from ._inverse_channels import channel_absorption, window_problems
from ._references import CONDITION_LIMIT, References, UndeterminedError, load_references
from ._rixs import (
    Clash,
    FeatureRange,
    RixsPreset,
    load_windows,
    rixs_edges,
    rixs_preset,
    save_windows,
)
from ._text import FileError, YamlText, parse_yaml, read_text
from ._xas import XasPreset, xas_edges, xas_preset

__all__ = [
    "CONDITION_LIMIT",
    "DENSITY",
    "EDGES",
    "ENERGY_RANGE",
    "FORMULA",
    "Clash",
    "Edge",
    "FeatureRange",
    "FileError",
    "Line",
    "LineTable",
    "References",
    "RixsPreset",
    "Species",
    "UndeterminedError",
    "XasPreset",
    "YamlText",
    "as_references",
    "channel_absorption",
    "continuum",
    "edge_absorption",
    "edge_energies",
    "load_lines",
    "get_edge",
    "load_references",
    "mixture_lines",
    "load_windows",
    "parse_yaml",
    "phase_absorption",
    "read_text",
    "references_from_csv",
    "references_from_h5",
    "rixs_edges",
    "rixs_preset",
    "save_windows",
    "window_problems",
    "xas_edges",
    "xas_preset",
]
