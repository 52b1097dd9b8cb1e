"""Transition-edge-sensor spectrometer behind a Dastard server."""

from ._client import DastardClient, Projectors
from ._device import TES
from ._errors import DastardError

__all__ = ["TES", "DastardClient", "DastardError", "Projectors"]
