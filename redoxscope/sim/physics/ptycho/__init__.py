"""The model of ptychography: the sample's complex wave, the probe, the camera."""

from ._build import build_ptycho
from ._camera import CameraModel
from ._model import Grid, ParticleTruth, PtychoModel

__all__ = ["CameraModel", "Grid", "ParticleTruth", "PtychoModel", "build_ptycho"]
