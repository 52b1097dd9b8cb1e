"""From a beamline file, and how that beamline stood, to what the simulation serves."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from ..beamline import BeamlineFile, ConfigError, simulated_beamline, simulated_fly, simulated_heat
from ..data import get_edge
from ..sim import ENERGY_MOTOR, KEPT, KEPT_OF_COUNTERS, KEPT_OF_GUARDS, Layout
from ._state import State, StateError

__all__ = ["layout_of", "names_of"]


def names_of(config: BeamlineFile) -> dict[str, str]:
    """For each PV of the simulation that a beamline has: its name there.

    Parameters
    ----------
    config : BeamlineFile

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
        if names.get(simulated, name) != name:
            wrong.append(
                f"{key}: the simulation has one such PV, and calls it {names[simulated]!r} already"
            )
        elif other != simulated:
            first = next(k for k, s, n in _pvs(config) if (s, n) == (other, name))
            wrong.append(
                f"{key} and {first} both name the PV {name!r}; the simulation cannot serve one PV "
                "as two: give each its own name"
            )
        names[simulated] = name
    if wrong:
        raise ConfigError("\n".join(wrong))
    return names


def _pvs(config: BeamlineFile) -> Iterator[tuple[str, str | None, str]]:
    """Key of the file; PV of the simulation, None where it has none; PV of the beamline."""
    served = [simulated_beamline(""), simulated_fly(), simulated_heat()]
    for device, entry in config.devices.items():
        names = _served(config, device, served)
        if entry.word == "motor":
            yield f"devices.{device}", f"Motors.{device}", config.prefix + entry.prefix
        elif not entry.own:
            outside, _ = config.outside_pvs(device)
            for i, pv in enumerate(pv for pv in outside if pv.motor):
                yield f"devices.{device}", f"Motors.{device}{i or ''}", pv.name
        for suffix, name in config.pv_names(device).items():
            simulated = (names or {}).get(suffix)
            key = f"devices.{device} {suffix}"
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


def _served(config: BeamlineFile, device: str, served: list[BeamlineFile]) -> dict[str, str] | None:
    """The simulation's PVs, by suffix, of what stands for a device; None where nothing does."""
    word = config.devices[device].word
    role = config.role_of(device)
    for there in served:
        for other in there.of_class(word):
            same = there.role_of(other)
            # One that is bound to nothing is the one of its class, if there is one only.
            alone = role is None and len(there.of_class(word)) == 1
            if alone or (role is not None and same is not None and role[1] == same[1]):
                return there.pv_names(other)
    if word == "counter" and (role is None or role[1] == "counters"):
        suffixes = config.devices[device].suffixes
        return {suffix: f"Counters.{device}:{suffix}" for suffix in suffixes}
    return None


_FIELD = re.compile(r"\.[A-Z]+\$?$")


def layout_of(config: BeamlineFile, state: State | None = None) -> Layout:
    """What the simulation of a beamline serves.

    Parameters
    ----------
    config : BeamlineFile
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
    plates = [config.devices[name].options for name in config.of_class("zone_plate")]
    geometry = asdict(plates[0].geometry()) if plates else {}
    monos = config.of_class("monochromator", "motor_monochromator")
    offsets = config.devices[monos[0]].options.edge_offsets if monos else {}
    records = [config.devices[name].options for name in config.of_class("motor_monochromator")]
    settle = {"Mono:Settle": {"value": records[0].settle}} if records else {}
    plain = _plain(config, state)
    if state is not None:
        state.check(config.name, [*names.values(), *plain])
    return Layout(
        beamline=config.name,
        names=names,
        geometry={key: float(value) for key, value in geometry.items()},
        counters={
            name: config.devices[name].options.behind_shutter
            for name in config.of_class("counter")
            if f"Counters.{name}:Counts" in names
        },
        offsets=tuple(
            (float(get_edge(edge).edge_ev[0]), offset) for edge, offset in offsets.items()
        ),
        motors=tuple(name.partition(".")[2] for name in names if name.startswith("Motors.")),
        plain=plain,
        values={**settle, **({} if state is None else _values(names, state))},
    )


def _plain(config: BeamlineFile, state: State | None) -> dict[str, Any]:
    """PVs of devices of other classes, which the simulation only keeps, and what they said.

    Raises
    ------
    ConfigError
        A class makes its PV names only when a device is made.
    """
    found: dict[str, Any] = {}
    for device, entry in config.devices.items():
        if entry.own:
            continue
        pvs, whole = config.outside_pvs(device)
        if not whole:
            raise ConfigError(
                f"{config.at('devices', device)}: devices.{device}: the PV names of {entry.word} "
                "are known only when it is made, so no simulation can have them"
            )
        for pv in pvs:
            if not pv.motor:
                said = {} if state is None else state.pvs.get(pv.name, {})
                found[pv.name] = said.get("value", [0.0] * int(said.get("elements", 0)) or 0.0)
    return found


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
    kept = taken in KEPT or taken in KEPT_OF_GUARDS or taken in _FIELDS
    kept = kept or taken.rpartition(":")[2] in KEPT_OF_COUNTERS
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
