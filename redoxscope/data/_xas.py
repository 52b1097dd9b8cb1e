"""Absorption presets per edge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from ._presets import load_presets, preset_of

__all__ = ["XasPreset", "xas_edges", "xas_preset"]

Range = tuple[float, float]


@dataclass(frozen=True)
class XasPreset:
    """How to measure an absorption spectrum at an edge, and how to look at it.

    Attributes
    ----------
    edge : str
        For instance ``"Mn L"`` or ``"Ni K"``.
    element : str
    zones : tuple of (float, float, float)
        Start, stop and step of the energy (eV).
    dwell : float
        Time per point (s).
    pre_edge, post_edge : (float, float)
        Where the background is fitted, and where the step is read (eV).
    normalise : {"maximum", "step"}
        To what height spectra are brought by default.
    source : str
    """

    edge: str
    element: str
    zones: tuple[tuple[float, float, float], ...]
    dwell: float
    pre_edge: Range
    post_edge: Range
    normalise: str
    source: str


def _preset(edge: str, raw: Mapping[str, Any]) -> XasPreset:
    (pre_low, pre_high), (post_low, post_high) = raw["pre_edge"], raw["post_edge"]
    return XasPreset(
        edge=edge,
        element=raw["element"],
        zones=tuple((a, b, c) for a, b, c in raw["zones"]),
        dwell=raw["dwell"],
        pre_edge=(pre_low, pre_high),
        post_edge=(post_low, post_high),
        normalise=raw["normalise"],
        source=" ".join(raw["source"].split()),
    )


@cache
def _load() -> dict[str, XasPreset]:
    return load_presets("xas_edges.yaml", _preset)


def xas_edges() -> tuple[str, ...]:
    """Edges that have a preset."""
    return tuple(_load())


def xas_preset(edge: str) -> XasPreset:
    """Look up how a spectrum is measured at an edge.

    Parameters
    ----------
    edge : str
        For instance ``"O K"``, ``"Mn L"`` or ``"Ni K"``.

    Raises
    ------
    ValueError
        There is no preset for the edge; the message lists those that are.
    """
    return preset_of(_load(), edge, "absorption")
