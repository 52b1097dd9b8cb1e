"""The model of the microscope: sample, beam, optics, stage, counters; or a measured stack."""

from ._beam import Beam
from ._beamline import GEOMETRY, BeamlineModel
from ._build import SAMPLES, build_model, open_sample
from ._measured import MeasuredStack

__all__ = [
    "GEOMETRY",
    "SAMPLES",
    "Beam",
    "BeamlineModel",
    "MeasuredStack",
    "build_model",
    "open_sample",
]
