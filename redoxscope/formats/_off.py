"""OFF files: one pixel's pulses as coefficients in its basis, 56 bytes a photon or so.

A JSON header that ends with a line ``}``, the projectors and the basis as float64, then records
of fixed size until the end. Version 0.1 keeps the matrices in the header (base64), version 0.3
adds the slope of the pre-trigger part to the records.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from redoxscope.photons import Photons

from ._dastard import FILTERED
from ._errors import FormatError, IncompleteHeader

__all__ = ["OffFile", "OffTail", "channel_of_name", "off_dtype", "read_off"]

Array = NDArray[np.float64]

_END = b"\n}\n"
_BLOCK = 1 << 16
_MAX_HEADER = 1 << 26  # bytes; version 0.1 keeps its matrices there, some 100 kB
_MAX_MODEL = 1 << 24  # numbers in a matrix
_DAY = 86_400_000_000_000  # ns
_MAX_SPAN = 60 * _DAY  # around the middle of a file; no run is as long


def off_dtype(version: str, n_bases: int) -> np.dtype:
    """Type of a record for numpy.

    Parameters
    ----------
    version : str
        "0.1.0", "0.2.0" or "0.3.0".
    n_bases : int
        Coefficients per record.

    Raises
    ------
    FormatError
        Another version.
    """
    major_minor = version.split(".")[:2]
    if major_minor not in (["0", "1"], ["0", "2"], ["0", "3"]):
        raise FormatError(f"OFF version {version!r} is not known; 0.1, 0.2 and 0.3 are")
    fields: list[Any] = [
        ("nsamp", "<i4"), ("npre", "<i4"), ("frame", "<i8"), ("t_ns", "<i8"), ("ptm", "<f4"),
    ]  # fmt: skip
    if major_minor == ["0", "3"]:
        fields.append(("ptd", "<f4"))
    return np.dtype([*fields, ("resid", "<f4"), ("coefs", "<f4", (n_bases,))])


@dataclass(frozen=True)
class OffFile:
    """One pixel's file, or the part of it that was asked for.

    Attributes
    ----------
    path : Path
        The file.
    channel : int
        Number of the channel, from the header or else from the file's name.
    header : dict
        The JSON header.
    version : str
        Of the format.
    projectors : numpy.ndarray [n_bases, n_samples]
        From a record to its coefficients.
    basis : numpy.ndarray [n_samples, n_bases]
        From coefficients to the record.
    records : numpy.ndarray [n]
        Every whole record, plausible or not: ``nsamp``, ``npre``, ``frame``, ``t_ns`` (ns since
        1970), ``ptm``, ``ptd`` (version 0.3), ``resid``, ``coefs`` [n, n_bases].
    plausible : numpy.ndarray of bool [n]
        Which of them can be pulses of this file.
    leftover_bytes : int
        After the last whole record.
    problem : str or None
        What is wrong with the file, in words; None where it is whole and sound.
    end : int
        Position after the last whole record, where to go on when the file has grown (bytes).
    """

    path: Path
    channel: int
    header: dict[str, Any]
    version: str
    projectors: Array
    basis: Array
    records: NDArray[np.void]
    plausible: NDArray[np.bool_]
    leftover_bytes: int
    problem: str | None
    end: int

    @cached_property
    def photons(self) -> Photons:
        """Photons of the plausible records, in the order of the file, without energies."""
        if self.records.dtype["coefs"].shape[0] <= FILTERED:
            return Photons.empty()
        rows = self.records if self.plausible.all() else self.records[self.plausible]
        return Photons.of(
            np.full(len(rows), self.channel, np.uint16),
            rows["t_ns"],
            rows["coefs"][:, FILTERED],
            rows["ptm"],
        )

    @property
    def frame_period(self) -> float:
        """Time between samples (s); NaN where the header does not say."""
        value = self.header.get("FramePeriodSeconds")
        return float(value) if isinstance(value, int | float) else float("nan")


def channel_of_name(path: str | os.PathLike[str]) -> int | None:
    """Channel number in a file name such as ``20200219_chan13.off``; None where there is none."""
    found = re.search(r"chan(\d+)(?:\.[^.]*)?$", Path(path).name)
    return int(found[1]) if found else None


def read_off(path: str | os.PathLike[str], offset: int | None = None) -> OffFile:
    """Read an OFF file of version 0.1, 0.2 or 0.3.

    A file that is cut off or still growing is read up to its last whole record; records that
    cannot be pulses are kept out of ``photons``; both are told in ``problem``.

    Parameters
    ----------
    path : path
        The file.
    offset : int, optional
        Byte at which to start, the ``end`` of an earlier reading; default: the first record.

    Raises
    ------
    FormatError
        The header cannot be used (``IncompleteHeader``: the file ends within it), or the
        offset is not where a record starts; names the file.
    OSError
        The file cannot be opened or read.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            return _read(path, file, offset)
        except FormatError as exc:
            raise type(exc)(f"{path}: {exc}") from exc.__cause__


def _read(path: Path, file: BinaryIO, offset: int | None) -> OffFile:
    header, start = _read_header(file)
    version = str(header.get("FileFormatVersion"))
    n_bases = _count(header, "NumberOfBases")
    dtype = off_dtype(version, n_bases)
    projectors, basis, start = _read_model(file, header, start, version, n_bases)
    first = start if offset is None else offset
    if first < start or (first - start) % dtype.itemsize:
        raise FormatError(f"offset {offset}: records of {dtype.itemsize} bytes start at {start}")
    file.seek(first)
    data = file.read()
    n, leftover = divmod(len(data), dtype.itemsize)
    records = np.frombuffer(data, dtype, n)
    plausible, problems = _check(records, header, projectors.shape[1])
    if leftover:
        problems.append(
            f"{leftover} bytes after the last whole record (cut off or still being written)"
        )
    if n_bases <= FILTERED:
        problems.append(f"{n_bases} coefficients per record: no filtered value, so no photons")
    channel = header.get("ChannelNumberMatchingName", channel_of_name(path))
    if not isinstance(channel, int) or not 0 <= channel < 1 << 16:
        raise FormatError(
            f"channel number {channel!r}, neither header nor file name has a usable one"
        )
    return OffFile(
        path=path,
        channel=channel,
        header=header,
        version=version,
        projectors=projectors,
        basis=basis,
        records=records,
        plausible=plausible,
        leftover_bytes=leftover,
        problem="; ".join(problems) or None,
        end=first + n * dtype.itemsize,
    )


def _read_header(file: BinaryIO) -> tuple[dict[str, Any], int]:
    """The header and where it ends (bytes)."""
    data = file.read(_BLOCK)
    if not data:
        raise IncompleteHeader("OFF file is empty")
    if not data.startswith(b"{"):
        raise FormatError(f"no OFF file: it starts with {data[:8]!r}, not with a JSON header")
    while (at := data.find(_END)) < 0:
        more = file.read(_BLOCK)
        if not more:
            raise IncompleteHeader(f"OFF header has no end within the file's {len(data)} bytes")
        data += more
        if len(data) > _MAX_HEADER:
            raise FormatError(f"OFF header has no end within {_MAX_HEADER} bytes")
    end = at + len(_END)
    try:
        header = json.loads(data[:end])
    except ValueError as exc:
        raise FormatError(f"OFF header is not JSON: {exc}") from exc
    if header.get("FileFormat") != "OFF":
        raise FormatError(f"FileFormat is {header.get('FileFormat')!r}, expected 'OFF'")
    return header, end


def _count(mapping: Any, key: str) -> int:
    value = mapping.get(key) if isinstance(mapping, dict) else None
    if type(value) is not int or value < 0:
        raise FormatError(f"OFF header has {key} = {value!r}, expected a whole number")
    return value


def _read_model(
    file: BinaryIO, header: dict[str, Any], start: int, version: str, n_bases: int
) -> tuple[Array, Array, int]:
    """Projectors, basis and where the records start (bytes)."""
    model = header.get("ModelInfo")
    matrices = []
    for name in ("Projectors", "Basis"):
        info = model.get(name) if isinstance(model, dict) else None
        shape = _count(info, "Rows"), _count(info, "Cols")
        if shape[0] * shape[1] > _MAX_MODEL:
            raise FormatError(f"OFF header has {name} of {shape[0]} x {shape[1]}")
        if version.startswith("0.1."):
            data = _from_base64(name, info)
        else:
            file.seek(start)
            data = file.read(8 * shape[0] * shape[1])
            start += 8 * shape[0] * shape[1]
        if len(data) < 8 * shape[0] * shape[1]:
            raise IncompleteHeader(
                f"OFF file ends within {name}: {len(data)} of {8 * shape[0] * shape[1]} bytes"
            )
        matrices.append(np.frombuffer(data, "<f8").reshape(shape).astype(float))
    projectors, basis = matrices
    if len(projectors) != n_bases or basis.shape != projectors.shape[::-1]:
        raise FormatError(
            f"OFF header has NumberOfBases = {n_bases}, but projectors of "
            f"{projectors.shape[0]} x {projectors.shape[1]} and a basis of "
            f"{basis.shape[0]} x {basis.shape[1]}"
        )
    return projectors, basis, start


def _from_base64(name: str, info: Any) -> bytes:
    try:
        data = base64.b64decode(info["RowMajorFloat64ValuesBase64"], validate=True)
    except (KeyError, TypeError, binascii.Error) as exc:
        raise FormatError(f"OFF header has no usable {name}: {exc}") from exc
    expected = 8 * info["Rows"] * info["Cols"]
    if len(data) != expected:
        raise FormatError(f"OFF header has {name} of {len(data)} bytes, expected {expected}")
    return data


def _check(
    records: NDArray[np.void], header: dict[str, Any], n_samples: int
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which records can be pulses, and what is wrong with the others."""
    if not len(records):
        return np.ones(0, bool), []
    longest = header.get("MaxSamples")
    most = max(n_samples, longest) if isinstance(longest, int) else n_samples
    problems = []
    plausible = np.ones(len(records), bool)
    nsamp, npre, time = records["nsamp"], records["npre"], records["t_ns"]
    coefs = records["coefs"]
    wrong = {
        f"sample counts outside 1 to {most}": (nsamp < 1)
        | (nsamp > most)
        | (npre < 0)
        | (npre > nsamp),
        "times that are not of this run": ~_within(time),
        "values that are no numbers": ~(
            np.isfinite(records["ptm"]) & np.isfinite(coefs[:, : FILTERED + 1]).all(axis=1)
        ),
    }
    for what, mask in wrong.items():
        if mask.any():
            problems.append(f"{mask.sum()} records with {what}, the first is {np.argmax(mask)}")
            plausible &= ~mask
    steps = np.diff(time[plausible])
    if (steps < 0).any():
        problems.append(
            f"time runs backwards at {(steps < 0).sum()} records, "
            f"by up to {-steps.min() / 1e9:.6g} s"
        )
    return plausible, problems


def _within(time: NDArray[np.int64]) -> NDArray[np.bool_]:
    middle = np.int64(np.partition(time, len(time) // 2)[len(time) // 2])
    # by comparison: the difference of two such numbers may not fit
    low, high = max(int(middle) - _MAX_SPAN, 1), min(int(middle) + _MAX_SPAN, (1 << 63) - 1)
    return (time >= low) & (time <= high)


class OffTail:
    """Follow a file that is being written.

    Parameters
    ----------
    path : path
        The file; it need not be there yet.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._end: int | None = None

    def read(self) -> OffFile | None:
        """What has come since the last call.

        Returns
        -------
        OffFile or None
            With the new records only; None while there is no file or its header is not whole.

        Raises
        ------
        FormatError
            The header cannot be used, or the file has become shorter.
        OSError
            The file cannot be read.
        """
        try:
            size = self.path.stat().st_size
            if self._end is not None and size < self._end:
                raise FormatError(
                    f"{self.path}: {size} bytes, but {self._end} had been read: another file?"
                )
            new = read_off(self.path, self._end)
        except (FileNotFoundError, IncompleteHeader):
            return None
        self._end = new.end
        return new
