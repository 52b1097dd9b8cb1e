"""The FLY contract of the ALS's caproto IOCs: lines, counters and shutter of other controllers.

Facts of the contract: ``docs/reference/pvs.md``. Times are milliseconds there, seconds here:
`_units` is the one place where one becomes the other.
"""

from ._counter import FlyCounter
from ._lines import FlyLines
from ._shutter import FlyShutter

__all__ = ["FlyCounter", "FlyLines", "FlyShutter"]
