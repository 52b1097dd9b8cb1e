"""A beamline: the file that declares it, its devices, and the instruments bound of them.

Reference: ``docs/reference/beamline-file.md``.
"""

from ._connection import (
    CONNECT_TIMEOUT,
    PVConnectionError,
    connect,
    find_missing,
    has_server,
    missing_pvs,
    walk_pvs,
)
from ._file import BeamlineFile, DeviceEntry, InstrumentEntry
from ._load import (
    ConfigError,
    load_beamline,
    parse_beamline,
    simulated_beamline,
    simulated_fly,
    simulated_heat,
    simulated_text,
)
from ._make import Beamline, make_beamline
from ._options import CatalogOptions

__all__ = [
    "CONNECT_TIMEOUT",
    "Beamline",
    "BeamlineFile",
    "CatalogOptions",
    "ConfigError",
    "DeviceEntry",
    "InstrumentEntry",
    "PVConnectionError",
    "connect",
    "find_missing",
    "has_server",
    "load_beamline",
    "make_beamline",
    "missing_pvs",
    "parse_beamline",
    "simulated_beamline",
    "simulated_fly",
    "simulated_heat",
    "simulated_text",
    "walk_pvs",
]
