"""RIXS: points and photons in, the excitation x emission map with its yields out."""

from ._batch import photons_of_run, rixs_from_photons, rixs_from_run
from ._draw import draw_rixs
from ._map import RixsMap
from ._pixels import PixelHealth, PixelState
from ._results import rixs_snapshot
from ._snapshot import RixsSnapshot

__all__ = [
    "PixelHealth",
    "PixelState",
    "RixsMap",
    "RixsSnapshot",
    "draw_rixs",
    "photons_of_run",
    "rixs_from_photons",
    "rixs_from_run",
    "rixs_snapshot",
]
