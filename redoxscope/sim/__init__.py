"""The simulated beamline: one physical model, and the servers that serve it.

Started by `Simulation` (or ``python -m redoxscope.sim``) as a process of its own; devices,
plans and callbacks never import it.
"""

from ._model import SAMPLES, BeamlineModel, MeasuredStack, build_model, open_sample
from ._process import Simulation, SimulationError, client_environment, free_port

__all__ = [
    "SAMPLES",
    "BeamlineModel",
    "MeasuredStack",
    "Simulation",
    "SimulationError",
    "build_model",
    "client_environment",
    "free_port",
    "open_sample",
]
