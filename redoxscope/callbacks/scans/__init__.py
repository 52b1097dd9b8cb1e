"""Pictures of scans that are no stacks: counts against the two axes that vary."""

from ._batch import scans_from_run
from ._draw import draw_scan
from ._layout import pictures_of
from ._snapshot import ScanSnapshot

__all__ = ["ScanSnapshot", "draw_scan", "pictures_of", "scans_from_run"]
