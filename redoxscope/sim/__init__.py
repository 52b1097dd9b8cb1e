"""The simulated beamline: one physical model, and the servers that serve it.

Started by `Simulation` (or ``python -m redoxscope.sim``) as a process of its own; devices,
plans and callbacks never import it.
"""

from ._layout import ENERGY_MOTOR, KEPT, KEPT_OF_COUNTERS, KEPT_OF_GUARDS, Layout
from .dastard import SimulatedDastard
from .ioc import Simulation, check_options, client_environment, isolate_client
from .physics.heated import HeatedSample
from .physics.ptycho import CameraModel, PtychoModel, build_ptycho
from .physics.rixs import RIXS_SAMPLES, RixsModel
from .physics.stxm import SAMPLES, Beam, BeamlineModel, MeasuredStack, build_model, open_sample
from .physics.tes import TesArray
from .process import SimulationError, free_port

__all__ = [
    "ENERGY_MOTOR",
    "KEPT",
    "KEPT_OF_COUNTERS",
    "KEPT_OF_GUARDS",
    "RIXS_SAMPLES",
    "SAMPLES",
    "Beam",
    "BeamlineModel",
    "CameraModel",
    "HeatedSample",
    "Layout",
    "MeasuredStack",
    "PtychoModel",
    "RixsModel",
    "SimulatedDastard",
    "Simulation",
    "SimulationError",
    "TesArray",
    "build_model",
    "build_ptycho",
    "check_options",
    "client_environment",
    "free_port",
    "isolate_client",
    "open_sample",
]
