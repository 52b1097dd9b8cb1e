"""Absorption spectra as an analysis."""

from __future__ import annotations

from .._analysis import Analysis
from ._draw import draw_xas
from ._reader import XasOptions, XasReader, is_xas
from ._snapshot import XasSnapshot
from ._stored import results_of

__all__ = ["ANALYSIS"]

ANALYSIS = Analysis(
    name="xas",
    title="absorption spectra",
    accepts=is_xas,
    reader=XasReader,
    snapshot=XasSnapshot,
    draw=draw_xas,
    size=(8.5, 7.0),
    options=XasOptions,
    results=results_of,
    period=0.05,
    rest=2.0,
)
