"""Callbacks: documents in, maps and files out."""

from ._batch import i0_of_run, oxidation_map, oxidation_maps
from ._document_log import CorruptLog, DocumentLog, DocumentLogError, read_log
from ._draw import draw
from ._oxidation_map import OxidationMap
from ._snapshot import Doubt, Frame, Snapshot
from ._view import MapView
from .rixs import (
    PixelHealth,
    PixelState,
    RixsMap,
    RixsSnapshot,
    draw_rixs,
    photons_of_run,
    rixs_from_photons,
    rixs_from_run,
    rixs_snapshot,
)

__all__ = [
    "CorruptLog",
    "DocumentLog",
    "DocumentLogError",
    "Doubt",
    "Frame",
    "MapView",
    "OxidationMap",
    "PixelHealth",
    "PixelState",
    "RixsMap",
    "RixsSnapshot",
    "Snapshot",
    "draw",
    "draw_rixs",
    "i0_of_run",
    "oxidation_map",
    "oxidation_maps",
    "photons_of_run",
    "read_log",
    "rixs_from_photons",
    "rixs_from_run",
    "rixs_snapshot",
]
