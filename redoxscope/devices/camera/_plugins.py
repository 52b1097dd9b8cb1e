"""Driver and HDF5 writer of areaDetector: ophyd's classes, and of their PVs those that are used.

ophyd's classes connect a PV when it is first asked for. What is used here connects with the
device, so that what does not answer is named before a run.
"""

from __future__ import annotations

from typing import Any

from ophyd import Component as Cpt
from ophyd import EpicsSignalRO, EpicsSignalWithRBV
from ophyd.areadetector.cam import CamBase
from ophyd.areadetector.plugins import HDF5Plugin

__all__ = ["CameraDriver", "FrameWriter", "used_pvs"]


def _both(suffix: str, doc: str, *, kind: str = "omitted", string: bool = False) -> Any:
    return Cpt(EpicsSignalWithRBV, suffix, kind=kind, doc=doc, auto_monitor=True, string=string)


def _says(suffix: str, doc: str, *, kind: str = "omitted", string: bool = False) -> Any:
    return Cpt(EpicsSignalRO, suffix, kind=kind, doc=doc, auto_monitor=True, string=string)


class _Unstaged:
    """The camera stages both: ophyd's own way writes other settings, and asks for further PVs."""

    def stage(self) -> list[object]:
        return [self]

    def unstage(self) -> list[object]:
        return [self]


class CameraDriver(_Unstaged, CamBase):
    """What takes the frames: plugin ``cam1:``."""

    acquire = _both("Acquire", "1 while it takes frames, or waits for the gate")
    acquire_time = _both("AcquireTime", "exposure, s", kind="config")
    acquire_period = _both("AcquirePeriod", "between frames, s", kind="config")
    image_mode = _both("ImageMode", "1: a number of frames", kind="config")
    num_images = _both("NumImages", "frames of an acquisition")
    num_exposures = _both("NumExposures", "exposures in one frame", kind="config")
    trigger_mode = _both("TriggerMode", "what begins a frame", kind="config", string=True)
    array_callbacks = _both("ArrayCallbacks", "1: the plugins get the frames")
    array_counter = _both("ArrayCounter", "number of the last frame")
    columns = _says("ArraySizeX_RBV", "pixels of a row", kind="config")
    rows = _says("ArraySizeY_RBV", "rows of a frame", kind="config")
    data_type = _says("DataType_RBV", "of a pixel", kind="config", string=True)
    manufacturer = _says("Manufacturer_RBV", "who made it", kind="config", string=True)
    model = _says("Model_RBV", "which it is", kind="config", string=True)
    port_name = _says("PortName_RBV", "asyn port", string=True)


class FrameWriter(_Unstaged, HDF5Plugin):
    """What writes them: plugin ``HDF1:``."""

    enable = _both("EnableCallbacks", "1: it gets the frames")
    blocking_callbacks = _both("BlockingCallbacks", "0: it never holds up the camera")
    nd_array_port = _both("NDArrayPort", "asyn port that it gets them from", string=True)
    plugin_type = _says("PluginType_RBV", "its class", string=True)
    width = _says("ArraySize0_RBV", "pixels of a row that it has seen")
    height = _says("ArraySize1_RBV", "rows that it has seen")
    file_path = _both("FilePath", "folder, as its machine sees it", string=True)
    file_name = _both("FileName", "start of the name", string=True)
    file_template = _both("FileTemplate", "of folder, name and number", string=True)
    file_path_exists = _says("FilePathExists_RBV", "1 where the folder is there")
    create_directory = _both("CreateDirectory", "folders to make, a negative number")
    file_write_mode = _both("FileWriteMode", "2: one file for a run")
    auto_increment = _both("AutoIncrement", "1: the number grows")
    num_capture = _both("NumCapture", "frames of a file, 0: until it is closed")
    capture = _both("Capture", "1 while the file is open")
    num_captured = _says("NumCaptured_RBV", "frames written")
    full_file_name = _says("FullFileName_RBV", "the file", kind="config", string=True)
    swmr_mode = _both("SWMRMode", "1: it can be read while it grows")
    lazy_open = _both("LazyOpen", "0: the file is made at once")
    num_frames_flush = _both("NumFramesFlush", "frames between two flushes")
    dropped_arrays = _both("DroppedArrays", "frames that it could not take")
    write_status = _says("WriteStatus", "1: it cannot write")
    write_message = _says("WriteMessage", "why", string=True)


def used_pvs() -> list[str]:
    """What is used of both, by the names that areaDetector gives them: ``cam1:Acquire``."""
    found = []
    for plugin, cls in (("cam1:", CameraDriver), ("HDF1:", FrameWriter)):
        parts = (getattr(cls, name) for name in cls.component_names)
        found += [plugin + part.suffix for part in parts if part.suffix and not part.lazy]
    return found
