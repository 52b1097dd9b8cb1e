"""NXstxm files, written while they are measured.

HDF5 lays out the whole file, full of NaN, and is closed. Values then go to their places in it with
plain writes, so the file can be opened at any moment, also after its writer was killed: nothing
that HDF5 needs to find its way is ever changed.

The layout is what nxvalidate of nexusformat 2.1 and Mantis 3.3 accept: texts that readers look at
are arrays of one byte string, ``count_time`` is there, and each entry has one set of axes.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._reserve import reserve

if TYPE_CHECKING:
    import h5py

__all__ = ["SCAN_TYPES", "NxstxmAxis", "NxstxmEntry", "NxstxmWriter", "nxstxm_channel"]

SCAN_TYPES = (
    "sample point spectrum", "sample line spectrum", "sample image", "sample image stack",
    "sample focus", "osa image", "osa focus", "detector image", "generic scan",
)  # fmt: skip
"""What ``stxm_scan_type`` may say."""
COUNTS, EXACT, STATUS = np.dtype("<f4"), np.dtype("<f8"), np.dtype("i1")
"""Four bytes hold whole counts up to 16 million; positions and energies need eight."""
TIME_LENGTH = 32
NO_LINE = -1
"""``line_status`` where no line has come."""
_NEEDED = ("energy", "sample_y", "sample_x")


@dataclass(frozen=True)
class NxstxmAxis:
    """Values along a dimension of the data.

    Parameters
    ----------
    name : str
        As NXstxm calls it: energy, sample_y, sample_x, zoneplate_z, osa_y, detector_x, ...
    values : numpy.ndarray [n]
    unit : str
    """

    name: str
    values: NDArray[np.float64]
    unit: str = "um"


@dataclass(frozen=True)
class NxstxmEntry:
    """One regular array of a scan, with all that was measured with it.

    Parameters
    ----------
    title : str
    scan_type : str
        One of `SCAN_TYPES`.
    axes : tuple of NxstxmAxis
        Of the data, slowest first.
    detectors : tuple of str
        Counters, the one behind the sample first.
    count_time : numpy.ndarray
        Time per point (s), as long as the first axis.
    monitor : str
        The one of the incoming beam; empty for none.
    beside : tuple of (NxstxmAxis, int or None)
        Further axes and the dimension along which they lie; None for a single value. NXstxm
        demands energy, sample_y and sample_x of every scan.
    measured : tuple of str
        Positions that come with each point.

    Raises
    ------
    ValueError
        An unknown type of scan, or energy, sample_y or sample_x are missing.
    """

    title: str
    scan_type: str
    axes: tuple[NxstxmAxis, ...]
    detectors: tuple[str, ...]
    count_time: NDArray[np.float64]
    monitor: str = ""
    beside: tuple[tuple[NxstxmAxis, int | None], ...] = ()
    measured: tuple[str, ...] = ("sample_x", "sample_y")

    def __post_init__(self) -> None:
        if self.scan_type not in SCAN_TYPES:
            raise ValueError(f"scan type {self.scan_type!r} is none of {', '.join(SCAN_TYPES)}")
        there = {axis.name for axis in self.axes} | {axis.name for axis, _ in self.beside}
        lacking = [name for name in _NEEDED if name not in there]
        if lacking:
            raise ValueError(f"NXstxm needs {' and '.join(lacking)} of {self.title!r}")

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data."""
        return tuple(len(axis.values) for axis in self.axes)


@dataclass
class _Place:
    """Where a dataset lies in the file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def at(self, index: tuple[int, ...]) -> int:
        """Byte of an element, or of the first of a row."""
        steps = np.cumprod((1, *self.shape[:0:-1]))[::-1][: len(index)]
        return self.offset + self.dtype.itemsize * int(np.dot(index, steps) if index else 0)


@dataclass
class _Places:
    """Datasets of an entry that are written while it is measured."""

    data: dict[str, _Place] = field(default_factory=dict)
    flat: dict[str, _Place] = field(default_factory=dict)
    points: dict[str, _Place] = field(default_factory=dict)
    status: _Place | None = None


class NxstxmWriter:
    """An NXstxm file that is filled row by row.

    Parameters
    ----------
    path : Path
        The file that is made; another program may read it at any time.
    entries : sequence of NxstxmEntry
        They become ``entry1``, ``entry2``, ...
    start_time : str
        ISO 8601 with offset.
    source : str
        Name of the source or beamline.
    sample : str
    zone_plate : mapping of str to (value, unit), optional
        What is known of it, by the names of NXfresnel_zone_plate.
    uid : str
        Of the run.

    Raises
    ------
    OSError
        The file is there, cannot be made, or has no room.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        entries: Sequence[NxstxmEntry],
        *,
        start_time: str,
        source: str = "",
        sample: str = "",
        zone_plate: Mapping[str, tuple[float | Sequence[float], str]] | None = None,
        uid: str = "",
    ) -> None:
        import h5py

        self.path = Path(path)
        self.entries = tuple(entries)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        try:
            reserve(self._fd, sum(map(_bytes, self.entries)))
            # The oldest layout, for readers of other programs.
            with h5py.File(self.path, "w", libver=("earliest", "v110")) as file:
                _attrs(file, NX_class="NXroot", default="entry1")
                found = [
                    _entry(
                        file, f"entry{i}", entry, start_time, source, sample, uid, zone_plate or {}
                    )
                    for i, entry in enumerate(self.entries, start=1)
                ]
            # Only now do they have their places on the disk.
            self._places, self._ends = [], []
            with h5py.File(self.path, "r") as file:
                for i, names in enumerate(found, start=1):
                    self._places.append(_places(file[f"entry{i}"], names))
                    self._ends.append(_place(file[f"entry{i}/end_time"]))
        except BaseException:
            os.close(self._fd)
            self.path.unlink()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(
        self,
        entry: int,
        index: tuple[int, ...],
        number: int,
        counts: Mapping[str, ArrayLike],
        *,
        energy: float,
        count_time: float,
        positions: Mapping[str, ArrayLike] | None = None,
        status: int = 0,
        usable: bool = True,
        backwards: bool = False,
    ) -> None:
        """Write a row of an entry, or a point; what was there is replaced.

        Parameters
        ----------
        entry : int
            Index of the entry.
        index : tuple of int
            Where it belongs in the data: of all axes but the last for a row, of all for a point.
        number : int
            The how-manieth row, or point, of the entry it is in time, from 0.
        counts : mapping of str to array
            By detector, the monitor's among them.
        energy : float
            Measured (eV).
        count_time : float
            Time per point (s).
        positions : mapping of str to array, optional
            Measured (µm) of each point, by the names of the entry's ``measured``.
        status : int
            Of the line.
        usable : bool
            Whether its counts may be used. Where not, the data hold NaN: readers do not look at the
            status. In the instrument's lists they stand as they came.
        backwards : bool
            Points came against the last axis.
        """
        places, whole = self._places[entry], self.entries[entry]
        row = len(index) < len(whole.shape)
        n = whole.shape[-1] if row else 1
        for name, values in counts.items():
            if (place := places.flat.get(name)) is not None:
                self._put(place, (number * n,), values, n)
            if (place := places.data.get(name)) is not None:
                along = np.asarray(values)[::-1] if backwards and row else values
                self._put(place, index, along if usable else np.nan, n)
        here = {**(positions or {}), "energy": energy, "count_time": count_time}
        for name, values in here.items():
            for key, place in places.points.items():
                if key == name or key.startswith(f"{name}/"):
                    self._put(place, (number * n,), values, n)
        if places.status is not None:
            self._put(places.status, index if row else index[:-1], status, 1)

    def _put(self, place: _Place, index: tuple[int, ...], values: ArrayLike, n: int) -> None:
        found = np.broadcast_to(np.asarray(values, dtype=place.dtype), (n,))
        content = memoryview(found.tobytes())
        at = place.at(index)
        while content:
            done = os.pwrite(self._fd, content, at)
            content, at = content[done:], at + done

    def finish(self, end_time: str) -> None:
        """Say when the scan ended (ISO 8601 with offset), and close."""
        text = np.array(end_time.encode("ascii"), dtype=f"S{TIME_LENGTH}")
        for place in self._ends:
            os.pwrite(self._fd, text.tobytes(), place.offset)
        os.fsync(self._fd)
        self.close()

    def close(self) -> None:
        """Close the file; what is not measured stays NaN."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def nxstxm_channel(index: int) -> str:
    """Name of the data of a detector."""
    return f"counter{index}"


# -- the layout --------------------------------------------------------------------------------


def _bytes(entry: NxstxmEntry) -> int:
    """About what the arrays of an entry take."""
    n = math.prod(entry.shape)
    several = len(entry.detectors) + bool(entry.monitor)
    return n * (
        2 * COUNTS.itemsize * several
        + EXACT.itemsize * (1 + len(entry.measured) + len(entry.detectors))
    )


def _entry(
    file: h5py.File,
    name: str,
    entry: NxstxmEntry,
    start_time: str,
    source: str,
    sample: str,
    uid: str,
    zone_plate: Mapping[str, tuple[float | Sequence[float], str]],
) -> dict[str, dict[str, str]]:
    """Lay out an entry; paths of what is written later, within it."""
    n = math.prod(entry.shape)
    group = _group(file, name, "NXentry", default=nxstxm_channel(0))
    group["definition"] = np.array([b"NXstxm"])  # of one element: Mantis reads its first
    group["title"] = entry.title
    group["entry_identifier_uuid"] = uid
    group["start_time"] = np.bytes_(start_time)
    # Until it has ended, the end is the beginning; a text of this length, to be replaced.
    group["end_time"] = np.array(start_time.encode("ascii"), dtype=f"S{TIME_LENGTH}")
    instrument = _group(group, "instrument", "NXinstrument")
    place = _group(instrument, "source", "NXsource")
    place["name"], place["type"], place["probe"] = source, "Synchrotron X-ray Source", "x-ray"
    if zone_plate:
        # NXinstrument has no place for an NXfresnel_zone_plate, nor that for A0 and A1.
        place = _group(instrument, "zone_plate", "NXcollection")
        for key, (value, unit) in zone_plate.items():
            place[key] = value
            if unit:
                place[key].attrs["units"] = unit
    paths: dict[str, dict[str, str]] = {"data": {}, "flat": {}, "points": {}, "status": {}}
    place = _group(instrument, "monochromator", "NXmonochromator")
    _fill(place, "energy", (n,), EXACT, np.nan, units="eV")
    paths["points"]["energy"] = "instrument/monochromator/energy"
    for key in entry.measured:
        place = _group(instrument, key, "NXdetector")
        _fill(place, "data", (n,), EXACT, np.nan, units="um")
        paths["points"][key] = f"instrument/{key}/data"
    held = _group(group, "sample", "NXsample")
    held["name"] = sample
    held["rotation_angle"] = 0.0
    held["rotation_angle"].attrs["units"] = "deg"
    for i, detector in enumerate(entry.detectors):
        channel = nxstxm_channel(i)
        place = _group(instrument, channel, "NXdetector")
        place["local_name"] = detector
        _fill(place, "data", (n,), COUNTS, np.nan, units="counts")
        _fill(place, "count_time", (n,), EXACT, np.nan, units="s")
        paths["flat"][detector] = f"instrument/{channel}/data"
        paths["points"][f"count_time/{i}"] = f"instrument/{channel}/count_time"
        _data(group, channel, entry, detector)
        paths["data"][detector] = f"{channel}/data"
    paths["status"]["line"] = f"{nxstxm_channel(0)}/line_status"
    if entry.monitor:
        control = _group(group, "control", "NXmonitor")
        _fill(control, "data", entry.shape, COUNTS, np.nan, units="counts")
        paths["data"][entry.monitor] = "control/data"
    return paths


def _data(group: h5py.Group, channel: str, entry: NxstxmEntry, detector: str) -> None:
    data = _group(
        group, channel, "NXdata", signal="data",
        axes=np.array([axis.name.encode() for axis in entry.axes]),
    )  # fmt: skip
    data["title"] = detector
    _fill(data, "data", entry.shape, COUNTS, np.nan)
    if channel == nxstxm_channel(0):
        _fill(data, "line_status", entry.shape[:-1], STATUS, NO_LINE)
    for axis, dim in (*((axis, i) for i, axis in enumerate(entry.axes)), *entry.beside):
        data[axis.name] = np.atleast_1d(np.asarray(axis.values, dtype=EXACT))
        data[axis.name].attrs["units"] = axis.unit
        if dim is not None:
            data.attrs[f"{axis.name}_indices"] = dim
    data["count_time"] = np.asarray(entry.count_time, dtype=EXACT)
    data["count_time"].attrs["units"] = "s"
    data["stxm_scan_type"] = np.array([entry.scan_type.encode()])


def _group(parent: h5py.Group, name: str, kind: str, **attributes: Any) -> h5py.Group:
    group = parent.create_group(name)
    _attrs(group, NX_class=kind, **attributes)
    return group


def _attrs(place: h5py.HLObject, **attributes: Any) -> None:
    for key, value in attributes.items():
        place.attrs[key] = value


def _fill(
    group: h5py.Group, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], value: float,
    **attributes: Any,
) -> None:  # fmt: skip
    """A dataset in one piece that is on the disk as soon as it is made."""
    from h5py import h5d, h5p, h5s, h5t

    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_layout(h5d.CONTIGUOUS)
    plist.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    plist.set_fill_value(np.array(value, dtype=dtype))
    space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
    h5d.create(group.id, name.encode(), h5t.py_create(dtype), space, plist)
    _attrs(group[name], **attributes)


def _places(group: h5py.Group, paths: Mapping[str, Mapping[str, str]]) -> _Places:
    def all_of(kind: str) -> dict[str, _Place]:
        return {name: _place(group[path]) for name, path in paths[kind].items()}

    return _Places(
        all_of("data"), all_of("flat"), all_of("points"), all_of("status").get("line")
    )  # fmt: skip


def _place(dataset: h5py.Dataset) -> _Place:
    offset = dataset.id.get_offset()
    if offset is None:
        raise OSError(f"{dataset.file.filename}: {dataset.name} has no place in the file")
    return _Place(int(offset), dataset.shape, dataset.dtype)
