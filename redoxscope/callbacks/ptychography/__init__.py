"""Ptychography: blocks of frames in, images and their map out, while the scan goes on."""

from ._batch import merged_frames, ptychography_from_run
from ._cosmic import CosmicPublisher
from ._draw import draw_ptychography
from ._options import PtychoOptions
from ._profiles import MapProfiles, draw_profiles, profiles_of
from ._snapshot import Pace, PtychoMap, PtychoSnapshot

__all__ = [
    "CosmicPublisher",
    "MapProfiles",
    "Pace",
    "PtychoMap",
    "PtychoOptions",
    "PtychoSnapshot",
    "draw_profiles",
    "draw_ptychography",
    "merged_frames",
    "profiles_of",
    "ptychography_from_run",
]
