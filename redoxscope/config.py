"""The beamline file: YAML, validated key by key, and the devices it describes.

Reference: ``docs/reference/beamline-file.md``.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from ophyd import Component as Cpt
from pydantic import ValidationError

from ._beamline_file import (
    BeamlineConfig,
    CounterConfig,
    DeviceConfig,
    beamline_devices,
    known_keys,
    problems,
)
from .contract import suggestion
from .data import FileError, YamlText, parse_yaml, read_text
from .devices import STXM, TES, NoShutter, SampleHolder, flown_by

__all__ = [
    "BeamlineConfig",
    "ConfigError",
    "beamline_devices",
    "load_beamline",
    "make_holder",
    "make_stxm",
    "make_tes",
    "served_as",
    "simulated_beamline",
    "simulated_fly",
]


class ConfigError(ValueError):
    """A beamline file that cannot be used; one line for each key that is wrong."""


_WORDS = {
    "model_type": "must hold keys and values, indented below it",
    "dict_type": "must hold keys and values, indented below it",
    "string_type": "must be text, in quotes",
}


def _explain(error: ValidationError, where: str, found: YamlText) -> str:
    lines = []
    for item in error.errors():
        path = tuple(part for part in item["loc"] if part != "[key]")
        key = _dotted(path) or "(top level)"
        at = f"{where}:{found.line(path)}"
        cause = item.get("ctx", {}).get("error")
        if item["type"] == "extra_forbidden":
            hint = _hint(str(path[-1]), known_keys(path))
            lines.append(f"{at}: unknown key {key!r}{hint}")
        elif item["type"] == "missing":
            lines.append(f"{at}: key {key!r} is missing")
        elif isinstance(cause, ValueError):
            lines.append(f"{at}: {key}{cause}")
        elif item["type"] == "literal_error":
            expected = item["ctx"]["expected"]
            lines.append(f"{at}: {key} = {item['input']!r} must be {expected}")
        else:
            words = _WORDS.get(item["type"], item["msg"])
            lines.append(f"{at}: {key} = {item['input']!r} {words}")
    return "\n".join(lines)


def _dotted(path: tuple[Any, ...]) -> str:
    return ".".join(str(part) for part in path)


def _hint(name: str, known: list[str]) -> str:
    return suggestion(name, known) or f"; known: {', '.join(known)}"


def parse_beamline(text: str, where: str) -> BeamlineConfig:
    """Read a beamline file's text; ``where`` names it in errors.

    Raises
    ------
    ConfigError
        Not YAML, a key that is there twice, unknown or missing (with the nearest known one), a
        wrong value, names that clash. A line of the error for each, with file, line and key.
    """
    try:
        found = parse_yaml(text, where)
    except FileError as exc:
        raise ConfigError(str(exc)) from exc
    content = found.content
    if content is None:
        raise ConfigError(f"{where}: the file is empty; expected keys and values")
    if not isinstance(content, dict):
        what = "a list" if isinstance(content, list) else repr(content)
        raise ConfigError(f"{where}: expected keys and values, found {what}")
    try:
        config = BeamlineConfig.model_validate(content)
    except ValidationError as exc:
        raise ConfigError(_explain(exc, where, found)) from exc
    wrong = [
        f"{where}:{found.line(path)}: {_dotted(path)}{words}"
        for path, words in problems(config, _hint)
    ]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return config


def load_beamline(path: str | Path) -> BeamlineConfig:
    """Read a beamline file.

    Raises
    ------
    ConfigError
        As `parse_beamline`; also when the file cannot be read.
    """
    try:
        text = read_text(path)
    except FileError as exc:
        raise ConfigError(str(exc)) from exc
    return parse_beamline(text, str(path))


def simulated_beamline(prefix: str) -> BeamlineConfig:
    """The simulated beamline's file, for an IOC with this PV prefix."""
    text = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text("utf-8")
    return parse_beamline(text, "simulated.yml").model_copy(update={"prefix": prefix})


def simulated_fly() -> BeamlineConfig:
    """The file of the simulated beamline of the FLY contract, with an empty prefix."""
    text = resources.files("redoxscope").joinpath("beamlines/fly.yml").read_text("utf-8")
    return parse_beamline(text, "fly.yml")


def served_as(config: BeamlineConfig, prefix: str) -> BeamlineConfig:
    """A simulated beamline's file for an IOC with this prefix, which whole names have there too."""
    update: dict[str, Any] = {"prefix": prefix}
    for name in type(config).model_fields:
        part = getattr(config, name)
        if isinstance(part, DeviceConfig) and part.pvs:
            pvs = {suffix: prefix + pv for suffix, pv in part.pvs.items()}
            update[name] = part.model_copy(update={"pvs": pvs})
    return config.model_copy(update=update)


def make_stxm(config: BeamlineConfig, *, name: str = "stxm") -> STXM:
    """The microscope that a beamline file describes; it connects in the background.

    Making it moves nothing.
    """
    found = {path: (cls, part) for path, cls, part in beamline_devices(config)}

    def part(*path: str, kind: str = "normal", **kwargs: Any) -> Cpt:
        cls, device = found[path]
        return Cpt(cls, device.prefix, pvs=device.pvs, kind=kind, **kwargs)

    def counter(*path: str, kind: str = "normal") -> Cpt:
        device = found[path][1]
        assert isinstance(device, CounterConfig)
        options: dict[str, Any] = {"behind_shutter": device.behind_shutter}
        if device.contract == "fly":
            options |= {"dead_time": device.dead_time, "saturation": device.saturation}
        return part(*path, kind=kind, **options)

    mono, scanner = config.monochromator, config.scanner
    lines: dict[str, Any] = {"pvs": scanner.pvs}
    if scanner.contract == "fly":
        lines |= {"axis_label": scanner.axis, "run_up": scanner.run_up}
        lines |= {"min_dwell": scanner.min_dwell, "max_dwell": scanner.max_dwell}
        lines |= {"overhead": scanner.overhead}
    parts: dict[str, Any] = {
        "monochromator": part(
            "monochromator",
            edge_offsets=mono.edge_offsets,
            backlash=mono.backlash,
            tolerance=mono.tolerance,
        ),
        "zone_plate": part("zone_plate", geometry=config.zone_plate.geometry()),
        "osa": part("osa"),
        "sample_stage": part("sample_stage"),
        "scanner": Cpt(flown_by(found[("scanner",)][0], **lines), scanner.prefix),
        "transmission": counter("transmission", kind="hinted"),
        "i0": None if config.i0 is None else counter("i0"),
        "ring": part("ring"),
        "shutter": Cpt(NoShutter, "") if config.shutter is None else part("shutter"),
    }
    parts |= {key: counter("counters", key) for key in config.counters}
    stxm = type("STXM", (STXM,), parts)(config.prefix, name=name)
    if config.flux is not None:
        stxm.flux.put(config.flux)
    return stxm


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
