"""Area detectors: frames by the number, written by an areaDetector IOC."""

from ._camera import AreaDetectorCamera, camera_class
from ._images import FrameRows
from ._pairing import CountedFrames, paired
from ._plugins import used_pvs
from ._rows import DATASET, NUMBERS, FrameFile

__all__ = [
    "DATASET",
    "NUMBERS",
    "AreaDetectorCamera",
    "CountedFrames",
    "FrameFile",
    "FrameRows",
    "camera_class",
    "paired",
    "used_pvs",
]
