"""From a beamline file, and how that beamline stood, to what the simulation serves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .._beamline_file import OURS
from ..config import (
    BeamlineConfig,
    ConfigError,
    beamline_devices,
    simulated_beamline,
    simulated_fly,
)
from ..data import get_edge
from ..devices import suffixes
from ..sim import ENERGY_MOTOR, KEPT, KEPT_OF_COUNTERS, Layout
from ._state import State, StateError

__all__ = ["layout_of", "names_of"]


def names_of(config: BeamlineConfig) -> dict[str, str]:
    """For each PV of the simulation that a beamline has: its name there.

    Parameters
    ----------
    config : BeamlineConfig

    Raises
    ------
    ConfigError
        Two keys of the file name one PV, of which the simulation would serve only one; or a key
        names what it does not serve.
    """
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    wrong: list[str] = []
    for key, simulated, name in _pvs(config):
        if simulated is None:
            wrong.append(f"{key}: the simulation has no PV that could be called {name!r}")
            continue
        other = owners.setdefault(name, simulated)
        if other != simulated:
            first = next(k for k, s, n in _pvs(config) if (s, n) == (other, name))
            wrong.append(
                f"{key} and {first} both name the PV {name!r}; the simulation cannot serve one PV "
                "as two: give each its own name"
            )
        names[simulated] = name
    if wrong:
        raise ConfigError("\n".join(wrong))
    return names


def _pvs(config: BeamlineConfig) -> Iterator[tuple[str, str | None, str]]:
    """Key of the file; PV of the simulation, None where it has none; PV of the beamline."""
    known = {False: _own_names(simulated_beamline("")), True: _own_names(simulated_fly())}
    for path, cls, part in beamline_devices(config):
        other = getattr(part, "contract", OURS) != OURS
        for suffix in suffixes(cls):
            name = part.pvs.get(suffix, config.prefix + part.prefix + suffix)
            simulated = known[other].get((path, suffix))
            if simulated is None and path[0] == "counters" and not other:
                simulated = f"Counters.{path[-1]}:{suffix}"
            key = f"{'.'.join(path)} {suffix}"
            if simulated is None:
                yield key, None, name
                continue
            field = _FIELD.search(simulated)
            if field is None:
                yield key, simulated, name
            elif name.endswith(field[0]):  # of a record, which is served whole
                yield key, simulated.removesuffix(field[0]), name.removesuffix(field[0])
            else:
                yield key, None, name


_FIELD = re.compile(r"\.[A-Z]+\$?$")


def _own_names(config: BeamlineConfig) -> dict[tuple[tuple[str, ...], str], str]:
    """Names of the simulation's PVs, by the path of the device in its file and the suffix."""
    return {
        (path, suffix): part.pvs.get(suffix, config.prefix + part.prefix + suffix)
        for path, cls, part in beamline_devices(config)
        for suffix in suffixes(cls)
    }


def layout_of(config: BeamlineConfig, state: State | None = None) -> Layout:
    """What the simulation of a beamline serves.

    Parameters
    ----------
    config : BeamlineConfig
    state : State, optional
        How the beamline stood; without it, limits, speeds and positions are the simulation's own.

    Raises
    ------
    ConfigError
        As `names_of`.
    StateError
        The state is that of another beamline.
    """
    names = names_of(config)
    plate = config.zone_plate.geometry()
    if state is not None:
        state.check(config.name, names.values())
    return Layout(
        beamline=config.name,
        names=names,
        geometry={key: float(getattr(plate, key)) for key in plate.__dataclass_fields__},
        counters={name: part.behind_shutter for name, part in config.counters.items()},
        offsets=tuple(
            (float(get_edge(edge).edge_ev[0]), offset)
            for edge, offset in config.monochromator.edge_offsets.items()
        ),
        values={} if state is None else _values(names, state),
    )


def _values(names: dict[str, str], state: State) -> dict[str, Mapping[str, Any]]:
    """What the state says, by PV of the simulation; of a record, also its fields."""
    back = {name: simulated for simulated, name in names.items()}
    found: dict[str, Mapping[str, Any]] = {}
    for name, said in state.pvs.items():
        record, _, fieldname = name.rpartition(".")
        if name in back:
            found[back[name]] = said
        elif record in back:
            found[f"{back[record]}.{fieldname}"] = said
        else:
            continue
        _check_number(name, back.get(name, fieldname), said)
    for field, pvs in _OF_ENERGY_MOTOR.items():
        said = found.get(f"{ENERGY_MOTOR}.{field}", {})
        found |= {pv: said for pv in pvs if said}
    return found


def _check_number(name: str, taken: str, said: Mapping[str, Any]) -> None:
    """Refuse text where the simulation takes a number.

    Raises
    ------
    StateError
        Names the PV.
    """
    value = said.get("value")
    kept = taken in KEPT or taken in _FIELDS or taken.rpartition(":")[2] in KEPT_OF_COUNTERS
    if kept and value is not None and not isinstance(value, int | float):
        raise StateError(f"{name}: value = {value!r} must be a number")


_FIELDS = ("VAL", "RBV", "VELO", "ACCL")
"""Of motor records, what the simulation takes."""

_OF_ENERGY_MOTOR = {
    "VAL": ("Mono:Energy", "Mono:EPU"),
    "RBV": ("Mono:Energy:RBV", "Mono:EPU:RBV"),
    "VELO": ("Mono:Velocity",),
}
"""What the simulation takes from a monochromator that is one motor record."""
