"""Files that an array of microcalorimeters and a beamline left: calibrated, binned, drawn."""

from ._process import process

__all__ = ["process"]
