"""The raster scanner: how a source comes to fly lines, and what becomes of the lines that come."""

from ._scanner import RasterScanner, flown_by
from ._stamped import StampedLines

__all__ = ["RasterScanner", "StampedLines", "flown_by"]
