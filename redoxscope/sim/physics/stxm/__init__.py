"""The model of the microscope: sample, beam, optics, stage, counters; or a measured stack."""

from ._aperture import Passing, ring_share
from ._beam import Beam
from ._beamline import GEOMETRY, BeamlineModel
from ._build import SAMPLES, build_model, open_sample
from ._measured import MeasuredStack
from ._primary import Particle, PrimarySample
from ._sample import PhaseSample
from ._stage import Positions

__all__ = [
    "GEOMETRY",
    "SAMPLES",
    "Beam",
    "BeamlineModel",
    "MeasuredStack",
    "Particle",
    "Passing",
    "PhaseSample",
    "Positions",
    "PrimarySample",
    "build_model",
    "open_sample",
    "ring_share",
]
