"""The photon list of a run: HDF5, one dataset per column, extended while the run goes on.

Below ``/entry/photons`` (NXevent_data) lie ``pixel``, ``time``, ``filtered``, ``pretrigger``,
``energy``, ``point`` and ``late``, one entry per photon in the order in which they came, and per
point ``event_time_zero`` (its start), ``event_index`` (its first photon), ``point_number``,
``point_end`` and ``point_count``. Late photons of a point stand after photons of the next, so
the column ``point`` has the word. ``/entry/calibration`` and ``/entry/configuration`` are JSON.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.documents import PHOTON_KEYS
from redoxscope.photons import Photons

from ._errors import FormatError
from ._reserve import reserve, reserve_new

__all__ = ["CHUNK", "COLUMNS", "POINT_DTYPE", "PhotonList", "PhotonListWriter", "read_photon_list"]

CHUNK = 1 << 15
"""Photons per chunk of the datasets."""

_PREFIX = "tes_photon_"
_GROUP = "/entry/photons"
COLUMNS = {key: f"{_GROUP}/{key.removeprefix(_PREFIX)}" for key in PHOTON_KEYS}
"""Dataset of each data key of the stream."""

POINT_DTYPE = np.dtype(
    [("point", "<i4"), ("start", "<i8"), ("end", "<i8"), ("first", "<i8"), ("count", "<i8")]
)
"""A point: number, start and end (ns since 1970), position of its first photon, photons."""

_POINT_SETS = {
    "point_number": ("point", None),
    "event_time_zero": ("start", "ns"),
    "point_end": ("end", "ns"),
    "event_index": ("first", None),
    "point_count": ("count", None),
}
_POINT_CHUNK = 1024
_PHOTON_SIZE = sum(np.dtype(dtype).itemsize for dtype, _ in PHOTON_KEYS.values())
_BASE_SIZE = 1 << 18  # bytes of an empty list, generously
_EPOCH = "1970-01-01T00:00:00Z"


class PhotonListWriter:
    """Write the photon list of a run; others may read it meanwhile (SWMR).

    Parameters
    ----------
    path : path
        The file. Folders above are made; an existing file is never replaced.
    calibration : mapping, optional
        What the energies were computed with, for JSON.
    attributes : mapping, optional
        Whatever else belongs to the run, for JSON.

    Raises
    ------
    TypeError
        ``calibration`` or ``attributes`` hold what JSON cannot.
    OSError
        The file exists or cannot be made; names it.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        calibration: Mapping[str, Any] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> None:
        self.path = Path(path).absolute()
        self._lock = threading.Lock()  # append and flush may come from different threads
        self._count = 0
        self._places: dict[int, list[int]] = {}  # point -> first photon, photons
        self._points = 0
        self._closed = False
        notes = {
            "calibration": json.dumps(None if calibration is None else dict(calibration)),
            "configuration": json.dumps(None if attributes is None else dict(attributes)),
        }
        self._base = _BASE_SIZE + 2 * sum(len(note.encode()) for note in notes.values())
        with self._named("made"):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            reserve_new(self.path, self._base)
            self._file = h5py.File(self.path, "w", libver="latest")
            self._fd = int(self._file.id.get_vfd_handle())
            reserve(self._fd, self._base)
            self._columns = _lay_out(self._file, notes)
            self._file.swmr_mode = True

    @property
    def count(self) -> int:
        """Photons so far."""
        return self._count

    def append(self, photons: Photons, point: ArrayLike, late: ArrayLike) -> None:
        """Add photons; they are on their way to the disk after :meth:`flush`.

        Parameters
        ----------
        photons : Photons
            The photons [n].
        point : array_like of int [n]
            Point whose window holds each, -1 for none.
        late : array_like of bool [n]
            Whether that point had been closed already.

        Raises
        ------
        ValueError
            Columns of different length, or the writer is closed.
        OSError
            The disk is full or fails; names the file. Nothing of the batch counts.
        """
        numbers = np.asarray(point, np.int32)
        flags = np.asarray(late, np.uint8)
        n = len(photons)
        if numbers.shape != (n,) or flags.shape != (n,):
            raise ValueError(
                f"photon list {self.path}: {n} photons, but point of shape {numbers.shape} and "
                f"late of shape {flags.shape}"
            )
        if not n:
            return
        values = (
            photons.pixel, photons.time_ns, photons.filtered, photons.pretrigger, photons.energy,
            numbers, flags,
        )  # fmt: skip
        with self._lock:
            if self._closed:
                raise ValueError(f"photon list {self.path} is closed")
            with self._named("written"):
                self._reserve(n)
                for dataset, column in zip(self._columns, values, strict=True):
                    dataset.resize((self._count + n,))
                    dataset[self._count :] = column
            found, first, counts = np.unique(numbers, return_index=True, return_counts=True)
            for number, at, each in zip(found, first, counts, strict=True):
                place = self._places.setdefault(int(number), [self._count + int(at), 0])
                place[1] += int(each)
            self._count += n

    def add_points(self, points: Iterable[tuple[int, int, int]]) -> None:
        """Add finished points to the table of points.

        Parameters
        ----------
        points : iterable of (int, int, int)
            Number, start and end (ns since 1970) of each; with the photons that have been
            appended so far.

        Raises
        ------
        ValueError
            The writer is closed.
        OSError
            The disk is full or fails; names the file.
        """
        with self._lock:
            if self._closed:
                raise ValueError(f"photon list {self.path} is closed")
            nowhere = [self._count, 0]
            rows = np.array(
                [(n, start, end, *self._places.get(n, nowhere)) for n, start, end in points],
                POINT_DTYPE,
            )
            if not len(rows):
                return
            with self._named("written"):
                self._reserve(0, len(rows))
                for name, (field, _) in _POINT_SETS.items():
                    dataset = self._file[_GROUP][name]
                    dataset.resize((self._points + len(rows),))
                    dataset[self._points :] = rows[field]
            self._points += len(rows)

    def flush(self) -> None:
        """Hand everything to the operating system, where other processes see it.

        Raises
        ------
        OSError
            The disk is full or fails; names the file.
        """
        with self._lock, self._named("written"):
            if not self._closed:
                self._file.flush()

    def close(self, points: Iterable[tuple[int, int, int]] = ()) -> None:
        """Close the file; again is no error.

        Parameters
        ----------
        points : iterable of (int, int, int)
            As in :meth:`add_points`.

        Raises
        ------
        OSError
            The disk is full or fails; names the file, which counts as closed nevertheless.
        """
        if self._closed:
            return
        try:
            self.add_points(points)
        finally:
            with self._lock, self._named("completed"):
                self._closed = True
                self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _reserve(self, photons: int, points: int = 0) -> None:
        """Set space aside for everything so far, this much more, and one more of each chunk."""
        chunks = (self._count + photons) // CHUNK + 2
        tables = (self._points + points) // _POINT_CHUNK + 2
        size = self._base + chunks * (CHUNK * _PHOTON_SIZE + 1024)
        try:
            reserve(self._fd, size + tables * (_POINT_CHUNK * POINT_DTYPE.itemsize + 1024))
        except OSError:
            self._file.flush()  # gives back what a reservation got before it failed
            raise

    @contextmanager
    def _named(self, done: str) -> Iterator[None]:
        try:
            yield
        # h5py reports a failing disk as either
        except (OSError, RuntimeError) as exc:
            number = getattr(exc, "errno", None)
            reason = os.strerror(number) if number else str(exc)
            raise OSError(
                number or errno.EIO, f"photon list cannot be {done}: {reason}", str(self.path)
            ) from exc


def _lay_out(file: h5py.File, notes: Mapping[str, str]) -> list[h5py.Dataset]:
    """Everything the file will hold: in SWMR mode nothing can be added."""
    file.attrs.update({"NX_class": "NXroot", "default": "entry", "creator": "redoxscope"})
    entry = file.create_group("entry")
    entry.attrs.update({"NX_class": "NXentry", "default": "photons"})
    for name, text in notes.items():
        note = entry.create_group(name)
        note.attrs["NX_class"] = "NXnote"
        note["type"] = "application/json"
        note["data"] = text
    group = entry.create_group("photons")
    group.attrs["NX_class"] = "NXevent_data"
    columns = [
        _dataset(file, COLUMNS[key], dtype, unit, CHUNK)
        for key, (dtype, unit) in PHOTON_KEYS.items()
    ]
    for name, (field, unit) in _POINT_SETS.items():
        _dataset(file, f"{_GROUP}/{name}", POINT_DTYPE[field], unit, _POINT_CHUNK)
    group["event_id"] = h5py.SoftLink(COLUMNS[f"{_PREFIX}pixel"])  # the name NeXus has for it
    return columns


def _dataset(
    file: h5py.File, path: str, dtype: str | np.dtype, unit: str | None, chunk: int
) -> h5py.Dataset:
    dataset = file.create_dataset(path, (0,), np.dtype(dtype), maxshape=(None,), chunks=(chunk,))
    if unit:
        dataset.attrs["units"] = unit
    if unit == "ns":
        dataset.attrs["offset"] = _EPOCH
    return dataset


@dataclass(frozen=True)
class PhotonList:
    """The photon list of a run, or a part of it.

    Attributes
    ----------
    path : Path
        The file.
    photons : Photons
        The photons [n], in the order in which they came.
    point : numpy.ndarray of int32 [n]
        Point whose window holds each, -1 for none.
    late : numpy.ndarray of bool [n]
        Whether that point had been closed already.
    points : numpy.ndarray [m] of ``POINT_DTYPE``
        ``point``, ``start`` and ``end`` (ns since 1970), ``first`` and ``count``.
    calibration : dict or None
        What the energies were computed with.
    attributes : dict or None
        What else the writer was given.
    problem : str or None
        What is wrong with the file, in words.
    """

    path: Path
    photons: Photons
    point: NDArray[np.int32]
    late: NDArray[np.bool_]
    points: NDArray[np.void]
    calibration: dict[str, Any] | None
    attributes: dict[str, Any] | None
    problem: str | None = None

    def __len__(self) -> int:
        return len(self.point)


def read_photon_list(
    path: str | os.PathLike[str], start: int = 0, stop: int | None = None
) -> PhotonList:
    """Read a photon list, finished or still being written.

    Parameters
    ----------
    path : path
        The file.
    start, stop : int, optional
        Photons from here up to there, in the order in which they came; default all.

    Raises
    ------
    FormatError
        Not a photon list; names the file and what is missing.
    OSError
        The file cannot be opened or read; names it.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "no such photon list", str(path))
    try:
        # Also a finished file, and one whose writer was killed, which opens in no other way.
        with h5py.File(path, "r", libver="latest", swmr=True) as file:
            return _read(path, file, start, stop)
    except KeyError as exc:
        raise FormatError(f"{path}: no photon list: {exc.args[0] if exc.args else exc}") from exc
    except OSError as exc:
        if "signature not found" in str(exc):
            raise FormatError(f"{path}: no photon list: not an HDF5 file") from exc
        raise OSError(
            exc.errno or errno.EIO, f"photon list cannot be read: {exc}", str(path)
        ) from exc


def _read(path: Path, file: h5py.File, start: int, stop: int | None) -> PhotonList:
    datasets = {key: file[name] for key, name in COLUMNS.items()}
    lengths = {len(dataset) for dataset in datasets.values()}
    n = min(lengths)
    part = slice(start, n if stop is None else min(stop, n))
    pixel, time, filtered, pretrigger, energy, point, late = (
        datasets[key][part].astype(np.dtype(PHOTON_KEYS[key][0]), copy=False) for key in COLUMNS
    )
    tables = {name: file[_GROUP][name][()] for name in _POINT_SETS}
    points = np.zeros(min(len(table) for table in tables.values()), POINT_DTYPE)
    for name, (field, _) in _POINT_SETS.items():
        points[field] = tables[name][: len(points)]
    return PhotonList(
        path=path,
        photons=Photons(pixel, time, filtered, pretrigger, energy),
        point=point,
        late=late.astype(bool),
        points=points,
        calibration=json.loads(file["/entry/calibration/data"].asstr()[()]),
        attributes=json.loads(file["/entry/configuration/data"].asstr()[()]),
        problem=None
        if len(lengths) == 1
        else f"columns of {min(lengths)} to {max(lengths)} photons: the last batch is incomplete",
    )
