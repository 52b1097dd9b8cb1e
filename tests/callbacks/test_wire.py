from __future__ import annotations

import io
import json
import pickle
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from enum import IntEnum
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from redoxscope.callbacks import oxidation_map, rixs_from_run
from redoxscope.callbacks.wire import WireError, decode, encode, pack, read, unpack, write
from redoxscope.callbacks.wire._message import _CRC, _HEAD, _HEAD_BYTES
from redoxscope.documents import Window

from .conftest import make
from .rixs_runs import RixsRun, verdict

ARRAYS = {
    "a": np.arange(12, dtype=np.float32).reshape(3, 4),
    "mask": np.array([[True, False, True]]),
    "none": np.empty((0, 5)),
    "single": np.array(7, dtype=np.int64),
    "turned": np.arange(6, dtype=">i4").reshape(2, 3).T,
    "cut": np.arange(20, dtype=np.float64)[::3],
}
HEADER = {"analysis": "a", "µm": [1, 2.5, None, True], "text": "Mn⁴⁺"}


def test_what_is_sent_arrives():
    header, arrays = decode(encode(HEADER, ARRAYS))
    assert header == HEADER
    assert list(arrays) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)
        assert arrays[name].shape == array.shape
        assert arrays[name].dtype == array.dtype.newbyteorder("<")
        assert not arrays[name].flags.writeable


def test_a_stream_of_messages():
    stream = io.BytesIO()
    for i in range(3):
        write(stream, {"i": i}, ARRAYS)
    size = stream.tell()
    stream.seek(0)
    assert [read(stream)[0] for _ in range(3)] == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert read(stream) is None
    cut = io.BytesIO(stream.getvalue()[: size - 1])
    read(cut), read(cut)
    with pytest.raises(WireError, match="ends within a message"):
        read(cut)


@pytest.mark.parametrize(
    ("header", "arrays", "words"),
    [
        ({"a": float("nan")}, {}, "not JSON"),
        ({"a": {1, 2}}, {}, "not JSON"),
        ({}, {"a": np.array([None])}, "'a' is of object"),
        ({}, {"names": np.array(["x"])}, "'names' is of <U1"),
    ],
    ids=["nan", "set", "objects", "text"],
)
def test_what_cannot_be_sent_is_named(header, arrays, words):
    with pytest.raises(ValueError, match=words):
        encode(header, arrays)


def made(content: Any, body: bytes = b"", *, version: int = 1, magic: bytes = b"\x89RXW") -> bytes:
    """A message with right checksums, whatever is in it."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    crc = zlib.crc32(text + body)
    head = _HEAD.pack(magic, version, 0, len(text), len(body), crc)
    return (head + _CRC.pack(zlib.crc32(head))).ljust(_HEAD_BYTES, b"\0") + text + body


def listed(**change: Any) -> dict:
    return {"header": {}, "arrays": [{"name": "a", "dtype": "<f8", "shape": [1]} | change]}


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"", "no message of redoxscope"),
        (pickle.dumps({"a": 1}), "no message of redoxscope"),
        (b"HTTP/1.1 200 OK" + bytes(40), "no message of redoxscope"),
        (b"\x89RXW", "cut off"),
        (made({}, version=2), "version 2 of the form; this redoxscope reads version 1"),
        (made([]), "header is not what it must be"),
        (made(b"{"), "header is not what it must be"),
        (made(b"[" * 100_000), "header is not what it must be"),
        (made({"header": [], "arrays": []}), "header is not what it must be"),
        (made({"header": {}, "arrays": [5]}), "lists an array as 5"),
        (made(listed(dtype="|O"), bytes(8)), "lists an array"),
        (made(listed(dtype="V8"), bytes(8)), "lists an array"),
        (made(listed(shape=[-1]), bytes(8)), "lists an array"),
        (made(listed(shape=[True]), bytes(8)), "lists an array"),
        (made(listed(shape=[1.0]), bytes(8)), "lists an array"),
        (made(listed(shape=[1] * 17), bytes(8)), "lists an array"),
        (made(listed(name=None), bytes(8)), "lists an array"),
        (made(listed(shape=[2]), bytes(8)), "does not fit"),
        (made(listed(shape=[1 << 31, 1 << 31]), bytes(8)), "does not fit"),
        (made(listed(shape=[0, 1 << 31, 1 << 31]), b""), "array 'a' of a message"),
        (made(listed(), bytes(16)), "8 bytes that belong to no array"),
        (made({"header": {}, "arrays": listed()["arrays"] * 2}, bytes(16)), "there twice"),
    ],
    ids=range(22),
)
def test_what_is_no_message_is_refused_in_words(message, words):
    with pytest.raises(WireError, match=words):
        decode(message)


def test_a_length_that_is_too_large_takes_no_memory():
    head = _HEAD.pack(b"\x89RXW", 1, 0, 10, 1 << 60, 0)
    message = (head + _CRC.pack(zlib.crc32(head))).ljust(_HEAD_BYTES, b"\0")
    with pytest.raises(WireError, match="too large"):
        read(io.BytesIO(message))


def test_no_damaged_byte_is_overlooked():
    """Each byte of a message changed, and the message cut off at each."""
    message = encode(HEADER, {"a": ARRAYS["a"], "mask": ARRAYS["mask"]})
    for at in range(len(message)):
        damaged = bytearray(message)
        damaged[at] ^= 1 << at % 8
        # The two bytes that stand for nothing are part of the head's checksum, too.
        with pytest.raises(WireError):
            decode(bytes(damaged))
        with pytest.raises(WireError):
            decode(message[:at])


def test_rubbish_never_gets_through():
    rng = np.random.default_rng(1)
    message = encode(HEADER, ARRAYS)
    for _ in range(2000):
        damaged = bytearray(message)
        for at in rng.integers(0, len(message), rng.integers(1, 9)):
            damaged[at] = rng.integers(256)
        if bytes(damaged) == message:
            continue
        with pytest.raises(WireError):
            decode(bytes(damaged))


def same(a: Any, b: Any) -> None:
    """Whether two values are the same, in all they hold."""
    if is_dataclass(a):
        assert type(a) is type(b)
        for f in fields(a):
            same(getattr(a, f.name), getattr(b, f.name))
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b, strict=True)
    elif isinstance(a, Mapping):
        assert list(a) == list(b)
        for key in a:
            same(a[key], b[key])
    elif isinstance(a, (tuple, list)):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b or (a != a and b != b)


def there_and_back(value: Any) -> Any:
    return unpack(type(value), *decode(encode(*pack(value))))


stack, references = make()
run = RixsRun("O K", passes=2, configuration=verdict())
SNAPSHOTS = {
    "map": lambda: oxidation_map(stack.documents(), references),
    "early": lambda: oxidation_map(stack.documents(lines=30), references),
    "images": lambda: oxidation_map(stack.documents(), None),
    "rixs": lambda: rixs_from_run(run.documents()),
    "part": lambda: rixs_from_run(run.documents(points=40)),
    "few": lambda: rixs_from_run(RixsRun("Co L", passes=1, dwell=0.02).documents()),
}


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_a_snapshot_arrives_as_it_was_sent(name):
    snapshot = SNAPSHOTS[name]()
    same(snapshot, there_and_back(snapshot))
    same(snapshot.thinned(), there_and_back(snapshot.thinned()))


class Colour(IntEnum):
    RED = 1


@dataclass(frozen=True)
class Odd:
    number: float = float("nan")
    window: Window = Window("TFY")  # its limits are infinite
    colour: Colour = Colour.RED
    pair: tuple[float, int] = (1.5, 2)
    several: tuple[Window, ...] = (Window("PFY", 1.0, 2.0), Window("XES", 3.0, 4.0, "x"))
    by_name: Mapping[str, NDArray[np.bool_]] = field(
        default_factory=lambda: {"a b.c": np.ones(2) > 0}
    )
    maybe: Window | None = None
    numbers: list[int] = field(default_factory=lambda: [1, 2])


def test_what_fields_may_be():
    same(Odd(), there_and_back(Odd()))
    same(Odd(number=np.float32(0.5)), there_and_back(Odd(number=0.5)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"number": "many"}, "Odd.number must be a number, and is 'many'"),
        ({"number": True}, "Odd.number must be a number"),
        ({"colour": 9}, "Odd.colour: 9 is not a valid Colour"),
        ({"colour": [1]}, "Odd.colour"),
        ({"pair": [1.0]}, "Odd.pair has 1 items and not 2"),
        ({"pair": {"a": 1}}, "Odd.pair must be a list, and is a dict"),
        ({"several": [{"kind": "PFY"}]}, "Odd.several.0 lacks or does not know low"),
        (
            {"window": {"kind": "PFY", "low": 2.0, "high": 1.0, "name": ""}},
            r"Odd.window is no Window: window PFY\[2:1\]",
        ),
        ({"by_name": {"a": "elsewhere"}}, "Odd.by_name.a must be an array, and is 'elsewhere'"),
        ({"by_name": {"a": None}}, "Odd.by_name.a must be an array"),
        ({"by_name": {"a": "real"}}, "Odd.by_name.a is an array of float64, not of bool"),
        ({"maybe": 5}, "Odd.maybe must be a dict"),
        ({"numbers": [1.5]}, "Odd.numbers.0 must be a int"),
        ({"more": 1}, "Odd lacks or does not know more"),
    ],
)
def test_a_field_that_is_not_what_it_must_be_is_named(change, words):
    header, arrays = pack(Odd())
    with pytest.raises(WireError, match=words):
        unpack(Odd, {**header, **change}, {**arrays, "real": np.ones(2)})


@dataclass(frozen=True)
class Unfit:
    anything: Any


def test_what_no_form_can_say_is_named():
    with pytest.raises(TypeError, match="anything is function"):
        pack(Unfit(lambda: None))
    with pytest.raises(TypeError, match="Unfit.anything is declared as"):
        unpack(Unfit, {"anything": 1}, {})
    with pytest.raises(TypeError, match="int is no dataclass"):
        pack(5)


@dataclass(frozen=True)
class Floats:
    anything: NDArray[np.floating]
    exactly: NDArray[np.float64]


def test_whole_numbers_may_stand_for_others():
    header, arrays = pack(Floats(np.arange(3), np.arange(3)))
    assert unpack(Floats, header, arrays).exactly.dtype == np.int64
    with pytest.raises(WireError, match="Floats.anything is an array of bool, not of floating"):
        unpack(Floats, header, arrays | {"anything": np.ones(2, bool)})
