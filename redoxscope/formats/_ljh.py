"""LJH 2.2 files: one pixel's whole pulse records.

Lines ``key: value`` up to ``#End of Header``, then records of fixed size: frame count in
subframes, time in µs, samples as uint16. Writers differ in the capitals of the keys, so here they
do not count.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ._errors import FormatError, IncompleteHeader
from ._lazy import LazyWriter
from ._off import channel_of_name

__all__ = ["LjhFile", "LjhWriter", "ljh_dtype", "read_ljh"]

_FIRST = b"#LJH Memorial File Format"
_LAST = b"#End of Header"
_MAX_LINES = 200
_MAX_SAMPLES = 1 << 24


def ljh_dtype(n_samples: int) -> np.dtype:
    """Type of a record for numpy.

    Parameters
    ----------
    n_samples : int
        Samples per record.
    """
    return np.dtype([("subframe", "<i8"), ("t_us", "<i8"), ("pulse", "<u2", (n_samples,))])


@dataclass(frozen=True)
class LjhFile:
    """One pixel's file, or the part of it that was asked for.

    Attributes
    ----------
    path : Path
        The file.
    channel : int
        Number of the channel, from the header or else from the file's name.
    header : dict of str
        Its entries, keys in lower case.
    version : str
        Of the format.
    n_samples, presamples : int
        Samples per record and before the trigger, as the header has them. Programs other than
        Dastard are known to write 3 too few before the trigger.
    timebase : float
        Time between samples (s).
    subframe_divisions, subframe_offset : int
        ``subframe = frame * divisions + offset``.
    records : numpy.ndarray [n]
        Every whole record: ``subframe``, ``t_us`` (µs since 1970), ``pulse`` [n, n_samples].
    leftover_bytes : int
        After the last whole record.
    problem : str or None
        What is wrong with the file, in words; None where it is whole and sound.
    """

    path: Path
    channel: int
    header: dict[str, str]
    version: str
    n_samples: int
    presamples: int
    timebase: float
    subframe_divisions: int
    subframe_offset: int
    records: NDArray[np.void]
    leftover_bytes: int
    problem: str | None

    @property
    def time_ns(self) -> NDArray[np.int64]:
        """Times of the triggers, ns since 1970 [n]."""
        return self.records["t_us"] * 1000

    @property
    def frames(self) -> NDArray[np.int64]:
        """Frame counts [n]."""
        return (self.records["subframe"] - self.subframe_offset) // self.subframe_divisions


def read_ljh(path: str | os.PathLike[str], first: int = 0, count: int = -1) -> LjhFile:
    """Read an LJH file of version 2.2.

    A file that is cut off or still growing is read up to its last whole record; the rest is told
    in ``problem``.

    Parameters
    ----------
    path : path
        The file.
    first : int
        Record to start with; records are large, and a file may not fit into memory.
    count : int
        Records to read, -1 for all.

    Raises
    ------
    FormatError
        The header cannot be used (``IncompleteHeader``: the file ends within it); names the
        file.
    OSError
        The file cannot be opened or read.
    """
    path = Path(path)
    with path.open("rb") as file:
        try:
            return _read(path, file, first, count)
        except FormatError as exc:
            raise type(exc)(f"{path}: {exc}") from exc.__cause__


def _read(path: Path, file: BinaryIO, first: int, count: int) -> LjhFile:
    header = _read_header(file)
    start = file.tell()
    version = header.get("save file format version", "")
    if version.split(".")[:2] != ["2", "2"]:
        raise FormatError(f"LJH version {version!r} is not known; 2.2 is")
    if _integer(header, "digitized word size in bytes", 2) != 2:
        raise FormatError("LJH samples are not of 2 bytes")
    n_samples = _integer(header, "total samples")
    if not 1 <= n_samples <= _MAX_SAMPLES:
        raise FormatError(f"LJH header has {n_samples} samples per record")
    dtype = ljh_dtype(n_samples)
    n, leftover = divmod(os.fstat(file.fileno()).st_size - start, dtype.itemsize)
    take = max(0, n - first) if count < 0 else max(0, min(count, n - first))
    file.seek(start + first * dtype.itemsize)
    records = np.frombuffer(file.read(take * dtype.itemsize), dtype)
    problems = []
    if leftover:
        problems.append(
            f"{leftover} bytes after the last whole record (cut off or still being written)"
        )
    back = np.flatnonzero(np.diff(records["t_us"]) < 0)
    if len(back):
        problems.append(
            f"time runs backwards at {len(back)} records, the first is {first + back[0] + 1}"
        )
    channel = _integer(header, "channel", channel_of_name(path))
    if not 0 <= channel < 1 << 16:
        raise FormatError(f"LJH header has channel {channel}")
    return LjhFile(
        path=path,
        channel=channel,
        header=header,
        version=version,
        n_samples=n_samples,
        presamples=_integer(header, "presamples"),
        timebase=_number(header, "timebase"),
        subframe_divisions=max(
            1, _integer(header, "subframe divisions", _integer(header, "number of rows", 1))
        ),
        subframe_offset=_integer(header, "subframe offset", 0),
        records=records,
        leftover_bytes=leftover,
        problem="; ".join(problems) or None,
    )


def _read_header(file: BinaryIO) -> dict[str, str]:
    line = file.readline(256)
    if not line:
        raise IncompleteHeader("LJH file is empty")
    if line.strip() != _FIRST:
        raise FormatError(f"no LJH file: it starts with {line[:25]!r}")
    header: dict[str, str] = {}
    for _ in range(_MAX_LINES):
        line = file.readline(65536)
        if not line.endswith(b"\n"):
            raise IncompleteHeader("LJH header has no end within the file")
        if line.startswith(_LAST):
            return header
        key, colon, value = line.decode("latin-1").partition(":")
        if colon:
            header[key.strip().lower()] = value.strip()
    raise FormatError(f"LJH header has no end within {_MAX_LINES} lines")


def _number(header: dict[str, str], key: str, default: float | None = None) -> float:
    text = header.get(key)
    if text is None and default is not None:
        return default
    try:
        return float(text)  # type: ignore[arg-type]  # None is told like text that is no number
    except (TypeError, ValueError):
        raise FormatError(f"LJH header has {key!r} = {text!r}, expected a number") from None


def _integer(header: dict[str, str], key: str, default: int | None = None) -> int:
    # Old files have "Channel: 1.0".
    value = _number(header, key, default)
    if value != int(value):
        raise FormatError(f"LJH header has {key!r} = {value}, expected a whole number")
    return int(value)


class LjhWriter(LazyWriter):
    """Write one pixel's LJH 2.2.1 file; it is made when the first record comes.

    Parameters
    ----------
    path : path
        The file; an existing one is replaced.
    channel : int
        Number of the channel.
    n_samples, presamples : int
        Samples per record and before the trigger.
    timebase : float
        Time between samples (s).
    channel_index : int, optional
        Index in the server; default the channel's number.
    channel_name : str, optional
        Default ``chan<number>``.
    source_name : str
        Data source.
    subframe_divisions, subframe_offset : int
        ``subframe = frame * divisions + offset``.
    start_ns : int
        When the server was started, ns since 1970.
    rows, columns, row, column : int
        Place in the readout.
    n_channels : int
        Channels of the source.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        channel: int,
        n_samples: int,
        presamples: int,
        timebase: float,
        channel_index: int | None = None,
        channel_name: str | None = None,
        source_name: str = "",
        subframe_divisions: int = 1,
        subframe_offset: int = 0,
        start_ns: int = 0,
        rows: int = 1,
        columns: int = 1,
        row: int = 0,
        column: int = 0,
        n_channels: int = 1,
    ) -> None:
        super().__init__(path, "LJH file")
        self._dtype = ljh_dtype(n_samples)
        self._divisions, self._offset = subframe_divisions, subframe_offset
        self._head = (
            f"{_FIRST.decode()}\n"
            "Save File Format Version: 2.2.1\n"
            # Readers add 3 to the presamples of files that do not come from DASTARD.
            "Software Version: DASTARD version 0.3.10 (simulated)\n"
            "Software Git Hash: none\n"
            f"Data source: {source_name}\n"
            f"Number of rows: {rows}\n"
            f"Number of columns: {columns}\n"
            f"Row number (from 0-{rows - 1} inclusive): {row}\n"
            f"Column number (from 0-{columns - 1} inclusive): {column}\n"
            f"Number of channels: {n_channels}\n"
            f"Channel name: {channel_name or f'chan{channel}'}\n"
            f"Channel: {channel}\n"
            f"ChannelIndex (in dastard): {channel if channel_index is None else channel_index}\n"
            f"Subframe divisions: {subframe_divisions}\n"
            f"Subframe offset: {subframe_offset}\n"
            "Digitized Word Size In Bytes: 2\n"
            f"Presamples: {presamples}\n"
            f"Total Samples: {n_samples}\n"
            "Number of samples per point: 1\n"
            f"Timestamp offset (s): {start_ns / 1e9:.6f}\n"
            f"Server Start Time: {_date(start_ns)}\n"
            "First Record Time: {first}\n"
            "Pixel X Position: 0\nPixel Y Position: 0\nPixel Name: \n"
            f"Timebase: {timebase:e}\n"
            f"{_LAST.decode()}\n"
        )

    def append(self, frame: ArrayLike, time_ns: ArrayLike, pulses: ArrayLike) -> None:
        """Write records after the others; they may stay in the buffer until :meth:`flush`.

        Parameters
        ----------
        frame : array_like of int [n]
            Frame counts.
        time_ns : array_like of int [n]
            Times of the triggers, ns since 1970; the file has µs.
        pulses : array_like of uint16 [n, n_samples]
            Samples.

        Raises
        ------
        FormatError
            Records of another length.
        OSError
            The file cannot be written; names it.
        """
        samples = np.asarray(pulses)
        if samples.ndim != 2 or samples.shape[1:] != self._dtype["pulse"].shape:
            raise FormatError(
                f"{self.path}: records of shape {samples.shape}, expected n x "
                f"{self._dtype['pulse'].shape[0]}"
            )
        if not len(samples):
            return
        rows = np.zeros(len(samples), self._dtype)
        rows["subframe"] = np.asarray(frame, np.int64) * self._divisions + self._offset
        rows["t_us"] = np.asarray(time_ns, np.int64) // 1000
        rows["pulse"] = samples
        head = b""
        if not self._out.made:
            head = self._head.replace("{first}", _date(int(rows["t_us"][0]) * 1000)).encode()
        self._out.write(head + rows.tobytes())
        self.count += len(rows)


def _date(ns: int) -> str:
    return datetime.fromtimestamp(ns // 10**9, UTC).strftime("%d %b %Y, %H:%M:%S UTC")
