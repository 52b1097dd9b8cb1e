"""For tests, a beamline's own included: validators of runs, checks of PVs, detectors that are none.

Nothing here is used at run time.
"""

from ._documents import Documents, make_engine
from ._fly_run import validate_fly_run

__all__ = ["Documents", "make_engine", "validate_fly_run"]
