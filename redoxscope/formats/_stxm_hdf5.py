"""NXstxm of any program, Data Exchange of Mantis, and a measured sample, from HDF5."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ._errors import FormatError
from ._hdf5 import opened
from ._stxm_parts import EMPTY, Raw, StxmFile, chosen, moment

if TYPE_CHECKING:
    import h5py

__all__ = ["read_hdf5"]

Array = NDArray[np.float64]
OTHER = ("focus", "osa", "detector image", "generic")
"""Words in the type of scans that are none of a sample."""
ENERGIES = ("energy", "photon_energy")
EXCHANGE = "exchange/data"
ROLES = (EMPTY, "dose check", "dark")
"""Roles that titles of our own entries name: theirs are no images of the sample's regions."""
SECONDS = {
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3,
    "millisecond": 1e-3, "milliseconds": 1e-3, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "usec": 1e-6,
    "microsecond": 1e-6, "microseconds": 1e-6,
}  # fmt: skip
"""Seconds of a unit of time."""


def read_hdf5(path: Path, channel: str | None) -> tuple[StxmFile, list[Raw]]:
    """Read what an HDF5 file holds of a microscope.

    Raises
    ------
    FormatError
        It is none of the layouts that are known.
    """
    with opened(path) as file:
        entries = [group for group in _groups(file, "NXentry") if _text(group, "definition")]
        entries = [group for group in entries if _text(group, "definition") == "NXstxm"]
        if entries:
            return _of_nxstxm(path, entries, channel)
        if EXCHANGE in file:
            return _of_exchange(path, file)
        if "counts" in file and "energy" in file:
            return _of_sample(path, file)
    raise FormatError(
        f"{path.name} is neither NXstxm nor Data Exchange, nor has it 'counts' and 'energy'"
    )


# -- NXstxm ------------------------------------------------------------------------------------


def _of_nxstxm(
    path: Path, entries: list[h5py.Group], channel: str | None
) -> tuple[StxmFile, list[Raw]]:
    regions: list[Raw] = []
    channels: list[str] = []
    name = ""
    for entry in entries:
        groups = {
            group.name.rpartition("/")[2]: group
            for group in _groups(entry, "NXdata")
            if _signal(group) is not None
        }
        names = list(groups)
        default = _plain(entry.attrs.get("default", ""))
        names.sort(key=lambda one: one != default)
        called = {one: _text(groups[one], "title") or one for one in names}
        wanted = next((one for one in names if called[one] == channel), channel)
        name = chosen(path, wanted, names)
        channels = channels or names
        regions.append(_region(path, entry, groups[name]))
    several = len(regions) > 1
    for i, raw in enumerate(regions, start=1):
        raw.name = raw.name or (f"region_{i}" if several else "region")
    first = entries[0]
    time = moment(_text(first, "start_time")) if _text(first, "start_time") else None
    sample = _text(first, "sample/name")
    return StxmFile(path, "NXstxm", name, tuple(channels), (), time, sample), regions


def _region(path: Path, entry: h5py.Group, data: h5py.Group) -> Raw:
    where = f"{path.name}{data.name}"
    kind = _text(data, "stxm_scan_type").lower()
    if any(word in kind for word in OTHER):
        raise FormatError(f"{where} is a {kind!r}: images, stacks and spectra of a sample are read")
    place, key = next(
        ((data, key) for key in ENERGIES if key in data), (entry, "instrument/monochromator/energy")
    )
    energy, energy_unit = _values(place, key), _unit(place, key)
    if place is entry:
        energy = energy[:1]
    if not energy.size:
        raise FormatError(f"{where} does not say the photon energy")
    x, y = _values(data, "sample_x"), _values(data, "sample_y")
    if not x.size or not y.size:
        raise FormatError(f"{where} has no positions sample_x and sample_y")
    signal = _signal(data)
    assert signal is not None
    counts = np.asarray(signal[()], dtype=np.float64)
    remarks: list[str] = []
    if "line" in kind and counts.ndim == 2 or _is_line(data, counts, energy, x, y):
        if np.ptp(y) > 0:
            if np.ptp(x) > 0:
                raise FormatError(f"{where} is a line across x and y: only lines along x are read")
            raise FormatError(f"{where} is a line along y: only lines along x are read")
        y = y[:1]
    counts = _ordered(where, data, counts, (len(energy), len(y), len(x)))
    monitor = _monitor(entry, np.asarray(signal[()]).shape, counts.shape, remarks)
    dwell = _times(data, "count_time", "s", remarks)
    if not dwell.size:
        name = f"instrument/{data.name.rpartition('/')[2]}/count_time"
        dwell = _times(entry, name, "s", remarks)[:1]
    if dwell.size not in (1, len(energy)):
        remarks.append(f"{dwell.size} dwells for {len(energy)} energies: the first is taken")
        dwell = dwell[:1]
    unit = _plain(signal.attrs.get("units", ""))
    position = _unit(data, "sample_x")
    title = _text(entry, "title") if _text(entry, "entry_identifier_uuid") else ""
    role = next((word for word in title.split(", ")[1:] if word in ROLES), "")
    return Raw(
        title, energy, x, y, counts, dwell if dwell.size else np.array([np.nan]), unit, position,
        monitor, _unit(entry, "control/data"), energy_unit=energy_unit, role=role,
        remarks=remarks,
    )  # fmt: skip


def _is_line(data: h5py.Group, counts: Array, energy: Array, x: Array, y: Array) -> bool:
    same = len(x) == len(y) == counts.shape[-1]
    return same and counts.ndim == 2 and counts.shape[0] == len(energy) and "sample_y" in data


def _ordered(where: str, data: h5py.Group, counts: Array, shape: tuple[int, int, int]) -> Array:
    """Data as [energy, y, x]: axes of a single value may be missing, and come in any order."""
    wanted = tuple(n for n in shape if n > 1)
    names = [_plain(one) for one in np.atleast_1d(data.attrs.get("axes", []))]
    if len(names) != counts.ndim:
        names = _legacy(data, counts.ndim)
    known = {"energy": 0, "photon_energy": 0, "sample_y": 1, "sample_x": 2}
    places = [known.get(name, -1) for name in names]
    if len(places) == counts.ndim and sorted(places) == sorted({*places} - {-1}):
        counts = np.transpose(counts, np.argsort(places))
    found = tuple(n for n in counts.shape if n > 1)
    if found != wanted:
        raise FormatError(f"{where} has data of {counts.shape} where its axes are of {shape}")
    return counts.reshape(shape)


def _legacy(data: h5py.Group, ndim: int) -> list[str]:
    """Axes by the attribute ``axis`` of each, from 1, as old programs have it."""
    found: dict[int, str] = {}
    for name, one in data.items():
        axis = one.attrs.get("axis")
        if axis is not None and str(_plain(axis)).isdigit():
            found.setdefault(int(axis), name)
    return [found.get(i, "") for i in range(1, ndim + 1)]


def _monitor(
    entry: h5py.Group, raw: tuple[int, ...], shape: tuple[int, ...], remarks: list[str]
) -> Array | None:
    """Counts of a monitor, pixel by pixel; some programs have the ring current there."""
    values = _values(entry, "control/data")
    if not values.size:
        return None
    if values.shape != raw:
        remarks.append(f"control has {values.shape} values where the data have {raw}: not used")
        return None
    found = values.reshape(shape)
    if shape[1] * shape[2] > 1 and not np.nan_to_num(np.ptp(found, axis=(1, 2))).any():
        remarks.append("control is the same in each image: no monitor's counts, not used")
        return None
    return found


# -- others ------------------------------------------------------------------------------------


def _of_exchange(path: Path, file: h5py.File) -> tuple[StxmFile, list[Raw]]:
    """Data Exchange as Mantis writes a stack: data [x, y, energy]."""
    place = file["exchange"]
    energy, x, y = (_values(place, key) for key in ("energy", "x", "y"))
    if not (energy.size and x.size and y.size):
        raise FormatError(f"{path.name}: exchange has no energy, x and y")
    counts = np.asarray(place["data"][()], dtype=np.float64)
    if counts.shape != (len(x), len(y), len(energy)):
        raise FormatError(
            f"{path.name}: exchange/data has {counts.shape} values where x, y and energy have "
            f"{(len(x), len(y), len(energy))}"
        )
    remarks: list[str] = []
    dwell = _times(file, "spectromicroscopy/data_dwell", "ms", remarks)
    raw = Raw(
        "region", energy, x, y, np.transpose(counts, (2, 1, 0)),
        dwell if dwell.size in (1, len(energy)) else np.array([np.nan]),
        _unit(place, "data"), _unit(place, "x"), energy_unit=_unit(place, "energy"),
        remarks=remarks,
    )  # fmt: skip
    return StxmFile(path, "Data Exchange", "data", ("data",), ()), [raw]


def _of_sample(path: Path, file: h5py.File) -> tuple[StxmFile, list[Raw]]:
    """A measured sample of the simulated beamline: dwell in ms."""
    values: Mapping[str, Array] = {
        key: _values(file, key) for key in ("counts", "energy", "x", "y", "dwell", "ring_current")
    }
    current = values["ring_current"]
    raw = Raw(
        "region", values["energy"], values["x"], values["y"], values["counts"],
        values["dwell"] * 1e-3 if values["dwell"].size else np.array([np.nan]), "counts", "um",
        ring_current=current if current.size == values["energy"].size else None,
    )  # fmt: skip
    return StxmFile(path, "measured sample", "counts", ("counts",), ()), [raw]


# -- HDF5 --------------------------------------------------------------------------------------


def _groups(parent: h5py.Group, kind: str) -> list[h5py.Group]:
    return [
        one
        for one in parent.values()
        if hasattr(one, "values") and _plain(one.attrs.get("NX_class", "")) == kind
    ]


def _signal(group: h5py.Group) -> Any:
    """The data of a group; None where it holds none."""
    name = _plain(group.attrs.get("signal", "")) or "data"
    found = group.get(name, group.get("data"))
    return found if hasattr(found, "shape") else None


def _values(parent: h5py.Group, name: str) -> Array:
    """Numbers of a dataset, at least one dimension; none where it is not there."""
    found = parent.get(name)
    if not hasattr(found, "shape") or found.dtype.kind not in "iufb":
        return np.array([])
    return np.atleast_1d(np.asarray(found[()], dtype=np.float64))


def _unit(parent: h5py.Group, name: str) -> str:
    """Unit of a dataset, as it says; empty where it says none, or is not there."""
    found = parent.get(name)
    return "" if found is None else _plain(found.attrs.get("units", "")).strip()


def _times(parent: h5py.Group, name: str, usual: str, remarks: list[str]) -> Array:
    """Times (s) of a dataset, in its own unit or the usual one; none where it is not there."""
    values, unit = _values(parent, name), _unit(parent, name) or usual
    scale = SECONDS.get(unit.lower())
    if values.size and scale is None:
        remarks.append(f"{name.rpartition('/')[2]} is in {unit!r}, no unit of time: not used")
        return np.full(1, np.nan)
    return values * (scale or 1.0)


def _text(parent: h5py.Group, name: str) -> str:
    found = parent.get(name)
    return _plain(found[()]) if hasattr(found, "shape") and found.shape is not None else ""


def _plain(value: Any) -> str:
    """Text of whatever HDF5 has it in."""
    while isinstance(value, np.ndarray):
        if not value.size:
            return ""
        value = value.flat[0]
    if type(value).__name__ == "Empty":
        return ""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
