"""Dastard's binary messages: summaries of pulses, whole records, matrices.

Everything is little endian. A message on the summaries port (base + 4) has two frames: a header
of 48 bytes, and the pulse's coefficients in the channel's basis as float64, none where the
channel has no projectors. A message on the records port (base + 2) has a header of 36 bytes and
the samples. Channels are named by their index in the server, not by the number in their name.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from redoxscope.photons import Photons

from ._errors import FormatError

__all__ = [
    "FILTERED",
    "RECORD_HEADER",
    "SUMMARY_HEADER",
    "decode_frames",
    "decode_matrix",
    "decode_summaries",
    "encode_matrix",
    "encode_records",
    "encode_summaries",
    "summary_dtype",
    "summary_photons",
]

FILTERED = 2
"""Position of the filtered pulse height among the coefficients (before it: mean, derivative)."""

SUMMARY_HEADER = np.dtype(
    [
        ("chan_index", "<u2"), ("version", "<u2"), ("npre", "<u4"), ("nsamp", "<u4"),
        ("ptm", "<f4"), ("peak", "<f4"), ("rms", "<f4"), ("avg", "<f4"), ("resid", "<f4"),
        ("t_ns", "<i8"), ("frame", "<i8"),
    ]
)  # fmt: skip
"""First frame of a summary, 48 bytes.

Pre-trigger mean, peak, rms and average of the pulse and residual's standard deviation are in the
detector's arbitrary units; ``t_ns`` is when the pulse was triggered, ns since 1970.
"""

RECORD_HEADER = np.dtype(
    [
        ("chan_index", "<u2"), ("version", "u1"), ("dtype", "u1"), ("npre", "<u4"),
        ("nsamp", "<u4"), ("dt_s", "<f4"), ("volts_per_arb", "<f4"), ("t_ns", "<i8"),
        ("frame", "<u8"),
    ]
)  # fmt: skip
"""First frame of a record, 36 bytes; ``dtype`` is 2 for int16 samples, 3 for uint16."""

_MATRIX = np.dtype(
    [("version", "<u4"), ("magic", "S4"), ("rows", "<i8"), ("cols", "<i8"), ("zero", "<i8", (2,))]
)
_SAMPLE_CODES = {np.dtype("<i2"): 2, np.dtype("<u2"): 3}


@cache
def summary_dtype(n_coefs: int) -> np.dtype:
    """Type of a whole summary for numpy: ``SUMMARY_HEADER`` and then ``coefs`` [n_coefs].

    Parameters
    ----------
    n_coefs : int
        Coefficients of the channel's basis; 0 without projectors.
    """
    fields: list[Any] = [(name, SUMMARY_HEADER[name]) for name in SUMMARY_HEADER.names or ()]
    return np.dtype([*fields, ("coefs", "<f8", (n_coefs,))])


def decode_summaries(buffer: bytes | bytearray | memoryview, n_coefs: int) -> NDArray[np.void]:
    """Summaries that lie one after the other in a buffer, header and coefficients each.

    Parameters
    ----------
    buffer : bytes-like
        Messages, ``48 + 8 * n_coefs`` bytes each, for instance both frames of many joined.
    n_coefs : int
        Coefficients per message.

    Returns
    -------
    numpy.ndarray [n] of :func:`summary_dtype`
        A view of the buffer: nothing is copied.

    Raises
    ------
    FormatError
        The buffer is not a whole number of messages.
    """
    dtype = summary_dtype(n_coefs)
    size = memoryview(buffer).nbytes
    if size % dtype.itemsize:
        raise FormatError(
            f"summaries: {size} bytes are not a whole number of messages of {dtype.itemsize} bytes "
            f"(header of 48 bytes and {n_coefs} coefficients)"
        )
    return np.frombuffer(buffer, dtype)


def decode_frames(messages: Iterable[Sequence[bytes]]) -> list[NDArray[np.void]]:
    """Summaries as they came from the socket, of channels with and without projectors.

    Parameters
    ----------
    messages : iterable of (header, coefficients)
        The frames of each message.

    Returns
    -------
    list of numpy.ndarray
        As :func:`decode_summaries` has them, one array per number of coefficients; within each
        in the order in which they came.

    Raises
    ------
    FormatError
        A message has not two frames, its header not 48 bytes or another version than 0, or its
        coefficients are no float64.
    """
    whole = list(messages)
    if not whole:
        return []
    if set(map(len, whole)) != {2}:
        raise FormatError(f"summary: messages of {sorted(set(map(len, whole)))} frames, expected 2")
    headers, coefs = zip(*whole, strict=True)
    sizes = set(map(len, headers))
    if sizes != {SUMMARY_HEADER.itemsize}:
        raise FormatError(
            f"summary: headers of {sorted(sizes)} bytes, expected {SUMMARY_HEADER.itemsize}"
        )
    arrays = []
    kinds = sorted(set(map(len, coefs)))
    for size in kinds:
        if size % 8:
            raise FormatError(f"summary: {size} bytes of coefficients are no float64 numbers")
        same = whole if len(kinds) == 1 else [frames for frames in whole if len(frames[1]) == size]
        arrays.append(decode_summaries(b"".join(chain.from_iterable(same)), size // 8))
        versions = arrays[-1]["version"]
        if versions.any():
            at = np.flatnonzero(versions)[0]
            raise FormatError(
                f"summary of channel index {arrays[-1]['chan_index'][at]}: header version "
                f"{versions[at]}, only 0 is known"
            )
    return arrays


def encode_summaries(array: NDArray[np.void]) -> list[tuple[bytes, bytes]]:
    """Frames of each summary, as Dastard sends them.

    Parameters
    ----------
    array : numpy.ndarray [n]
        Structured, with fields of :func:`summary_dtype`; those of the header that are missing
        are 0, others are left out, and without ``coefs`` the second frame is empty.

    Returns
    -------
    list of (bytes, bytes)
        Header of 48 bytes and coefficients.
    """
    headers = _take(array, SUMMARY_HEADER)
    head, width = headers.tobytes(), SUMMARY_HEADER.itemsize
    if "coefs" not in (array.dtype.names or ()):
        return [(head[i : i + width], b"") for i in range(0, len(head), width)]
    coefs = np.ascontiguousarray(array["coefs"], "<f8")
    tail, step = coefs.tobytes(), coefs.shape[1] * 8
    return [
        (head[i * width : (i + 1) * width], tail[i * step : (i + 1) * step])
        for i in range(len(array))
    ]


def encode_records(array: NDArray[np.void], samples: NDArray) -> list[tuple[bytes, bytes]]:
    """Frames of each whole record, as Dastard sends them.

    Parameters
    ----------
    array : numpy.ndarray [n]
        Structured, with fields of ``RECORD_HEADER``; missing ones are 0 and ``nsamp`` and
        ``dtype`` are set from the samples.
    samples : numpy.ndarray of int16 or uint16 [n, nsamp]
        The records.

    Raises
    ------
    FormatError
        Samples of another type.
    """
    plain = samples.dtype.newbyteorder("<")
    if plain not in _SAMPLE_CODES:
        raise FormatError(f"records: samples of type {samples.dtype}, expected int16 or uint16")
    headers = _take(array, RECORD_HEADER)
    headers["dtype"] = _SAMPLE_CODES[plain]
    headers["nsamp"] = samples.shape[1]
    rows = np.ascontiguousarray(samples, plain)
    return [(header.tobytes(), row.tobytes()) for header, row in zip(headers, rows, strict=True)]


def summary_photons(array: NDArray[np.void], numbers: ArrayLike) -> Photons:
    """Photons of summaries, without energies.

    Parameters
    ----------
    array : numpy.ndarray [n]
        As :func:`decode_summaries` gives it, with more than ``FILTERED`` coefficients.
    numbers : array_like of int
        Channel number of each channel index of the server.

    Raises
    ------
    FormatError
        Too few coefficients, or a channel index that has no number.
    """
    n_coefs = array.dtype["coefs"].shape[0]
    if n_coefs <= FILTERED:
        raise FormatError(
            f"summaries with {n_coefs} coefficients hold no filtered value: "
            f"at least {FILTERED + 1} needed (are the projectors loaded?)"
        )
    table = np.asarray(numbers, np.uint16)
    index = array["chan_index"]
    if len(index) and int(index.max()) >= len(table):
        raise FormatError(f"summary of channel index {index.max()}, only {len(table)} are known")
    return Photons.of(table[index], array["t_ns"], array["coefs"][:, FILTERED], array["ptm"])


def _take(array: NDArray[np.void], dtype: np.dtype) -> NDArray[np.void]:
    """Fields of a type from an array that may have fewer or more."""
    taken = np.zeros(len(array), dtype)
    for name in set(dtype.names or ()) & set(array.dtype.names or ()):
        taken[name] = array[name]
    return taken


def encode_matrix(matrix: NDArray) -> str:
    """A matrix as Dastard's projectors travel: gonum's dense format in base64.

    Parameters
    ----------
    matrix : array_like [rows, cols]
        Stored as float64, row by row.

    Raises
    ------
    FormatError
        Not two-dimensional.
    """
    values = np.ascontiguousarray(matrix, "<f8")
    if values.ndim != 2:
        raise FormatError(f"matrix with {values.ndim} dimensions, expected 2")
    header = np.array([(1, b"GFA\0", *values.shape, (0, 0))], _MATRIX)
    return base64.b64encode(header.tobytes() + values.tobytes()).decode("ascii")


def decode_matrix(text: str | bytes) -> NDArray[np.float64]:
    """The matrix of :func:`encode_matrix`.

    Returns
    -------
    numpy.ndarray of float64 [rows, cols]

    Raises
    ------
    FormatError
        Not base64, not gonum's dense format, or too short or long for its own size.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise FormatError(f"matrix is not base64: {exc}") from exc
    if len(data) < _MATRIX.itemsize:
        raise FormatError(f"matrix of {len(data)} bytes, its header alone has {_MATRIX.itemsize}")
    header = np.frombuffer(data, _MATRIX, 1)[0]
    # numpy drops the zero at the end of the magic bytes
    if header["version"] != 1 or header["magic"] != b"GFA":
        raise FormatError(
            f"matrix is not of gonum's dense format: version {header['version']}, {data[4:8]!r}"
        )
    rows, cols = int(header["rows"]), int(header["cols"])
    if rows < 0 or cols < 0 or len(data) != _MATRIX.itemsize + 8 * rows * cols:
        raise FormatError(f"matrix of {len(data)} bytes does not hold {rows} x {cols} numbers")
    return np.frombuffer(data, "<f8", offset=_MATRIX.itemsize).reshape(rows, cols).astype(float)
