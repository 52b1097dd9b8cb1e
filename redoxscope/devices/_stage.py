"""Sample stage: coarse motors, and the fine piezo stage that the scanner drives; the detector's."""

from __future__ import annotations

from ._base import BeamlineDevice, pv
from ._motor import Motor

__all__ = ["DetectorStage", "SampleStage"]


class SampleStage(BeamlineDevice):
    """Coarse x, y, z motors and fine x, y piezos (µm).

    Sample coordinates are coarse plus fine. ``z`` adds to the distance A0 between the OSA
    and the sample: 0 where A0 was determined, positive downstream.
    """

    x = pv(Motor, "X", kind="normal", tolerance=1.0, doc="coarse, µm")
    y = pv(Motor, "Y", kind="normal", tolerance=1.0, doc="coarse, µm")
    z = pv(Motor, "Z", kind="normal", tolerance=1.0, doc="coarse, µm, adds to A0")
    fine_x = pv(Motor, "FineX", kind="normal", tolerance=0.05, doc="piezo, µm")
    fine_y = pv(Motor, "FineY", kind="normal", tolerance=0.05, doc="piezo, µm")


class DetectorStage(BeamlineDevice):
    """Motors (µm) that move the detector behind the sample across the beam."""

    x = pv(Motor, "X", kind="normal", tolerance=1.0, doc="µm")
    y = pv(Motor, "Y", kind="normal", tolerance=1.0, doc="µm")
