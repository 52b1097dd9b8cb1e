"""A Dastard server with a simulated array, in a process of its own.

``python -m redoxscope.sim.dastard`` serves; `SimulatedDastard` starts it.
"""

from ._faults import SERVER_FAULTS, ServerFaults
from ._process import SimulatedDastard

__all__ = ["SERVER_FAULTS", "ServerFaults", "SimulatedDastard"]
