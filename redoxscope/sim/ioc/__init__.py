"""The IOC of the simulated beamline, in a process of its own.

``python -m redoxscope.sim`` serves; `Simulation` starts it. Only the process that serves imports
caproto.
"""

from ._faults import FAULTS, Faults
from ._fly_faults import FLY_FAULTS, FlyFaults
from ._heat_faults import HEAT_FAULTS, HeatFaults
from ._process import (
    Simulation,
    check_options,
    client_environment,
    isolate_client,
    point_client,
)

__all__ = [
    "FAULTS",
    "FLY_FAULTS",
    "HEAT_FAULTS",
    "Faults",
    "FlyFaults",
    "HeatFaults",
    "Simulation",
    "check_options",
    "client_environment",
    "isolate_client",
    "point_client",
]
