"""Ptychography as an analysis."""

from __future__ import annotations

from .._analysis import Analysis
from ._draw import draw_ptychography
from ._options import PtychoOptions
from ._reader import PtychoReader, is_ptychography
from ._snapshot import PtychoSnapshot
from ._stored import results_of

__all__ = ["ANALYSIS"]

ANALYSIS = Analysis(
    name="ptychography",
    title="ptychography",
    accepts=is_ptychography,
    reader=PtychoReader,
    snapshot=PtychoSnapshot,
    draw=draw_ptychography,
    size=(11.0, 7.6),
    thin=PtychoSnapshot.thinned,
    options=PtychoOptions,
    doubts=lambda snapshot: snapshot.doubts,
    results=results_of,
    period=0.5,
    rest=3.0,
    apart=True,
)
