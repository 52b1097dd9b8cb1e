"""Messages of a JSON header and named arrays, as bytes."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from math import prod
from typing import IO, Any

import numpy as np
import orjson
from numpy.typing import NDArray

__all__ = ["VERSION", "WireError", "decode", "encode", "read", "write"]

VERSION = 1
"""Version of the form; a reader refuses another."""

Header = dict[str, Any]
Arrays = dict[str, NDArray[Any]]

_MAGIC = b"\x89RXW"
# Magic, version, 0, bytes of the JSON text, of the arrays, and the CRC-32 of both; then that of
# these. The first byte begins neither a text nor a pickle.
_HEAD = struct.Struct("<4sHHIQI")
_CRC = struct.Struct("<I")
_HEAD_BYTES = 32

MOST_TEXT = 1 << 26
"""Longest JSON text (bytes) that is read."""
MOST_ARRAYS = 1 << 32
"""Most bytes of arrays that are read: a damaged length must not take all the memory."""

_DTYPES = frozenset(
    {"|b1", "|i1", "|u1", *(f"<{kind}{n}" for kind in "iu" for n in (2, 4, 8))}
    | {"<f2", "<f4", "<f8", "<c8", "<c16"}
)


class WireError(ValueError):
    """What came is no message, a damaged one, or one of another version; says which."""


def encode(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Make a message.

    Parameters
    ----------
    header : dict
        What JSON can say; no NaN and no infinity.
    arrays : dict of str to numpy.ndarray
        Of numbers or bool, any shape.

    Raises
    ------
    ValueError
        The header is not JSON, or an array is of objects or text, or too large; names it.
    """
    return b"".join(_pieces(header, arrays))


def write(stream: IO[bytes], header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write a message to a pipe or a file and flush it; as `encode`."""
    for piece in _pieces(header, arrays):
        stream.write(piece)
    stream.flush()


def decode(message: bytes | memoryview) -> tuple[Header, Arrays]:
    """Header and arrays of a message; the arrays are views on it and cannot be written to.

    Raises
    ------
    WireError
        It is none, damaged or of another version.
    """
    text_bytes, array_bytes, crc = _head(message[:_HEAD_BYTES])
    body = memoryview(message)[_HEAD_BYTES:]
    if len(body) != text_bytes + array_bytes:
        raise WireError(
            f"a message of {len(body)} bytes after its head, which says "
            f"{text_bytes + array_bytes}: it is cut off or damaged"
        )
    return _content(body, text_bytes, crc)


def read(stream: IO[bytes]) -> tuple[Header, Arrays] | None:
    """Next message of a pipe or a file; None where it ends.

    Raises
    ------
    WireError
        As `decode`, and where the stream ends within a message. What follows it in the stream
        cannot be read.
    """
    head = _exactly(stream, _HEAD_BYTES)
    if not head:
        return None
    text_bytes, array_bytes, crc = _head(head)
    body = _exactly(stream, text_bytes + array_bytes)
    if len(body) < text_bytes + array_bytes:
        raise WireError("the stream ends within a message")
    return _content(memoryview(body), text_bytes, crc)


def _pieces(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> list[Any]:
    listed: list[dict[str, Any]] = []
    parts: list[Any] = []
    for name, value in arrays.items():
        array = np.ascontiguousarray(value).reshape(np.shape(value))
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        if array.dtype.str not in _DTYPES:
            raise ValueError(
                f"array {name!r} is of {array.dtype}, which is neither number nor bool"
            )
        listed.append({"name": name, "dtype": array.dtype.str, "shape": list(array.shape)})
        parts.append(array.reshape(-1).view(np.uint8).data)
        parts.append(bytes(-array.nbytes % 8))
    try:
        told = json.dumps({"header": header, "arrays": listed}, allow_nan=False)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"the header of a message is not JSON: {exc}") from exc
    text = told.encode()
    text += b" " * (-len(text) % 8)
    size = sum(len(part) for part in parts)
    for what, number, most in (("header", len(text), MOST_TEXT), ("arrays", size, MOST_ARRAYS)):
        if number > most:
            raise ValueError(f"a message's {what} of {number} bytes; at most {most}")
    crc = zlib.crc32(text)
    for part in parts:
        crc = zlib.crc32(part, crc)
    head = _HEAD.pack(_MAGIC, VERSION, 0, len(text), size, crc)
    padded = (head + _CRC.pack(zlib.crc32(head))).ljust(_HEAD_BYTES, b"\0")
    return [padded, text, *parts]


def _head(head: bytes | memoryview) -> tuple[int, int, int]:
    head = bytes(head)
    if head[:4] != _MAGIC:
        raise WireError(f"what begins with {head[:4]!r} is no message of redoxscope")
    if len(head) < _HEAD_BYTES:
        raise WireError(f"a message of {len(head)} bytes: it is cut off")
    _, version, _, text, arrays, crc = _HEAD.unpack_from(head)
    if version != VERSION:
        raise WireError(
            f"a message of version {version} of the form; this redoxscope reads version {VERSION}. "
            "Both sides must be of the same release"
        )
    if head[_HEAD.size :] != _CRC.pack(zlib.crc32(head[: _HEAD.size])).ljust(
        _HEAD_BYTES - _HEAD.size, b"\0"
    ):
        raise WireError("the head of a message is damaged")
    if text > MOST_TEXT or arrays > MOST_ARRAYS:
        raise WireError(f"a message of {text + arrays} bytes is too large to be read")
    return text, arrays, crc


def _content(body: memoryview, text_bytes: int, crc: int) -> tuple[Header, Arrays]:
    if zlib.crc32(body) != crc:
        raise WireError("a message is damaged: its checksum does not agree")
    try:
        content = orjson.loads(body[:text_bytes])
        header, listed = content["header"], content["arrays"]
    except (ValueError, TypeError, KeyError) as exc:
        raise WireError(f"a message whose header is not what it must be: {exc!r}") from exc
    if not isinstance(header, dict) or not isinstance(listed, list):
        raise WireError("a message whose header is not what it must be")
    return header, _arrays(body[text_bytes:], listed)


def _arrays(body: memoryview, listed: Iterable[Any]) -> Arrays:
    found: Arrays = {}
    at = 0
    for entry in listed:
        name, dtype, shape = _entry(entry)
        size = prod(shape) * np.dtype(dtype).itemsize
        if name in found or at + size > len(body):
            raise WireError(f"array {name!r} of a message is there twice or does not fit into it")
        try:
            array = np.frombuffer(body[at : at + size], dtype).reshape(shape)
        except ValueError as exc:  # (0, 2^40, 2^40)
            raise WireError(f"array {name!r} of a message: {exc}") from exc
        array.flags.writeable = False
        found[name] = array
        at += size + -size % 8
    if at != len(body):
        raise WireError(f"a message has {len(body) - at} bytes that belong to no array")
    return found


def _entry(entry: Any) -> tuple[str, str, tuple[int, ...]]:
    if isinstance(entry, dict):
        name, dtype, shape = (entry.get(key) for key in ("name", "dtype", "shape"))
        if (
            isinstance(name, str)
            and isinstance(dtype, str)
            and dtype in _DTYPES
            and isinstance(shape, list)
            and len(shape) <= 16
            and all(type(n) is int and 0 <= n <= MOST_ARRAYS for n in shape)
        ):
            return name, dtype, tuple(shape)
    raise WireError(f"a message lists an array as {str(entry)[:80]}, which is none")


def _exactly(stream: IO[bytes], size: int) -> bytes:
    """``size`` bytes, fewer only where the stream ends."""
    parts = []
    while size > 0:
        part = stream.read(min(size, 1 << 24))  # a wrong length takes no memory before the bytes
        if not part:
            break
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
