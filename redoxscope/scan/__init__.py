"""A scan as data: what will be measured, before and after it is.

Regions, energies and dwells become frames (images), points or exposures in an order. Plans measure
a `Scan`, start documents carry it, events name their part of it.
"""

from ._block import Block
from ._energies import Zone, as_zone, energies_of
from ._exposures import exposures_scan
from ._json import SCAN_VERSION
from ._make import points_scan, stack_scan
from ._orders import ORDERS, as_order, bit_reversed
from ._parts import MAX_TIMES, Exposures, Frame, Outer, Point, Role, as_times
from ._ptychography import MAX_DARK_FRAMES, TRAJECTORIES, ptychography_scan
from ._regions import MAX_PIXELS, MAX_RETRIES, Raster, Region, as_region, lines_of
from ._rotation import ROTATION, rotation_angles, rotation_scan
from ._scan import MAX_PARTS, Scan, as_scan
from ._shapes import (
    ZONE_PLATE,
    as_loops,
    centres,
    focus_lines_scan,
    joined,
    line_spectrum_scan,
    point_spectrum_scan,
    steps_scan,
    tiled_scan,
    tiles_of,
)
from ._sweeps import sweeps_of

__all__ = [
    "MAX_DARK_FRAMES",
    "MAX_PARTS",
    "MAX_PIXELS",
    "MAX_RETRIES",
    "MAX_TIMES",
    "ORDERS",
    "ROTATION",
    "SCAN_VERSION",
    "Block",
    "TRAJECTORIES",
    "Exposures",
    "Frame",
    "Outer",
    "Point",
    "Raster",
    "Region",
    "Role",
    "Scan",
    "Zone",
    "as_order",
    "as_region",
    "as_scan",
    "as_times",
    "as_zone",
    "bit_reversed",
    "energies_of",
    "exposures_scan",
    "lines_of",
    "points_scan",
    "ptychography_scan",
    "rotation_angles",
    "rotation_scan",
    "stack_scan",
    "ZONE_PLATE",
    "as_loops",
    "centres",
    "focus_lines_scan",
    "joined",
    "line_spectrum_scan",
    "point_spectrum_scan",
    "steps_scan",
    "tiled_scan",
    "tiles_of",
    "sweeps_of",
]
