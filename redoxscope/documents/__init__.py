"""What runs of this package look like in documents: streams, keys, units, start metadata.

Devices and plans write these keys, callbacks and exporters read them. The prose is in
``docs/reference/documents.md``; this package holds what code needs.
"""

from ._frame_status import FrameStatus
from ._json import from_json, json_bytes
from ._ptycho import (
    FRAMES_STREAM,
    PTYCHO,
    PTYCHO_ARRAYS,
    PTYCHO_KEYS,
    PTYCHO_RESERVED,
    BlockFrames,
    PtychoInfo,
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
    IMAGE,
    LINE_ARRAYS,
    LINE_KEYS,
    LINE_UNITS,
    STACK,
    STREAM,
    LineStatus,
)
from ._stack import START_KEYS as STACK_START_KEYS
from ._start import RIXS_RESERVED, STACK_RESERVED, check_metadata, check_session, check_start
from ._thermal import (
    EXPERIMENT,
    HEATING,
    HEATING_RESERVED,
    HEATING_START,
    PHASE_KEYS,
    PHASES,
    RAMP_KEYS,
    RAMP_RESERVED,
    SOAK_KEYS,
    SOAK_STREAM,
    monitor_stream,
    soak_key,
)
from ._tomography import IN_BAND, TOMOGRAPHY
from ._window import WINDOW_KINDS, Window
from ._xas import (
    XAS,
    XAS_KEYS,
    XAS_KINDS,
    XAS_REFERENCE,
    XAS_RESERVED,
    XAS_START,
    XasInfo,
    XasMode,
    sigma_key,
)

__all__ = [
    "CONTRACT_VERSION",
    "EXPERIMENT",
    "FRAMES_STREAM",
    "HEATING",
    "HEATING_RESERVED",
    "HEATING_START",
    "IMAGE",
    "IN_BAND",
    "LINE_ARRAYS",
    "LINE_KEYS",
    "LINE_UNITS",
    "NOT_CHOSEN",
    "PHASES",
    "RAMP_KEYS",
    "RAMP_RESERVED",
    "PHASE_KEYS",
    "PHOTON_KEYS",
    "PHOTON_STREAM",
    "POINT_KEYS",
    "PTYCHO",
    "PTYCHO_ARRAYS",
    "PTYCHO_KEYS",
    "PTYCHO_RESERVED",
    "RIXS_RESERVED",
    "RIXS_START",
    "SOAK_KEYS",
    "SOAK_STREAM",
    "STACK",
    "STACK_RESERVED",
    "STACK_START_KEYS",
    "STREAM",
    "TOMOGRAPHY",
    "TOTALS_STREAM",
    "TOTAL_KEYS",
    "WINDOW_KINDS",
    "XAS",
    "XAS_KEYS",
    "XAS_KINDS",
    "XAS_REFERENCE",
    "XAS_RESERVED",
    "XAS_START",
    "Bins",
    "BlockFrames",
    "FrameStatus",
    "LineStatus",
    "PointStatus",
    "PtychoInfo",
    "Window",
    "XasInfo",
    "XasMode",
    "check_metadata",
    "check_session",
    "check_start",
    "from_json",
    "json_bytes",
    "monitor_stream",
    "sigma_key",
    "soak_key",
]
