"""Files with frames of ptychography, of whatever program: merged, reconstructed, drawn."""

from ._process import process, reconstruct

__all__ = ["process", "reconstruct"]
