"""Callbacks: documents in, maps and files out."""

from ._batch import i0_of_run, oxidation_map, oxidation_maps
from ._document_log import CorruptLog, DocumentLog, DocumentLogError, read_log
from ._draw import draw
from ._draw_rixs import draw_rixs
from ._oxidation_map import OxidationMap
from ._rixs_batch import photons_of_run, rixs_from_photons, rixs_from_run
from ._rixs_map import RixsMap
from ._rixs_pixels import PixelHealth, PixelState
from ._rixs_results import rixs_snapshot
from ._rixs_snapshot import RixsSnapshot
from ._snapshot import Doubt, Frame, Snapshot
from ._view import MapView

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
