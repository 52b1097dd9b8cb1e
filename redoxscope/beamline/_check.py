"""What does not go together in a beamline file: names, roles, contracts, PVs."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any

from ..data import get_edge
from ..devices import STXM
from ..devices.roles import lacking
from ..documents import LINE_KEYS, POINT_KEYS
from ._file import BeamlineFile, DeviceEntry, InstrumentEntry
from ._instruments import INSTRUMENTS, bound_devices, contract_of
from ._options import FlyCounterOptions, MonochromatorOptions, ZonePlateOptions

__all__ = ["problems"]

Path = tuple[Any, ...]
Problems = Iterator[tuple[Path, str]]


def problems(file: BeamlineFile, hint: Callable[[str, list[str]], str]) -> Problems:
    """Path and words of everything that does not go together.

    Parameters
    ----------
    file : BeamlineFile
        Each key of which is right by itself.
    hint : callable
        Of a name that is not known and those that are: which was meant.
    """
    if not file.devices:
        yield ("devices",), " is empty: a beamline has devices"
    for name, entry in file.devices.items():
        why = _no_name(file, name)
        if why:
            yield ("devices", name), why
        yield from _own_values(entry, hint)
        if isinstance(entry.options, FlyCounterOptions) and "DATA" not in file.pvs_of(name):
            yield (
                ("devices", name, "pvs", "DATA"),
                "key {key} is missing: there is no fly_scanner whose group has the counts",
            )
    for instrument in file.instruments.values():
        yield from _roles(file, instrument)
    yield from _data_keys(file)
    yield from _shared(file)


def _own_values(entry: DeviceEntry, hint: Callable[[str, list[str]], str]) -> Problems:
    path, options = ("devices", entry.name), entry.options
    if isinstance(options, ZonePlateOptions):
        try:
            options.geometry()
        except ValueError as exc:  # names its key itself
            key, _, rest = str(exc).partition(" = ")
            yield (*path, key.rpartition(".")[2]), f" = {rest}"
    for suffix in entry.pvs:
        if suffix not in entry.suffixes:
            yield (*path, "pvs", suffix), f": no PV {suffix!r}{hint(suffix, entry.suffixes)}"
    if isinstance(options, MonochromatorOptions):
        for edge in options.edge_offsets:
            try:
                get_edge(edge)
            except ValueError as exc:
                yield (*path, "edge_offsets", edge), f": {exc}"


def _roles(file: BeamlineFile, instrument: InstrumentEntry) -> Problems:
    """Devices that cannot do what their role asks, are bound twice, or do not go together."""
    kind, above = INSTRUMENTS[instrument.name], ("instruments", instrument.name)
    taken: dict[str, str] = {}
    scanner = instrument.roles.get("scanner")
    contract = None if scanner is None else contract_of(file.devices[scanner].cls)
    for inner, role, device in bound_devices(instrument.roles):
        path, entry = (*above, *inner), file.devices[device]
        what = f" = {device!r} ({entry.word})"
        missing = lacking(kind.roles[role].needs, entry.cls)
        if missing:
            yield path, f"{what} cannot be that: it has no {', '.join(missing)}"
            continue
        other = taken.setdefault(device, role)
        if other != role or list(instrument.devices).count(device) > 1 and role == "counters":
            yield path, f"{what} is bound as {other} already"
            taken[device] = role
        if role in kind.one_contract and contract is not None:
            own = contract_of(entry.cls)
            if own is not None and own != contract:
                yield (
                    path,
                    f"{what} is of the contract {own!r} and must be of {contract!r}, as the "
                    f"scanner {scanner!r} ({file.devices[str(scanner)].word}) is",
                )


def _data_keys(file: BeamlineFile) -> Problems:
    """Counters that two instruments would record under different keys."""
    keys: dict[str, tuple[str, str]] = {}
    for instrument in file.instruments.values():
        for inner, role, device in bound_devices(instrument.roles):
            asked = INSTRUMENTS[instrument.name].roles[role]
            key = device if asked.several else asked.key
            if key is None:
                continue
            other = keys.setdefault(device, (key, f"{instrument.name}.{role}"))
            if other[0] != key:
                yield (
                    ("instruments", instrument.name, *inner),
                    f" = {device!r} is {other[1]} already, and recorded as {other[0]!r} there",
                )


def _shared(file: BeamlineFile) -> Problems:
    """PVs without a prefix, and PVs of two devices: what one writes would move the other."""
    owners: dict[str, str] = {}
    for name, entry in file.devices.items():
        path, prefix = ("devices", name), file.prefix + entry.prefix
        if not entry.own:
            outside, _ = file.outside_pvs(name)
            pvs: dict[str, Path] = {pv.name: (*path, "prefix") for pv in outside if pv.written}
        else:
            bare = [suffix for suffix in entry.suffixes if suffix not in file.pvs_of(name)]
            if not prefix and bare and not file.simulated:
                yield (
                    (*path, "prefix"),
                    f" = '' and prefix = '': its PVs would be called {', '.join(bare[:3])}, …",
                )
                continue
            pvs = {
                pv: (*path, "pvs", suffix) if suffix in entry.pvs else (*path, "prefix")
                for suffix, pv in file.pv_names(name).items()
            }
            if entry.word == "motor":
                pvs = {prefix: (*path, "prefix")}
        for pv, key in pvs.items():
            # A motor record is one thing, by whichever of its fields it is written.
            record = re.sub(r"\.[A-Z][A-Z0-9]*$", "", pv)
            other = owners.setdefault(record, name)
            if other != name:
                yield key, f": the PV {pv!r} belongs to {other} already"
                break


SHELL = frozenset(
    {
        "MapView", "OxidationMap", "RE", "Region", "RixsMap", "Scan", "Zone", "agglomerates",
        "bp", "bpp", "bps", "calibrate_aperture", "calibrate_energy", "calibrate_focus",
        "calibrations", "cat", "dose_so_far", "draw_agglomerates", "draw_scan", "energy",
        "export_run", "load_references", "omap", "oxidation_map", "oxidation_maps", "pmap",
        "points_scan", "profiles", "ptychography_from_run", "ptychography_scan",
        "references_from_csv", "rixs_from_run", "rixs_map", "rmap", "rotation_scan", "s",
        "scans_from_run", "sd", "stack_scan", "windows",
    }
)  # fmt: skip
"""Names that a session's shell has, besides those of plans."""
OF_THE_SESSION = frozenset(
    {
        "beam_shutter", "beamline", "close", "closed", "closing", "data", "devices", "end_run",
        "ended_by", "extras", "file", "finish", "log", "logged", "maps", "namespace", "nxstxm",
        "publish", "show", "simulation", "stored", "unless_ending",
    }
)  # fmt: skip
"""Attributes of a session: ``s.close`` must not be somebody's valve."""
OF_THE_QUEUE = frozenset(
    {"count", "scan", "rel_scan", "list_scan", "rel_list_scan", "grid_scan", "rel_grid_scan", "mv",
     "apply_calibration", "revert_calibration", "list_calibrations"}
)  # fmt: skip
"""What a queue server has by name: bluesky's plans, also as ``…_with_beam``, and functions."""
_COLUMNS = {"time", "seq_num", "uid", "data", "timestamps", "filled", "descriptor", "configuration"}
"""Names that tables of events have besides the data keys."""
_TAKEN = ("ts_", "tes_", "stxm_", "time_", "dim_")
"""Starts of names that tables of events and other devices have."""


def _no_name(file: BeamlineFile, name: str) -> str | None:
    """Why a device cannot have this name: it becomes a name in the shell and in documents."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        return f": a device's name is letters, digits and _, a letter first, not {name!r}"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return f": {name!r} is a word of Python; call the device otherwise"
    for start in _TAKEN:
        if name.startswith(start):
            return f": names that start with {start!r} are taken; call the device otherwise"
    from .. import plans  # late: the simulated beamline starts meanwhile

    roles = dict(file.roles_of(name))
    if name.removesuffix("_with_beam") in OF_THE_QUEUE:
        return f": the name {name!r} is taken in a queue server; call the device otherwise"
    if name in SHELL | OF_THE_SESSION | {*plans.__all__} | _COLUMNS | {*LINE_KEYS, *POINT_KEYS}:
        return f": the name {name!r} is taken by data or the shell; call the device otherwise"
    if name in file.instruments and roles.get(name) != "detector":
        return f": the name {name!r} is the instrument's; call the device otherwise"
    if "counters" in roles.values() and name in {*dir(STXM), *STXM.ROLES, *STXM.__annotations__}:
        return f": the name {name!r} is taken by the microscope; call the counter otherwise"
    return None
