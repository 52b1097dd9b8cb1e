"""Keys of a rotation series in documents."""

from __future__ import annotations

__all__ = ["IN_BAND", "TOMOGRAPHY"]

TOMOGRAPHY = "tomography"
"""Key of the start document: ``rotation`` and ``energy`` (names of the devices), ``frame``
(data key of the row in the stream of frames), ``images`` (data key of the frames), ``heater`` (its
name, or None), ``temperature_c`` (degC or None) and ``pixel_size_um`` (µm or None)."""

IN_BAND = "{heater}_in_band"
"""Data key: whether the heater was in band when a frame was taken."""
