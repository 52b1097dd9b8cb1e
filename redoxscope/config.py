"""The beamline file: YAML, validated key by key, and the devices it describes.

Reference: ``docs/reference/beamline-file.md``.
"""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from ophyd import Component as Cpt
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, ValidationError

from .contract import LINE_KEYS
from .data import get_edge
from .devices import (
    STXM,
    TES,
    BeamlineDevice,
    LineCounter,
    Monochromator,
    OrderSortingAperture,
    RasterScanner,
    RingCurrent,
    SampleHolder,
    SampleStage,
    Shutter,
    ZonePlate,
    suffixes,
)
from .optics import ZonePlateGeometry

__all__ = [
    "BeamlineConfig",
    "ConfigError",
    "load_beamline",
    "make_holder",
    "make_stxm",
    "make_tes",
    "simulated_beamline",
]


class ConfigError(ValueError):
    """A beamline file that cannot be used; one line for each key that is wrong."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DeviceConfig(_Strict):
    """PV names of a device: its prefix, and full names for suffixes that differ."""

    prefix: str
    pvs: dict[str, str] = Field(default_factory=dict)


class MonochromatorConfig(DeviceConfig):
    """Energy axis."""

    edge_offsets: dict[str, float] = Field(default_factory=dict, description="eV by edge")
    backlash: float = Field(0.0, description="eV; 0 = none")
    tolerance: PositiveFloat = Field(0.02, description="eV")


class ZonePlateConfig(DeviceConfig):
    """Zone plate, with the OSA's pinhole; A0 has no default, it is this microscope's."""

    diameter: PositiveFloat = Field(description="D, µm")
    outer_zone: PositiveFloat = Field(description="Δr, nm")
    central_stop: PositiveFloat = Field(description="µm")
    osa_diameter: PositiveFloat = Field(description="µm")
    a0: PositiveFloat = Field(description="OSA to sample, µm")
    a1: PositiveFloat | None = Field(None, description="µm/eV; default D·Δr/hc")

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

    host: str = "127.0.0.1"
    port: int = Field(5500, ge=1, le=65531, description="first of Dastard's five ports")
    backend: Literal["dastard", "scan_server"] = "dastard"
    scan_server_port: int = Field(4000, ge=1, le=65535)
    source: str | None = Field(None, description="Dastard's source; default: the resonators")
    path: str = Field("", description="folder on the server for its files; empty: its own choice")
    time_scale: PositiveFloat = Field(1.0, description="server's s per s; 1 but in a simulation")
    lateness: PositiveFloat = Field(0.1, description="s after which a point's photons are in")


class CatalogConfig(_Strict):
    """Where runs are kept: a Tiled profile by name."""

    profile: str = "redoxscope"


class BeamlineConfig(_Strict):
    """A beamline: its devices' PV names and what cannot be asked from them."""

    name: str
    simulated: bool = False
    prefix: str = Field("", description="put before every device's prefix")
    monochromator: MonochromatorConfig
    zone_plate: ZonePlateConfig
    osa: DeviceConfig
    sample_stage: DeviceConfig
    scanner: DeviceConfig
    transmission: DeviceConfig
    i0: DeviceConfig | None = None
    counters: dict[str, DeviceConfig] = Field(default_factory=dict)
    ring: DeviceConfig
    shutter: DeviceConfig
    tes: TESConfig | None = None
    holder: DeviceConfig | None = None
    catalog: CatalogConfig = CatalogConfig()


def _known_keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """Keys that the file may have where ``path`` points to an unknown one."""
    for part in path[:-1]:
        field = model.model_fields.get(str(part))
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        nested = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
        if not nested:
            return []
        model = nested[0]
    return list(model.model_fields)


def _explain(error: ValidationError, where: str) -> str:
    lines = []
    for item in error.errors():
        key = ".".join(str(part) for part in item["loc"]) or "(top level)"
        if item["type"] == "extra_forbidden":
            known = _known_keys(BeamlineConfig, item["loc"])
            close = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
            lines.append(f"{where}: unknown key {key!r}{hint}")
        elif item["type"] == "missing":
            lines.append(f"{where}: key {key!r} is missing")
        else:
            lines.append(f"{where}: {key} = {item['input']!r}: {item['msg']}")
    return "\n".join(lines)


def _check_names(config: BeamlineConfig, where: str) -> None:
    """Refuse PV suffixes and edges that do not exist: they would be ignored in silence."""
    devices: dict[str, tuple[type[BeamlineDevice], DeviceConfig | None]] = {
        name: (cls, getattr(config, name)) for name, cls in DEVICE_CLASSES.items()
    }
    devices |= {f"counters.{key}": (LineCounter, part) for key, part in config.counters.items()}
    for name, (cls, part) in devices.items():
        known = suffixes(cls)
        for suffix in part.pvs if part is not None else ():
            if suffix not in known:
                close = difflib.get_close_matches(suffix, known, n=1)
                hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(known)}"
                raise ConfigError(f"{where}: {name}.pvs: no PV {suffix!r}; {hint}")
    for edge in config.monochromator.edge_offsets:
        try:
            get_edge(edge)
        except ValueError as exc:
            raise ConfigError(f"{where}: monochromator.edge_offsets: {exc}") from exc


def parse_beamline(text: str, where: str) -> BeamlineConfig:
    """Read a beamline file's text; ``where`` names it in errors.

    Raises
    ------
    ConfigError
        Not YAML, an unknown or missing key (with the nearest known one), a wrong value.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as exc:
        raise ConfigError(f"{where}: not a YAML file: {exc}") from exc
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: expected keys and values, found {type(content).__name__}")
    try:
        config = BeamlineConfig.model_validate(content)
        config.zone_plate.geometry()
    except ValidationError as exc:
        raise ConfigError(_explain(exc, where)) from exc
    except ValueError as exc:
        raise ConfigError(f"{where}: {exc}") from exc
    taken = set(config.counters) & (set(dir(STXM)) | set(LINE_KEYS))
    if taken:
        raise ConfigError(f"{where}: counters may not be called {', '.join(sorted(taken))}")
    _check_names(config, where)
    return config


def load_beamline(path: str | Path) -> BeamlineConfig:
    """Read a beamline file.

    Raises
    ------
    ConfigError
        As `parse_beamline`; also when the file cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"{path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path}: not a text file ({exc.reason})") from exc
    return parse_beamline(text, str(path))


def simulated_beamline(prefix: str) -> BeamlineConfig:
    """The simulated beamline's file, for an IOC with this PV prefix."""
    text = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text("utf-8")
    return parse_beamline(text, "simulated.yml").model_copy(update={"prefix": prefix})


def make_stxm(config: BeamlineConfig, *, name: str = "stxm") -> STXM:
    """The microscope that a beamline file describes; it connects in the background.

    Making it moves nothing.
    """

    def part(cls: type, device: DeviceConfig, kind: str = "normal", **kwargs: Any) -> Cpt:
        return Cpt(cls, device.prefix, pvs=device.pvs, kind=kind, **kwargs)

    mono = config.monochromator
    parts: dict[str, Any] = {
        "monochromator": part(
            Monochromator,
            mono,
            edge_offsets=mono.edge_offsets,
            backlash=mono.backlash,
            tolerance=mono.tolerance,
        ),
        "zone_plate": part(ZonePlate, config.zone_plate, geometry=config.zone_plate.geometry()),
        "osa": part(OrderSortingAperture, config.osa),
        "sample_stage": part(SampleStage, config.sample_stage),
        "scanner": part(RasterScanner, config.scanner),
        "transmission": part(LineCounter, config.transmission, "hinted"),
        "i0": None if config.i0 is None else part(LineCounter, config.i0),
        "ring": part(RingCurrent, config.ring),
        "shutter": part(Shutter, config.shutter),
    }
    parts |= {key: part(LineCounter, device) for key, device in config.counters.items()}
    return type("STXM", (STXM,), parts)(config.prefix, name=name)


def make_holder(config: BeamlineConfig, *, name: str = "holder") -> SampleHolder | None:
    """The sample holder in front of the spectrometer; None where the file has none."""
    if config.holder is None:
        return None
    return SampleHolder(config.prefix + config.holder.prefix, pvs=config.holder.pvs, name=name)


def make_tes(config: BeamlineConfig, *, name: str = "tes") -> TES:
    """The spectrometer that a beamline file describes. Making it connects to nothing.

    Raises
    ------
    ConfigError
        The file has no ``tes``.
    """
    if config.tes is None:
        raise ConfigError(f"beamline {config.name!r} has no key 'tes'")
    part = config.tes
    tes = TES(
        name=name,
        host=part.host,
        port=part.port,
        backend=part.backend,
        scan_server_port=part.scan_server_port,
        source=part.source,
    )
    tes.write_path.put(part.path)
    tes.lateness.put(part.lateness)
    tes.time_scale.put(part.time_scale)
    return tes


DEVICE_CLASSES: dict[str, type[BeamlineDevice]] = {
    "monochromator": Monochromator,
    "zone_plate": ZonePlate,
    "osa": OrderSortingAperture,
    "sample_stage": SampleStage,
    "scanner": RasterScanner,
    "transmission": LineCounter,
    "i0": LineCounter,
    "ring": RingCurrent,
    "shutter": Shutter,
    "holder": SampleHolder,
}
"""Class of the device behind each key of the file."""
