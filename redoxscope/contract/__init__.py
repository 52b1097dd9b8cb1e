"""The document contract: what runs of this package look like, in one place.

Devices and plans write these keys, callbacks and exporters read them. The prose is in
``docs/reference/documents.md``; this package holds what code needs.
"""

from ._inputs import (
    as_name,
    as_number,
    as_numbers,
    as_pair,
    as_whole,
    axis_problem,
    is_number,
    nearest,
    plain_number,
    suggestion,
)
from ._rixs import (
    NOT_CHOSEN,
    PHOTON_KEYS,
    PHOTON_STREAM,
    POINT_KEYS,
    RIXS_START,
    TOTAL_KEYS,
    TOTALS_STREAM,
    Bins,
    PointStatus,
)
from ._stack import (
    CONTRACT_VERSION,
    LINE_KEYS,
    STREAM,
    LineStatus,
    line_of,
    validate_run,
)
from ._start import RIXS_RESERVED, STACK_RESERVED, check_metadata, check_session, check_start
from ._window import WINDOW_KINDS, Window

__all__ = [
    "CONTRACT_VERSION",
    "LINE_KEYS",
    "NOT_CHOSEN",
    "PHOTON_KEYS",
    "PHOTON_STREAM",
    "POINT_KEYS",
    "RIXS_RESERVED",
    "RIXS_START",
    "STACK_RESERVED",
    "STREAM",
    "TOTALS_STREAM",
    "TOTAL_KEYS",
    "WINDOW_KINDS",
    "Bins",
    "LineStatus",
    "PointStatus",
    "Window",
    "as_name",
    "as_number",
    "as_numbers",
    "as_pair",
    "as_whole",
    "axis_problem",
    "check_metadata",
    "check_session",
    "check_start",
    "is_number",
    "line_of",
    "nearest",
    "plain_number",
    "suggestion",
    "validate_run",
]
