"""Ptychography: frames of overlapping places, taken in blocks."""

from ._blocks import TakesBlocks
from ._detector import FrameNumbers, FrameSettings, object_pixel, probe_diameter
from ._reach import placed_part
from ._station import PtychoStation
from ._taken import TakenBlock, judged

__all__ = [
    "FrameNumbers",
    "FrameSettings",
    "PtychoStation",
    "TakenBlock",
    "TakesBlocks",
    "judged",
    "object_pixel",
    "placed_part",
    "probe_diameter",
]
