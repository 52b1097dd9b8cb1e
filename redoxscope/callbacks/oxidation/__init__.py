"""Oxidation map: lines of images in, fractions with their uncertainty out."""

from .._room import room_for
from ._agglomerates import MapAgglomerates, agglomerates_of, draw_agglomerates
from ._batch import (
    as_i0,
    i0_of_run,
    maps_with,
    oxidation_map,
    oxidation_maps,
    part_of,
    read_stack,
    with_earlier,
)
from ._draw import draw_oxidation
from ._draw_drift import draw_drift
from ._layout import Layout, groups_of, is_stack, layout_of
from ._map import OxidationMap
from ._options import MapOptions
from ._snapshot import Frame, OxidationSnapshot

__all__ = [
    "Frame",
    "Layout",
    "MapAgglomerates",
    "MapOptions",
    "OxidationMap",
    "OxidationSnapshot",
    "agglomerates_of",
    "as_i0",
    "draw_agglomerates",
    "draw_drift",
    "draw_oxidation",
    "groups_of",
    "i0_of_run",
    "is_stack",
    "layout_of",
    "maps_with",
    "oxidation_map",
    "oxidation_maps",
    "part_of",
    "read_stack",
    "room_for",
    "with_earlier",
]
