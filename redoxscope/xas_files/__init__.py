"""Files with absorption spectra: normalised, aligned, their edges found, compared, drawn."""

from ._process import process

__all__ = ["process"]
