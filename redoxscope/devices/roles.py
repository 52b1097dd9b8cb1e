"""What an instrument asks of a device that is bound to one of its roles.

All of it can be seen on a class, so a beamline file is checked before any device is made.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, get_type_hints

from ophyd import Component

__all__ = [
    "CameraRole",
    "CounterRole",
    "DetectorRole",
    "DetectorStageRole",
    "EnergyRole",
    "HeaterRole",
    "HolderRole",
    "OSARole",
    "PathRole",
    "PointRole",
    "RingRole",
    "ScannerRole",
    "ShutterRole",
    "StageRole",
    "SweepRole",
    "TimedShutterRole",
    "ZonePlateRole",
    "check_role",
    "lacking",
]


class MotorRole(Protocol):
    """Motor that the interlock can guard, and that says how long a move takes."""

    user_readback: Any
    user_setpoint: Any
    limits: Any
    position: Any

    def set(self, position: float) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...

    def here(self) -> float: ...

    def guard(self, check: Any) -> None: ...

    def check_value(self, position: float) -> None: ...

    def time_to(self, target: float, start: float | None = None) -> float: ...


class EnergyRole(Protocol):
    """Photon energy (eV), with an offset that belongs to an edge."""

    energy: Any
    edge: Any
    offset: Any
    user_offset: Any
    limits: Any
    position: Any
    axes: Any
    pair: Any

    def set(self, energy: float) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...

    def at(self, energy: float) -> bool: ...

    def offset_at(self, edge: str | None) -> float: ...

    def check_value(self, energy: float, *, offset: float | None = None) -> None: ...

    def parameter_limits(self) -> Any: ...

    def time_to(self, target: float, start: float | None = None) -> float: ...

    def back_after(self, error: BaseException) -> Any: ...


class ZonePlateRole(Protocol):
    """Zone plate: its motor along the beam, and its geometry."""

    z: MotorRole
    a0: Any
    geometry: Any

    def check(self, energies: Any, *, sample_z_um: float = 0.0) -> None: ...

    def check_set(self) -> None: ...


class OSARole(Protocol):
    """Order-sorting aperture."""

    x: MotorRole
    y: MotorRole
    z: MotorRole


class DetectorStageRole(Protocol):
    """What moves the detector across the beam."""

    x: MotorRole
    y: MotorRole


class StageRole(Protocol):
    """Coarse and fine sample stage."""

    x: MotorRole
    y: MotorRole
    z: MotorRole
    fine_x: MotorRole
    fine_y: MotorRole


class ScannerRole(Protocol):
    """What `RasterScanner` is."""

    source: Any
    outage: Any

    def attach(self, detectors: Any, scalars: Any, shutter: Any, asked: Any, axes: Any) -> None: ...

    def guard(self, check: Any) -> None: ...

    def prepare(self, raster: Any) -> Any: ...

    def kickoff(self) -> Any: ...

    def trigger(self) -> Any: ...

    def complete(self) -> Any: ...

    def collect_pages(self) -> Any: ...

    def describe_collect(self) -> Any: ...

    def frame_time(self, nx: int, ny: int, dwell: float) -> Any: ...

    def check_free(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self, *, success: bool = False) -> None: ...


class CounterRole(Protocol):
    """Counter of lines and points; what `LineCounter` is."""

    counts: Any
    dwell: Any

    def attach(self, shutter: Any) -> None: ...

    def record_as(self, field: str) -> None: ...

    def trigger(self) -> Any: ...

    def point_time(self, dwell: float | None = None) -> float: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class PointRole(Protocol):
    """Detector that measures once when it is triggered, of whatever class."""

    def trigger(self) -> Any: ...

    def read(self) -> Any: ...

    def describe(self) -> Any: ...


class RingRole(Protocol):
    """Stored current (mA)."""

    field: str
    current: Any


class SweepRole(Protocol):
    """Flies lines of a spectrum; what `EnergySweep` is."""

    energy: Any
    max_points: Any

    def check_line(self, line: Any) -> None: ...

    def set(self, line: Any) -> Any: ...

    def time_to(self, line: Any) -> float: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self, *, success: bool = False) -> None: ...


class ShutterRole(Protocol):
    """What lets the beam in; `ScanShutter`, and what plans and the session ask of it."""

    status: Any
    mode: Any
    blade: Any
    told_to_follow: bool
    follows: bool
    interrupted: bool
    is_open: bool
    takes_beam: bool

    def set(self, value: str | int) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...

    def following(self) -> Any: ...

    def check_free(self) -> None: ...

    def check_open_time(self, seconds: float, what: str) -> None: ...

    def check_holds(self) -> None: ...

    def disown(self) -> None: ...


class TimedShutterRole(ShutterRole, Protocol):
    """Shutter that can be held open for a point, and closes by itself."""

    command: Any
    dead_man: Any


class HolderRole(Protocol):
    """Several samples, one of them in the beam."""

    target: Any
    readback: Any
    samples: Any
    position: Any

    def set(self, sample: str) -> Any: ...

    def check_value(self, sample: str) -> None: ...


class HeaterRole(Protocol):
    """Temperature (degC) that is ramped to, soaked at, and made safe; what `HeatingStage` is."""

    temperature: Any
    setpoint: Any
    output: Any
    rate: Any
    tolerance: Any
    settle_s: Any
    slope_limit: Any
    limits: Any
    position: Any

    def set(self, temperature: float) -> Any: ...

    def soak(self, seconds: float, timeout: float | None = None) -> Any: ...

    def check_value(self, temperature: float) -> None: ...

    def check_rate(self, rate: float) -> float: ...

    def time_to(
        self, target: float, start: float | None = None, rate: float | None = None
    ) -> float: ...

    def stop(self, *, success: bool = False) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def make_safe(self) -> Any: ...

    def back_after(self, error: BaseException) -> Any: ...


class CameraRole(Protocol):
    """Area detector that takes frames by the number, and finds them; `AreaDetectorCamera`."""

    shape: Any
    frames: int

    def check_exposures(self, exposures: Any) -> None: ...

    def stage(self) -> Any: ...

    def unstage(self) -> Any: ...

    def arm(self, n: int, gate: str = "external") -> Any: ...

    def count(self, over: Any = None, patience: float = 5.0) -> Any: ...

    def signals(self) -> Any: ...

    def pause(self) -> None: ...

    def stop(self, *, success: bool = False) -> None: ...


class PathRole(Protocol):
    """Visits places, and gates a camera at each; what `PathScanner` is."""

    flown: Any
    most_frames: int

    def check_free(self) -> None: ...

    def check_path(self, places: int, times: Any) -> None: ...

    def time_to(self, places: int, times: Any, settle: float) -> float: ...

    def load(self, x: Any, y: Any, times: Any, settle: float) -> Any: ...

    def fly(self, frames: int, seconds: float) -> Any: ...

    def signals(self) -> Any: ...

    def end_left(self) -> Any: ...

    def stop(self, *, success: bool = False) -> None: ...


class DetectorRole(Protocol):
    """What `TES` is: a point is a window in photon time."""

    dwell: Any
    windows: Any
    pixel_limit: Any
    calibrating: Any
    counters: Any

    def attach(self) -> None: ...

    def connect(self, timeout: float = 10.0) -> None: ...

    def check_scan(self) -> None: ...

    def set_calibration(self, calibration: Any) -> None: ...

    def trigger(self) -> Any: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def stop(self, *, success: bool = False) -> None: ...

    def back_after(self, error: BaseException) -> Any: ...


def lacking(role: type, cls: type) -> list[str]:
    """What a device class lacks for a role, by attribute; of its parts as ``z.guard``.

    Parameters
    ----------
    role : type
        One of the protocols of this module.
    cls : type
        Device class; nothing is made of it.
    """
    return list(_lacking(role, cls))


def _lacking(role: type, cls: type) -> Iterator[str]:
    hints = get_type_hints(role)
    for name in _members(role):
        found = getattr(cls, name, None)
        if found is None and name not in _may_be_none(cls):
            yield name
        elif isinstance(found, Component) and getattr(hints.get(name), "_is_protocol", False):
            yield from (f"{name}.{part}" for part in _lacking(hints[name], found.cls))


def _members(role: type) -> list[str]:
    """Public names of a protocol, in the order in which they are written."""
    found: dict[str, None] = {}
    for cls in reversed(role.__mro__):
        if getattr(cls, "_is_protocol", False) and cls is not Protocol:
            own = [*cls.__dict__.get("__annotations__", {}), *cls.__dict__]
            found |= dict.fromkeys(name for name in own if not name.startswith("_"))
    return list(found)


def _may_be_none(cls: type) -> set[str]:
    """Attributes that a class has although they are None."""
    return {name for base in cls.__mro__ for name in vars(base)}


def check_role(owner: str, key: str, part: Any, role: type) -> None:
    """Refuse a device that lacks what its role asks for.

    Parameters
    ----------
    owner, key : str
        Of whom it would be which part, for the message.
    part : object
    role : type
        One of the protocols of this module.

    Raises
    ------
    TypeError
        Names owner, part, device, its class and what is missing.
    """
    missing = lacking(role, type(part))
    if missing:
        raise TypeError(
            f"{owner}.{key}: {getattr(part, 'name', part)!r} ({type(part).__name__}) has no "
            f"{', '.join(missing)}"
        )
