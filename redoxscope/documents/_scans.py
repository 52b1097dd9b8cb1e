"""What scans other than stacks look like: spectra along lines, focus, aperture, detector, tiles."""

from __future__ import annotations

__all__ = [
    "COARSE_IMAGE",
    "DETECTOR_IMAGE",
    "FLOWN_SCANS",
    "FOCUS_SCAN",
    "LINE_SPECTRUM",
    "OSA_FOCUS",
    "OSA_IMAGE",
    "POINT_SPECTRUM",
    "STEPPED_SCANS",
    "STEP_KEYS",
    "TILED_IMAGE",
]

LINE_SPECTRUM = "line_spectrum"
POINT_SPECTRUM = "point_spectrum"
FOCUS_SCAN = "focus_scan"
TILED_IMAGE = "tiled_image"
FLOWN_SCANS = (LINE_SPECTRUM, POINT_SPECTRUM, FOCUS_SCAN, TILED_IMAGE)
"""``plan_name`` of scans whose events are lines, as those of a stack."""

OSA_IMAGE = "osa_image"
OSA_FOCUS = "osa_focus"
DETECTOR_IMAGE = "detector_image"
COARSE_IMAGE = "coarse_image"
STEPPED_SCANS = (OSA_IMAGE, OSA_FOCUS, DETECTOR_IMAGE, COARSE_IMAGE)
"""``plan_name`` of scans whose events are points at which two motors stand still."""

STEP_KEYS = ("point", "point_status", "energy", "ring_current")
"""Data keys of every such point, besides one for each detector and for each axis. ``point`` is an
index into the points of the start document's scan, ``point_status`` a `LineStatus`."""
