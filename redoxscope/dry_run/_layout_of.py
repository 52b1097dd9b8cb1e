"""From a beamline file, and how that beamline stood, to what the simulation serves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..config import BeamlineConfig, ConfigError, beamline_devices, simulated_beamline
from ..data import get_edge
from ..devices import suffixes
from ..sim import Layout
from ._state import State

__all__ = ["layout_of", "names_of"]


def names_of(config: BeamlineConfig) -> dict[str, str]:
    """For each PV of the simulation that a beamline has: its name there.

    Parameters
    ----------
    config : BeamlineConfig

    Raises
    ------
    ConfigError
        Two keys of the file name one PV: the simulation would serve only one of them.
    """
    names: dict[str, str] = {}
    owners: dict[str, str] = {}
    wrong: list[str] = []
    for key, simulated, name in _pvs(config):
        other = owners.setdefault(name, key)
        if other != key:
            wrong.append(
                f"{key} and {other} both name the PV {name!r}; the simulation cannot serve one PV "
                "as two: give each its own name"
            )
        names[simulated] = name
    if wrong:
        raise ConfigError("\n".join(wrong))
    return names


def _pvs(config: BeamlineConfig) -> Iterator[tuple[str, str, str]]:
    """Key of the file, PV of the simulation, PV of the beamline."""
    prefixes = {path: part.prefix for path, _, part in beamline_devices(simulated_beamline(""))}
    for path, cls, part in beamline_devices(config):
        start = prefixes.get(path, f"Counters.{path[-1]}:")
        for suffix in suffixes(cls):
            name = part.pvs.get(suffix, config.prefix + part.prefix + suffix)
            yield f"{'.'.join(path)} {suffix}", start + suffix, name


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
    return found
