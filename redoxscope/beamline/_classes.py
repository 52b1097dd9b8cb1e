"""Device classes that a beamline file can name: ours by a short name, any other by its path."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from ophyd import Device
from ophyd.ophydobj import OphydObject

from ..devices import (
    TES,
    AreaDetectorCamera,
    DetectorStage,
    EnergySweep,
    Eurotherm2216e,
    FlyCounter,
    FlyLines,
    FlyShutter,
    HeaterGuard,
    Lakeshore336,
    LineCounter,
    LinkamT96,
    Monochromator,
    Motor,
    MotorMonochromator,
    OrderSortingAperture,
    PathScanner,
    PressureGauge,
    QuadEM,
    RasterScanner,
    ResidualGasAnalyser,
    RingCurrent,
    SampleHolder,
    SampleStage,
    Shutter,
    StampedLines,
    Thermometer,
    ZonePlate,
    flown_by,
    heated_by,
)
from ..devices.camera import camera_class
from ..inputs import suggestion
from ._options import (
    AreaDetectorOptions,
    CounterOptions,
    DeviceOptions,
    EnergySweepOptions,
    FlyCounterOptions,
    FlyScannerOptions,
    HeaterOptions,
    LakeshoreOptions,
    MonochromatorOptions,
    MotorMonochromatorOptions,
    MotorOptions,
    QuadEMOptions,
    RGAOptions,
    Strict,
    TESOptions,
    ZonePlateOptions,
)

__all__ = ["GROUP", "OWN", "OwnClass", "find_class"]

GROUP = "redoxscope.devices"
"""Entry points by which a package gives its device classes short names."""


def _plain(cls: Any, prefix: str, name: str, options: Any) -> Any:
    return cls(prefix, name=name, pvs=options.pvs, **options.keywords())


def _motor(cls: Any, prefix: str, name: str, options: Any) -> Any:
    return cls(prefix, name=name, **options.keywords())


def _camera(cls: Any, prefix: str, name: str, options: AreaDetectorOptions) -> Any:
    made = camera_class(options.cam, options.hdf)
    return made(
        prefix,
        name=name,
        path=options.path,
        read_path=options.read_path,
        external=options.external,
        internal=options.internal,
        readout=options.readout,
        time_limit=options.time_limit,
    )


def _scanner(cls: Any, prefix: str, name: str, options: Any) -> Any:
    return flown_by(StampedLines, pvs=options.pvs)(prefix, name=name)


def _fly_scanner(cls: Any, prefix: str, name: str, options: FlyScannerOptions) -> Any:
    given = options.keywords()
    given["axis_label"] = given.pop("axis")
    return flown_by(FlyLines, pvs=options.pvs, **given)(prefix, name=name)


def _tes(cls: Any, prefix: str, name: str, options: TESOptions) -> Any:
    tes = TES(
        name=name,
        host=options.host,
        port=options.port,
        backend=options.backend,
        scan_server_port=options.scan_server_port,
        source=options.source,
    )
    tes.write_path.put(options.path)
    tes.lateness.put(options.lateness)
    tes.time_scale.put(options.time_scale)
    return tes


def _heater(cls: Any, prefix: str, name: str, options: HeaterOptions) -> Any:
    controller = cls.controller.cls
    own = {"range": options.range} if isinstance(options, LakeshoreOptions) else {}
    made = heated_by(controller, guarded=options.guard, pvs=options.pvs, **own)
    return made(prefix, name=name, **options.keywords())


@dataclass(frozen=True)
class OwnClass:
    """A class of ours: its options are checked one by one.

    Parameters
    ----------
    cls : type
        What it is to those who use it.
    options : type
        Its keys in the file.
    make : callable
        ``make(cls, prefix, name, options)``.
    parts : tuple of type
        What has its PVs, where that are parts of it: of a scanner what flies its lines.
    """

    cls: type
    options: type[Strict] = DeviceOptions
    make: Callable[[Any, str, str, Any], Any] = _plain
    parts: tuple[type, ...] = ()


FLY_SCANNER = flown_by(FlyLines)


def _heated(controller: type, options: type[HeaterOptions] = HeaterOptions) -> OwnClass:
    return OwnClass(heated_by(controller), options, _heater, (controller, HeaterGuard))


OWN: Mapping[str, OwnClass] = {
    "monochromator": OwnClass(Monochromator, MonochromatorOptions),
    "motor_monochromator": OwnClass(MotorMonochromator, MotorMonochromatorOptions),
    "zone_plate": OwnClass(ZonePlate, ZonePlateOptions),
    "osa": OwnClass(OrderSortingAperture),
    "sample_stage": OwnClass(SampleStage),
    "detector_stage": OwnClass(DetectorStage),
    "scanner": OwnClass(RasterScanner, make=_scanner, parts=(StampedLines,)),
    "fly_scanner": OwnClass(FLY_SCANNER, FlyScannerOptions, _fly_scanner, (FlyLines,)),
    "counter": OwnClass(LineCounter, CounterOptions),
    "fly_counter": OwnClass(FlyCounter, FlyCounterOptions),
    "energy_sweep": OwnClass(EnergySweep, EnergySweepOptions),
    "quadem": OwnClass(QuadEM, QuadEMOptions),
    "ring_current": OwnClass(RingCurrent),
    "shutter": OwnClass(Shutter),
    "fly_shutter": OwnClass(FlyShutter),
    "sample_holder": OwnClass(SampleHolder),
    "motor": OwnClass(Motor, MotorOptions, _motor),
    "pressure_gauge": OwnClass(PressureGauge),
    "thermometer": OwnClass(Thermometer),
    "area_detector": OwnClass(AreaDetectorCamera, AreaDetectorOptions, _camera),
    "path": OwnClass(PathScanner),
    "rga": OwnClass(ResidualGasAnalyser, RGAOptions),
    "tes": OwnClass(TES, TESOptions, _tes),
    "lakeshore336": _heated(Lakeshore336, LakeshoreOptions),
    "linkam_t96": _heated(LinkamT96),
    "eurotherm2216e": _heated(Eurotherm2216e),
}
"""Device classes of ours, by their short name."""


def find_class(word: str) -> type:
    """The device class of this name: short, of an entry point, or ``package.module.Class``.

    Raises
    ------
    ValueError
        There is none, its module cannot be imported, or it is no ophyd device. Starts as errors
        of values do, with " = ".
    """
    if word in OWN:
        return OWN[word].cls
    named = {point.name: point for point in entry_points(group=GROUP)}
    if word in named:
        try:
            return _device(word, named[word].load())
        except (ImportError, AttributeError) as exc:
            raise ValueError(f" = {word!r}: {named[word].value} cannot be loaded: {exc}") from exc
    module, _, name = word.replace(":", ".").rpartition(".")
    if not module:
        known = [*OWN, *named]
        hint = suggestion(word, known) or f"; known: {', '.join(known)}"
        raise ValueError(
            f" = {word!r} is neither a class of redoxscope nor the path of an installed one, as "
            f"ophyd.EpicsMotor{hint}"
        )
    try:
        there = import_module(module)
    except (Exception, SystemExit) as exc:  # whatever somebody else's module raises
        raise ValueError(f" = {word!r}: the module {module!r} cannot be imported: {exc}") from exc
    found = getattr(there, name, None)
    if found is None:
        known = [key for key in dir(there) if not key.startswith("_")]
        raise ValueError(
            f" = {word!r}: the module {module!r} has no {name!r}{suggestion(name, known)}"
        )
    return _device(word, found)


def _device(word: str, found: Any) -> type:
    if isinstance(found, type) and issubclass(found, OphydObject):
        if found not in (Device, OphydObject):
            return found
        raise ValueError(f" = {word!r} is the base of all devices, and no device itself")
    what = f"a {type(found).__name__}" if not isinstance(found, type) else "a class"
    raise ValueError(f" = {word!r} is no ophyd device class, but {what}: {found!r}")
