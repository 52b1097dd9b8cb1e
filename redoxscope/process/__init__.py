"""Files of a microcalorimeter array and the logs of a beamline: calibrated, binned, drawn."""

from ._process import process

__all__ = ["process"]
