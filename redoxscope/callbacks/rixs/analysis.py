"""The RIXS map as an analysis."""

from __future__ import annotations

from .._analysis import Analysis
from ._draw import draw_rixs
from ._reader import RixsOptions, RixsReader, is_rixs
from ._snapshot import RixsSnapshot
from ._stored import results_of

__all__ = ["ANALYSIS"]

ANALYSIS = Analysis(
    name="rixs_map",
    title="RIXS map",
    accepts=is_rixs,
    reader=RixsReader,
    snapshot=RixsSnapshot,
    draw=draw_rixs,
    size=(12.0, 8.6),
    thin=lambda snapshot, most: snapshot.thinned(),
    options=RixsOptions,
    results=results_of,
    period=0.05,
    rest=2.0,
)
