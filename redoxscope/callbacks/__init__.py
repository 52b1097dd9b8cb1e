"""Callbacks: documents in, maps and files out."""

from ._batch import oxidation_map
from ._document_log import CorruptLog, DocumentLog, DocumentLogError, read_log
from ._draw import draw
from ._oxidation_map import OxidationMap
from ._snapshot import Snapshot
from ._view import MapView

__all__ = [
    "CorruptLog",
    "DocumentLog",
    "DocumentLogError",
    "MapView",
    "OxidationMap",
    "Snapshot",
    "draw",
    "oxidation_map",
    "read_log",
]
