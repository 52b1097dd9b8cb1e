"""Scans that are no stacks, as an analysis."""

from __future__ import annotations

from .._analysis import Analysis
from ._draw import draw_scan
from ._reader import ScanReader, is_scan
from ._snapshot import ScanSnapshot
from ._stored import results_of

__all__ = ["ANALYSIS"]

ANALYSIS = Analysis(
    name="scan_image",
    title="picture of the scan",
    accepts=is_scan,
    reader=ScanReader,
    snapshot=ScanSnapshot,
    draw=draw_scan,
    size=(7.0, 5.5),
    results=results_of,
    period=0.05,
    rest=2.0,
)
