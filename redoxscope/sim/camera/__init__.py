"""The simulated camera: a process that computes frames and writes them.

``python -m redoxscope.sim.camera`` reads orders from standard input and answers on standard
output, a line of JSON each; the IOC starts it.
"""

from ._faults import CAMERA_FAULTS, CameraFaults

__all__ = ["CAMERA_FAULTS", "CameraFaults"]
