"""PVs of the camera and of the plugin that writes its frames, by areaDetector's names."""

# caproto has putters named as their PVs.
# mypy: disable-error-code="no-redef"

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from caproto import ChannelType, SkipWrite
from caproto.server import PVGroup, get_pv_pair_wrapper, pvproperty

from .._pvs import FIELDS

__all__ = ["FRAME_TYPE", "CamPVs", "HDF5PVs", "text"]

pair = get_pv_pair_wrapper()
"""PV that is written, and beside it one with ``_RBV`` that says what was taken."""

ENUM, CHAR = ChannelType.ENUM, ChannelType.CHAR
FRAME_TYPE = "UInt16"
MAX_PATH = 256

NO_YES = ("No", "Yes")
STATES = (
    "Idle", "Acquire", "Readout", "Correct", "Saving", "Aborting", "Error", "Waiting",
    "Initializing", "Disconnected", "Aborted",
)  # fmt: skip
TYPES = (
    "Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64",
)  # fmt: skip


def text(value: Any) -> str:
    """What a client has written into an array of characters."""
    if isinstance(value, str):
        return value.partition("\0")[0]
    return bytes(value).partition(b"\0")[0].decode("utf-8", "replace")


def _setting(check: Callable[[Any, Any], Any] | None = None) -> Any:
    """Putter of a pair that says what was taken; an error keeps what was there."""

    async def put(pv: Any, instance: Any, value: Any) -> Any:
        group = pv.parent
        if group.camera.silent:
            raise SkipWrite
        taken = value if check is None else check(group, value)
        await pv.readback.write(taken, **FIELDS)
        await group.camera.changed(instance.pvname)
        return taken

    return put


def _order(method: str) -> Any:
    """Putter of a pair that makes the camera do something; it completes when that is over."""

    async def put(pv: Any, instance: Any, value: Any) -> Any:
        group = pv.parent
        if group.camera.silent:
            raise SkipWrite
        return await getattr(group.camera, method)(value in (1, instance.enum_strings[1]))

    return put


def _number(low: float, high: float, unit: str = "") -> Callable[[Any, Any], Any]:
    def check(group: Any, value: Any) -> Any:
        if not low <= value <= high:  # NaN too
            raise ValueError(f"{value} {unit} is outside {low:g} to {high:g} {unit}")
        return value

    return check


def _frame_type(group: Any, value: Any) -> Any:
    if (value if isinstance(value, str) else TYPES[int(value)]) != FRAME_TYPE:
        raise ValueError(f"DataType: this camera gives {FRAME_TYPE} only")
    return value


def _path(group: Any, value: Any) -> str:
    path = text(value)
    return path if path.endswith("/") or not path else f"{path}/"


def _enum(name: str, strings: Sequence[str], value: str, put: Any = None) -> Any:
    return pair(
        name=name, value=value, dtype=ENUM, enum_strings=tuple(strings), put=put or _setting()
    )


def _text(name: str, value: str = "", put: Any = None) -> Any:
    return pair(
        name=name, value=value, dtype=CHAR, max_length=MAX_PATH,
        put=put or _setting(lambda group, given: text(given)),
    )  # fmt: skip


def _whole(name: str, value: int, low: int = 0, high: int = 2**31 - 1) -> Any:
    return pair(name=name, value=value, dtype=int, put=_setting(_number(low, high)))


def _read(name: str, value: Any, **kw: Any) -> Any:
    kw = {"dtype": CHAR, "max_length": MAX_PATH, **kw} if isinstance(value, str) else kw
    return pvproperty(name=name, value=value, read_only=True, **kw)


class CamPVs(PVGroup):
    """``cam1:`` of areaDetector, as far as staging, acquiring and reading touch it."""

    acquire = _enum("Acquire", ("Done", "Acquire"), "Done", _order("acquire"))
    busy = pvproperty(
        name="AcquireBusy", value="Done", dtype=ENUM, enum_strings=("Done", "Busy"), read_only=True
    )
    wait_for_plugins = pvproperty(
        name="WaitForPlugins", value="No", dtype=ENUM, enum_strings=NO_YES
    )
    acquire_time = pair(
        name="AcquireTime", value=0.01, units="s", precision=6,
        put=_setting(_number(1e-4, 60.0, "s")),
    )  # fmt: skip
    acquire_period = pair(
        name="AcquirePeriod", value=0.02, units="s", precision=6,
        put=_setting(_number(0.0, 3600.0, "s")),
    )  # fmt: skip
    image_mode = _enum("ImageMode", ("Single", "Multiple", "Continuous"), "Single")
    num_images = _whole("NumImages", 1, 1)
    num_exposures = _whole("NumExposures", 1, 1, 1)
    images_counter = _read("NumImagesCounter_RBV", 0, dtype=int)
    trigger_mode = _enum("TriggerMode", ("Internal", "External"), "Internal")
    array_callbacks = _enum("ArrayCallbacks", ("Disable", "Enable"), "Enable")
    array_counter = _whole("ArrayCounter", 0)
    data_type = _enum("DataType", TYPES, FRAME_TYPE, _setting(_frame_type))
    data_type_off = _read("DataType_RBV.DISA", 0, dtype=int)
    color_mode = _enum("ColorMode", ("Mono", "Bayer", "RGB1"), "Mono")
    size_x = _whole("SizeX", 256, 1)
    size_y = _whole("SizeY", 256, 1)
    min_x = _whole("MinX", 0)
    min_y = _whole("MinY", 0)
    max_size_x = _read("MaxSizeX_RBV", 256, dtype=int)
    max_size_y = _read("MaxSizeY_RBV", 256, dtype=int)
    array_size_x = _read("ArraySizeX_RBV", 256, dtype=int)
    array_size_y = _read("ArraySizeY_RBV", 256, dtype=int)
    array_size_z = _read("ArraySizeZ_RBV", 0, dtype=int)
    state = pvproperty(
        name="DetectorState_RBV", value="Idle", dtype=ENUM, enum_strings=STATES, read_only=True
    )
    message = _read("StatusMessage_RBV", "")
    manufacturer = _read("Manufacturer_RBV", "redoxscope", dtype=ChannelType.STRING, max_length=1)
    model = _read("Model_RBV", "simulated camera", dtype=ChannelType.STRING, max_length=1)
    port = _read("PortName_RBV", "CAM", dtype=ChannelType.STRING, max_length=1)

    def __init__(self, *args: Any, camera: Any, **kw: Any):
        super().__init__(*args, **kw)
        self.camera = camera


class HDF5PVs(PVGroup):
    """``HDF1:`` of areaDetector: the plugin NDFileHDF5."""

    callbacks = _enum("EnableCallbacks", ("Disable", "Enable"), "Disable")
    blocking = _enum("BlockingCallbacks", NO_YES, "No")
    array_counter = _whole("ArrayCounter", 0)
    dropped = _whole("DroppedArrays", 0)
    unique_id = _read("UniqueId_RBV", 0, dtype=int)
    auto_increment = _enum("AutoIncrement", NO_YES, "No")
    auto_save = _enum("AutoSave", NO_YES, "No")
    num_capture = _whole("NumCapture", 1)
    num_captured = _read("NumCaptured_RBV", 0, dtype=int)
    write_mode = _enum("FileWriteMode", ("Single", "Capture", "Stream"), "Single")
    capture = _enum("Capture", ("Done", "Capture"), "Done", _order("capture"))
    file_path = _text("FilePath", put=_setting(_path))
    file_path_exists = pvproperty(
        name="FilePathExists_RBV", value="No", dtype=ENUM, enum_strings=NO_YES, read_only=True
    )
    create_directory = pair(name="CreateDirectory", value=0, dtype=int, put=_setting())
    file_name = _text("FileName", "frames")
    file_number = _whole("FileNumber", 0)
    file_template = _text("FileTemplate", "%s%s_%6.6d.h5")
    full_file_name = _read("FullFileName_RBV", "")
    write_status = pvproperty(
        name="WriteStatus", value="Write OK", dtype=ENUM, enum_strings=("Write OK", "Write error"),
        read_only=True,
    )  # fmt: skip
    write_message = _read("WriteMessage", "")
    lazy_open = _enum("LazyOpen", NO_YES, "No")
    swmr_mode = _enum("SWMRMode", ("Off", "On"), "Off")
    swmr_active = pvproperty(
        name="SWMRActive_RBV", value="Off", dtype=ENUM, enum_strings=("Off", "Active"),
        read_only=True,
    )  # fmt: skip
    flush_frames = _whole("NumFramesFlush", 1)
    flush_now = pvproperty(name="FlushNow", value=0, dtype=int)
    array_port = pair(name="NDArrayPort", value="CAM", dtype=ChannelType.STRING, put=_setting())
    port = _read("PortName_RBV", "HDF1", dtype=ChannelType.STRING, max_length=1)
    plugin_type = _read(
        "PluginType_RBV", "NDFileHDF5 ver1.10.1", dtype=ChannelType.STRING, max_length=1
    )
    array_size_0 = _read("ArraySize0_RBV", 256, dtype=int)
    array_size_1 = _read("ArraySize1_RBV", 256, dtype=int)
    array_size_2 = _read("ArraySize2_RBV", 0, dtype=int)

    def __init__(self, *args: Any, camera: Any, **kw: Any):
        super().__init__(*args, **kw)
        self.camera = camera

    @flush_now.putter
    async def flush_now(self, instance: Any, value: Any) -> int:
        if value and not self.camera.silent:
            await self.camera.flush()
        return 0
