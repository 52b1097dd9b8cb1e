"""Reading a beamline file: YAML, checked key by key.

Reference: ``docs/reference/beamline-file.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from ..data import FileError, YamlText, parse_yaml, read_text
from ..inputs import suggestion
from ._check import problems
from ._classes import OWN, find_class
from ._file import BeamlineFile, DeviceEntry, InstrumentEntry
from ._instruments import INSTRUMENTS
from ._options import CatalogOptions, Strict
from ._outside import option_problems
from ._values import Prefix, ProxyAddress, Text, Truth

__all__ = [
    "ConfigError",
    "load_beamline",
    "parse_beamline",
    "simulated_beamline",
    "simulated_fly",
    "simulated_heat",
    "simulated_text",
]

Problem = tuple[tuple[Any, ...], str]
"""Path of a key, and what is wrong in words that begin after the key; with ``{key}`` in them, they
are the whole sentence."""


class ConfigError(ValueError):
    """A beamline file that cannot be used; one line for each key that is wrong."""


class _Whole(Strict):
    name: Text
    simulated: Truth = False
    prefix: Prefix = Field("", description="put before every device's prefix")
    devices: dict[str, dict[str, Any]]
    instruments: dict[str, dict[str, Any]] = Field(default_factory=dict)
    catalog: CatalogOptions = Field(default_factory=CatalogOptions)
    publish: ProxyAddress = ""
    nxstxm: Text = ""


class _WithPrefix(Strict):
    prefix: Prefix


_WORDS = {
    "model_type": "must hold keys and values, indented below it",
    "dict_type": "must hold keys and values, indented below it",
    "string_type": "must be text, in quotes",
}


def _model(model: type[BaseModel], content: Any, path: tuple[Any, ...]) -> Any:
    """The content as a model says, or a list of problems."""
    try:
        return model.model_validate(content)
    except ValidationError as exc:
        return list(_explain(exc, model, path))


def _explain(
    error: ValidationError, model: type[BaseModel], above: tuple[Any, ...]
) -> Iterator[Problem]:
    for item in error.errors():
        inner = tuple(part for part in item["loc"] if part != "[key]")
        path = (*above, *inner)
        cause = item.get("ctx", {}).get("error")
        if item["type"] == "extra_forbidden":
            yield path, f"unknown key {{key}}{_hint(str(inner[-1]), _known(model, inner))}"
        elif item["type"] == "missing":
            yield path, "key {key} is missing"
        elif isinstance(cause, ValueError):
            yield path, str(cause)
        elif item["type"] == "literal_error":
            yield path, f" = {item['input']!r} must be {item['ctx']['expected']}"
        else:
            words = _WORDS.get(item["type"], item["msg"])
            yield path, f" = {item['input']!r} {words}"


def _known(model: type[BaseModel], inner: tuple[Any, ...]) -> list[str]:
    """Keys that there may be where the last one of a path is unknown."""
    for part in inner[:-1]:
        found = model.model_fields[str(part)].annotation
        if not (isinstance(found, type) and issubclass(found, BaseModel)):
            break
        model = found
    own = ["class"] if model in {one.options for one in OWN.values()} else []
    return [*own, *model.model_fields]


def _hint(name: str, known: list[str]) -> str:
    return suggestion(name, known) or f"; known: {', '.join(known) or 'none'}"


def _line(where: str, found: YamlText, path: tuple[Any, ...], words: str) -> str:
    key = ".".join(str(part) for part in path) or "(top level)"
    said = words.replace("{key}", repr(key)) if "{key}" in words else f"{key}{words}"
    return f"{where}:{found.line(path)}: {said}"


def parse_beamline(text: str, where: str) -> BeamlineFile:
    """Read a beamline file's text; ``where`` names it in errors.

    Raises
    ------
    ConfigError
        Not YAML, a key that is there twice, unknown or missing (with the nearest known one), a
        wrong value, a class that is none, a device that cannot play its role, names that clash.
        A line of the error for each, with file, line and key.
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
    wrong, file = _read(content, where, found)
    if not wrong and file is not None:
        wrong = list(problems(file, _hint))
    if wrong or file is None:
        raise ConfigError("\n".join(_line(where, found, path, words) for path, words in wrong))
    return file


def _read(
    content: dict[str, Any], where: str, text: YamlText
) -> tuple[list[Problem], BeamlineFile | None]:
    """What is wrong with a file as far as each key goes by itself; the file where nothing is."""
    whole = _model(_Whole, content, ())
    wrong: list[Problem] = whole if isinstance(whole, list) else []
    devices: dict[str, DeviceEntry] = {}
    for name, part in _parts(content, "devices"):
        entry = _device(name, part)
        if isinstance(entry, list):
            wrong += entry
        else:
            devices[name] = entry
    instruments: dict[str, InstrumentEntry] = {}
    known = [name for name, _ in _parts(content, "devices")]
    for name, part in _parts(content, "instruments"):
        instrument = _instrument(name, part, known)
        if isinstance(instrument, list):
            wrong += instrument
        else:
            instruments[name] = instrument
    if wrong:
        return wrong, None
    return [], BeamlineFile(
        name=whole.name,
        simulated=whole.simulated,
        prefix=whole.prefix,
        devices=devices,
        instruments=instruments,
        catalog=whole.catalog,
        publish=whole.publish,
        nxstxm=whole.nxstxm,
        where=where,
        text=text,
    )


def _parts(content: Mapping[str, Any], key: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Parts of a section that are mappings; what else there is, is said elsewhere."""
    section = content.get(key)
    if isinstance(section, dict):
        for name, part in section.items():
            if isinstance(name, str) and isinstance(part, dict):
                yield name, part


def _device(name: str, part: dict[str, Any]) -> DeviceEntry | list[Problem]:
    path = ("devices", name)
    if "class" not in part:
        return [((*path, "class"), f"key {{key}} is missing; e.g. {', '.join(OWN)}")]
    word = part["class"]
    if not isinstance(word, str):
        return [((*path, "class"), f" = {word!r} must be text, the name of a class")]
    given = {key: value for key, value in part.items() if key != "class"}
    try:
        cls = find_class(word)
    except ValueError as exc:
        return [((*path, "class"), str(exc))]
    if word in OWN:
        options = _model(OWN[word].options, given, path)
        return options if isinstance(options, list) else DeviceEntry(name, word, cls, options)
    wrong: list[Problem] = []
    if "prefix" in given:
        checked = _model(_WithPrefix, {"prefix": given["prefix"]}, path)
        wrong += checked if isinstance(checked, list) else []
    wrong += [((*path, key), words) for key, words in option_problems(cls, given, _hint)]
    return wrong or DeviceEntry(name, word, cls, given)


def _instrument(
    name: str, part: dict[str, Any], known: list[str]
) -> InstrumentEntry | list[Problem]:
    path = ("instruments", name)
    kind = INSTRUMENTS.get(name)
    if kind is None:
        return [(path, f"unknown key {{key}}{_hint(name, list(INSTRUMENTS))}")]
    wrong: list[Problem] = []
    roles: dict[str, Any] = {}
    fields = kind.options.model_fields
    for key, value in part.items():
        role = kind.roles.get(key)
        if role is None:
            if key not in fields:
                every = [*kind.roles, *fields]
                wrong.append(((*path, key), f"unknown key {{key}}{_hint(str(key), every)}"))
        elif value is None and not role.required:
            continue
        elif role.several:
            if isinstance(value, list):
                for i, one in enumerate(value):
                    wrong += _named((*path, key, i), one, known)
                roles[key] = tuple(map(str, value))
            else:
                wrong.append(((*path, key), f" = {value!r} must be a list of devices, [a, b]"))
        else:
            wrong += _named((*path, key), value, known)
            roles[key] = value
    for key, role in kind.roles.items():
        if role.required and part.get(key) is None:
            wrong.append(((*path, key), "key {key} is missing: the name of a device"))
    options = _model(kind.options, {k: v for k, v in part.items() if k in fields}, path)
    if isinstance(options, list):
        wrong += options
    return wrong or InstrumentEntry(name, roles, options)


def _named(path: tuple[Any, ...], device: Any, known: list[str]) -> Iterator[Problem]:
    """What is wrong with the name of a device."""
    if not isinstance(device, str):
        yield path, f" = {device!r} must be text, the name of a device"
    elif device not in known:
        yield path, f" = {device!r} is no device of this file{_hint(device, known)}"


def load_beamline(path: str | Path) -> BeamlineFile:
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


def _shipped(name: str) -> str:
    return resources.files("redoxscope").joinpath(f"beamlines/{name}").read_text("utf-8")


def simulated_beamline(prefix: str) -> BeamlineFile:
    """The simulated beamline's file, for an IOC with this PV prefix."""
    return parse_beamline(_shipped("simulated.yml"), "simulated.yml").served_as(prefix)


def simulated_fly() -> BeamlineFile:
    """The file of the simulated beamline of the FLY contract, with an empty prefix."""
    return parse_beamline(_shipped("fly.yml"), "fly.yml")


def simulated_heat() -> BeamlineFile:
    """The file of the simulated beamline's further heating stages, with an empty prefix."""
    return parse_beamline(_shipped("heat.yml"), "heat.yml")


_HEATER = re.compile(r"^    class: lakeshore336$", re.MULTILINE)
_TES = re.compile(r"^  tes:\n(?:    .*\n)+", re.MULTILINE)


def simulated_text(
    prefix: str,
    *,
    contract: str = "index",
    port: int | None = None,
    speed: float = 1.0,
    heat_speed: float | None = None,
) -> str:
    """Text of a beamline file for a simulated beamline that runs already, with its comments.

    Parameters
    ----------
    prefix : str
        Start of its PV names.
    contract : {"index", "fly"}
    port : int, optional
        First port of its Dastard; without it, it has no spectrometer.
    speed : float
        Its seconds per real second.
    heat_speed : float, optional
        The same of its heating stages; by default ``speed``.
    """
    text = _shipped("fly.yml" if contract == "fly" else "simulated.yml")
    text = text.replace('prefix: ""', f'prefix: "{prefix}"', 1)
    if contract == "fly":
        return re.sub(r'\b((?:Fine)?[XYZ]: ")', rf"\g<1>{prefix}", text)  # whole names
    heat = speed if heat_speed is None else heat_speed
    text = re.sub(_HEATER, rf"\g<0>\n    time_scale: {heat:g}", text)
    if port is None:
        return re.sub(_TES, "", text)
    text = text.replace("port: 5500", f"port: {port}", 1)
    return text.replace("lateness:", f"time_scale: {speed:g}\n    lateness:", 1)
