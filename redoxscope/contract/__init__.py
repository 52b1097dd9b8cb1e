"""The document contract: what runs of this package look like, in one place.

Devices and plans write these keys, callbacks and exporters read them. The prose is in
``docs/reference/documents.md``; this package holds what code needs.
"""

from ._rixs import (
    NOT_CHOSEN,
    PHOTON_KEYS,
    PHOTON_STREAM,
    POINT_KEYS,
    TOTAL_KEYS,
    TOTALS_STREAM,
    Bins,
    point_of,
    validate_rixs_run,
)
from ._stack import (
    CONTRACT_VERSION,
    LINE_KEYS,
    STREAM,
    LineStatus,
    Raster,
    Region,
    line_of,
    validate_run,
)
from ._window import WINDOW_KINDS, Window

__all__ = [
    "CONTRACT_VERSION",
    "LINE_KEYS",
    "NOT_CHOSEN",
    "PHOTON_KEYS",
    "PHOTON_STREAM",
    "POINT_KEYS",
    "STREAM",
    "TOTALS_STREAM",
    "TOTAL_KEYS",
    "WINDOW_KINDS",
    "Bins",
    "LineStatus",
    "Raster",
    "Region",
    "Window",
    "line_of",
    "point_of",
    "validate_rixs_run",
    "validate_run",
]
