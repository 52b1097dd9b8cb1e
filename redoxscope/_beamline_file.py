"""What a beamline file may say: its keys, their types and limits, and what does not go together.

Reference: ``docs/reference/beamline-file.md``.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ._beamline_values import PV, Micrometres, Prefix, Text, Truth, port_below, quantity, text
from .contract import LINE_KEYS, POINT_KEYS
from .data import get_edge
from .devices import (
    STXM,
    BeamlineDevice,
    FlyCounter,
    FlyLines,
    FlyShutter,
    LineCounter,
    Monochromator,
    MotorMonochromator,
    OrderSortingAperture,
    RingCurrent,
    SampleHolder,
    SampleStage,
    Shutter,
    StampedLines,
    ZonePlate,
    suffixes,
)
from .optics import ZonePlateGeometry

__all__ = [
    "DEVICE_CLASSES",
    "BeamlineConfig",
    "CounterConfig",
    "DeviceConfig",
    "beamline_devices",
    "known_keys",
    "problems",
]

DEVICE_CLASSES: dict[str, dict[str, type[BeamlineDevice]]] = {
    "monochromator": {"redoxscope": Monochromator, "motor": MotorMonochromator},
    "zone_plate": {"redoxscope": ZonePlate},
    "osa": {"redoxscope": OrderSortingAperture},
    "sample_stage": {"redoxscope": SampleStage},
    "scanner": {"redoxscope": StampedLines, "fly": FlyLines},
    "transmission": {"redoxscope": LineCounter, "fly": FlyCounter},
    "i0": {"redoxscope": LineCounter, "fly": FlyCounter},
    "ring": {"redoxscope": RingCurrent},
    "shutter": {"redoxscope": Shutter, "fly": FlyShutter},
    "holder": {"redoxscope": SampleHolder},
}
"""Class of the device behind each key of the file, by its contract."""

OURS: Final = "redoxscope"
"""Contract of docs/reference/pvs.md: where the file says nothing."""
Contract = Literal["redoxscope", "fly"]
_ONLY_FLY = {
    "axis",
    "run_up",
    "min_dwell",
    "max_dwell",
    "overhead",
    "key",
    "dead_time",
    "saturation",
}
"""Options of devices of the FLY contract: of ours, PVs say it."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceConfig(_Strict):
    """PV names of a device: its prefix, and full names for suffixes that differ."""

    prefix: Prefix
    pvs: dict[str, PV] = Field(default_factory=dict)


class CounterConfig(DeviceConfig):
    """Counter gated by the scanner."""

    contract: Contract = OURS
    key: Text | None = Field(None, description="fly: what the FLY group calls it, DATA:{key}")
    dead_time: Annotated[float, quantity("s", at_least=0)] = Field(
        0.0, description="fly: s per count"
    )
    saturation: Annotated[float, quantity("counts/s", at_least=0)] = Field(
        0.0, description="fly: counts/s; 0 = unknown"
    )
    behind_shutter: Truth = Field(True, description="without light when the shutter is closed")


class MonitorConfig(CounterConfig):
    """Beam monitor."""

    behind_shutter: Truth = Field(False, description="without light when the shutter is closed")


class ScannerConfig(DeviceConfig):
    """What flies the lines."""

    contract: Contract = OURS
    axis: Text = Field("x", description="fly: what AXIS calls the fast axis")
    run_up: Annotated[float, quantity("µm", at_least=0)] = Field(0.0, description="fly: µm")
    min_dwell: Annotated[float, quantity("s", above=0)] = Field(1e-4, description="fly: s")
    max_dwell: Annotated[float, quantity("s", above=0)] = Field(10.0, description="fly: s")
    overhead: Annotated[float, quantity("s", at_least=0)] = Field(
        0.05, description="fly: s per line"
    )


class ShutterConfig(DeviceConfig):
    """What lets the beam in."""

    contract: Contract = OURS


class MonochromatorConfig(DeviceConfig):
    """Energy axis."""

    contract: Literal["redoxscope", "motor"] = Field(OURS, description="motor: a record in eV")
    edge_offsets: dict[str, Annotated[float, quantity("eV")]] = Field(
        default_factory=dict, description="eV by edge"
    )
    backlash: Annotated[float, quantity("eV")] = Field(0.0, description="eV; 0 = none")
    tolerance: Annotated[float, quantity("eV", above=0)] = Field(0.02, description="eV")


class ZonePlateConfig(DeviceConfig):
    """Zone plate, with the OSA's pinhole; A0 has no default, it is this microscope's."""

    diameter: Micrometres = Field(description="D, µm")
    outer_zone: Annotated[float, quantity("nm", above=0)] = Field(description="Δr, nm")
    central_stop: Micrometres = Field(description="µm")
    osa_diameter: Micrometres = Field(description="µm")
    a0: Micrometres = Field(description="OSA to sample, µm")
    a1: Annotated[float, quantity("µm/eV", above=0)] | None = Field(
        None, description="µm/eV; default D·Δr/hc"
    )

    def geometry(self) -> ZonePlateGeometry:
        """The geometry of `redoxscope.optics`."""
        a1 = {} if self.a1 is None else {"a1_um_per_ev": self.a1}
        return ZonePlateGeometry(
            diameter_um=self.diameter,
            outer_zone_nm=self.outer_zone,
            central_stop_um=self.central_stop,
            osa_diameter_um=self.osa_diameter,
            a0_um=self.a0,
            **a1,
        )


class TESConfig(_Strict):
    """Microcalorimeter array: where its server answers."""

    host: Text = "127.0.0.1"
    port: Annotated[int, port_below(65531)] = Field(
        5500, description="first of Dastard's five ports"
    )
    backend: Literal["dastard", "scan_server"] = "dastard"
    scan_server_port: Annotated[int, port_below(65535)] = 4000
    source: Text | None = Field(None, description="Dastard's source; default: the resonators")
    path: Annotated[str, BeforeValidator(partial(text, empty=True))] = Field(
        "", description="folder on the server for its files; empty: its own choice"
    )
    time_scale: Annotated[float, quantity("s per s", above=0)] = Field(
        1.0, description="server's s per s; 1 but in a simulation"
    )
    lateness: Annotated[float, quantity("s", above=0)] = Field(
        0.1, description="s after which a point's photons are in"
    )


class CatalogConfig(_Strict):
    """Where runs are kept: a Tiled profile by name."""

    profile: Text = "redoxscope"


class BeamlineConfig(_Strict):
    """A beamline: its devices' PV names and what cannot be asked from them."""

    name: Text
    simulated: Truth = False
    prefix: Prefix = Field("", description="put before every device's prefix")
    monochromator: MonochromatorConfig
    zone_plate: ZonePlateConfig
    osa: DeviceConfig
    sample_stage: DeviceConfig
    scanner: ScannerConfig
    flux: Annotated[float, quantity("photons/s", above=0)] | None = Field(
        None, description="photons/s on the sample, for doses"
    )
    transmission: CounterConfig
    i0: MonitorConfig | None = None
    counters: dict[str, CounterConfig] = Field(default_factory=dict)
    ring: DeviceConfig
    shutter: ShutterConfig | None = None
    tes: TESConfig | None = None
    holder: DeviceConfig | None = None
    catalog: CatalogConfig = CatalogConfig()


def problems(
    config: BeamlineConfig, hint: Callable[[str, list[str]], str]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """What does not go together, or would be ignored in silence: path of the key, and words.

    Parameters
    ----------
    config : BeamlineConfig
    hint : callable
        Of a name that is not known and those that are: which was meant.
    """
    yield from _geometry(config)
    for name in config.counters:
        why = _no_counter(name)
        if why:
            yield ("counters", name), why
    yield from _contracts(config)
    devices = list(beamline_devices(config))
    for path, cls, part in devices:
        known = suffixes(cls)
        for suffix in part.pvs:
            if suffix not in known:
                yield (*path, "pvs", suffix), f": no PV {suffix!r}{hint(suffix, known)}"
    for edge in config.monochromator.edge_offsets:
        try:
            get_edge(edge)
        except ValueError as exc:
            yield ("monochromator", "edge_offsets", edge), f": {exc}"
    yield from _shared(config, devices)


def _geometry(config: BeamlineConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    try:
        config.zone_plate.geometry()
    except ValueError as exc:  # names its key itself
        key, _, rest = str(exc).partition(" = ")
        yield tuple(key.split(".")), f" = {rest}"


def beamline_devices(
    config: BeamlineConfig,
) -> Iterator[tuple[tuple[str, ...], type[BeamlineDevice], DeviceConfig]]:
    """Path of the key, class and PV names of each device of a file."""
    for name, classes in DEVICE_CLASSES.items():
        part = getattr(config, name)
        if part is not None:
            yield (name,), classes[getattr(part, "contract", OURS)], _named(config, name, part)
    for name, part in config.counters.items():
        cls = DEVICE_CLASSES["transmission"][part.contract]
        yield ("counters", name), cls, _named(config, name, part)


def _named(config: BeamlineConfig, name: str, part: DeviceConfig) -> DeviceConfig:
    """Counts of a FLY group's line are a PV of the group, not of the counter."""
    if not isinstance(part, CounterConfig) or part.contract != "fly":
        return part
    data = f"{config.prefix}{config.scanner.prefix}DATA:{part.key or name}"
    return part.model_copy(update={"pvs": {"DATA": data, **part.pvs}})


def _contracts(config: BeamlineConfig) -> Iterator[tuple[tuple[str, ...], str]]:
    """Contracts that do not go together, and options that would be ignored."""
    fly = config.scanner.contract == "fly"
    if config.shutter is None and not fly:
        yield (), "key 'shutter' is missing; only with scanner.contract: fly may there be none"
    for path, _, part in beamline_devices(config):
        if isinstance(part, CounterConfig | ShutterConfig) and part.contract != (
            config.scanner.contract
        ):
            yield (
                (*path, "contract"),
                f" = {part.contract!r} must be {config.scanner.contract!r}, as the scanner's is",
            )
        if getattr(part, "contract", OURS) == OURS:
            for key in sorted(part.model_fields_set & _ONLY_FLY):
                yield (*path, key), ": only with contract: fly; else a PV says it"


def _shared(
    config: BeamlineConfig,
    devices: list[tuple[tuple[str, ...], type[BeamlineDevice], DeviceConfig]],
) -> Iterator[tuple[tuple[str, ...], str]]:
    """PVs without a prefix, and PVs of two devices: what one writes would move the other."""
    owners: dict[str, tuple[str, ...]] = {}
    for path, cls, part in devices:
        prefix = config.prefix + part.prefix
        bare = [suffix for suffix in suffixes(cls) if suffix not in part.pvs]
        if not prefix and bare and not config.simulated:
            yield (
                (*path, "prefix"),
                f" = '' and prefix = '': its PVs would be called {', '.join(bare[:3])}, …",
            )
            continue
        for suffix in suffixes(cls):
            name = part.pvs.get(suffix, prefix + suffix)
            other = owners.setdefault(name, path)
            if other != path:
                key = (*path, "pvs", suffix) if suffix in part.pvs else (*path, "prefix")
                yield key, f": the PV {name!r} belongs to {'.'.join(other)} already"
                break


_SHELL = {
    "RE", "bp", "bpp", "bps", "cat", "holder", "mono", "omap", "rmap", "s", "sd", "stxm", "tes",
    "windows",
}  # fmt: skip
"""Names that a session's shell has."""
_COLUMNS = {"time", "seq_num", "uid", "data", "timestamps", "filled", "descriptor", "configuration"}
"""Names that tables of events have besides the data keys."""
_TAKEN = ("ts_", "tes_", "stxm_", "time_", "dim_")
"""Starts of names that tables of events and other devices have."""


def _no_counter(name: str) -> str | None:
    """Why a counter cannot have this name: it becomes an attribute, a data key and a column."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        return f": a counter's name is letters, digits and _, a letter first, not {name!r}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return f": {name!r} is a word of Python; call the counter otherwise"
    for start in _TAKEN:
        if name.startswith(start):
            return f": names that start with {start!r} are taken; call the counter otherwise"
    if name in _SHELL | _COLUMNS | {*LINE_KEYS, *POINT_KEYS} or name in dir(STXM):
        return f": the name {name!r} is taken by the microscope, its data or the shell"
    return None


def known_keys(path: tuple[Any, ...]) -> list[str]:
    """Keys that the file may have where ``path`` points to an unknown one."""
    model: type[BaseModel] = BeamlineConfig
    parts: Mapping[str, type[BaseModel]] = {
        "monochromator": MonochromatorConfig,
        "scanner": ScannerConfig,
        "shutter": ShutterConfig,
        "zone_plate": ZonePlateConfig,
        "tes": TESConfig,
        "catalog": CatalogConfig,
        **dict.fromkeys(("transmission", "i0", "counters"), CounterConfig),
    }
    if len(path) > 1:
        model = parts.get(str(path[0]), DeviceConfig)
    return list(model.model_fields)
