"""Ophyd devices of a soft X-ray microscope; one module per part of the instrument."""

from ._azimuthal import AzimuthalProfile
from ._base import BeamlineDevice, DeviceError, suffixes
from ._channels import guard_channels
from ._counter import LineCounter, RingCurrent
from ._gauges import PressureGauge, Thermometer
from ._holder import SampleHolder
from ._line_source import FlownLine, LineLimits, LineListener, LineSource, ScannerState
from ._monochromator import Monochromator
from ._motor import Motor
from ._motor_mono import MotorMonochromator
from ._no_shutter import NoShutter
from ._optics import FocusedEnergy, OrderSortingAperture, ZonePlate
from ._outage import survive_outages
from ._owner import BeamlineBusyError
from ._rga import ResidualGasAnalyser
from ._shutter import Shutter, ShutterMode
from ._stage import DetectorStage, SampleStage
from ._times import FrameTime
from .camera import AreaDetectorCamera
from .fly import FlyCounter, FlyLines, FlyShutter
from .path import PathScanner
from .ptycho import PtychoStation
from .scanner import RasterScanner, StampedLines, flown_by
from .stxm import STXM, Placement
from .tes import TES
from .thermal import (
    Eurotherm2216e,
    HeaterGuard,
    HeatingStage,
    Lakeshore336,
    LinkamT96,
    Soaked,
    heated_by,
)
from .xas import EnergySweep, QuadEM, XASStation

__all__ = [
    "STXM",
    "TES",
    "AreaDetectorCamera",
    "AzimuthalProfile",
    "BeamlineBusyError",
    "BeamlineDevice",
    "DetectorStage",
    "DeviceError",
    "EnergySweep",
    "Eurotherm2216e",
    "FlownLine",
    "FlyCounter",
    "FlyLines",
    "FlyShutter",
    "FocusedEnergy",
    "FrameTime",
    "HeaterGuard",
    "HeatingStage",
    "Lakeshore336",
    "LineCounter",
    "LineLimits",
    "LineListener",
    "LineSource",
    "LinkamT96",
    "Monochromator",
    "Motor",
    "MotorMonochromator",
    "NoShutter",
    "OrderSortingAperture",
    "PathScanner",
    "Placement",
    "PressureGauge",
    "PtychoStation",
    "QuadEM",
    "RasterScanner",
    "ResidualGasAnalyser",
    "RingCurrent",
    "SampleHolder",
    "SampleStage",
    "ScannerState",
    "Shutter",
    "ShutterMode",
    "Soaked",
    "StampedLines",
    "Thermometer",
    "XASStation",
    "ZonePlate",
    "flown_by",
    "guard_channels",
    "heated_by",
    "suffixes",
    "survive_outages",
]
