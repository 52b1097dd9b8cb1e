"""Binary messages: layouts to the byte, round trips, refusals."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pytest

from redoxscope.formats import (
    FILTERED,
    RECORD_HEADER,
    SUMMARY_HEADER,
    FormatError,
    decode_frames,
    decode_matrix,
    decode_summaries,
    encode_matrix,
    encode_records,
    encode_summaries,
    summary_dtype,
    summary_photons,
)


def _summaries(n: int, n_coefs: int = 5) -> np.ndarray:
    rng = np.random.default_rng(n_coefs)
    array = np.zeros(n, summary_dtype(n_coefs))
    array["chan_index"] = rng.integers(0, 240, n)
    array["npre"], array["nsamp"] = 256, 1024
    for name in ("ptm", "peak", "rms", "avg", "resid"):
        array[name] = rng.normal(1000, 10, n)
    array["t_ns"] = 1_700_000_000_000_000_000 + np.arange(n)
    array["frame"] = np.arange(n)
    array["coefs"] = rng.normal(8000, 10, (n, n_coefs))
    return array


def test_a_summary_byte_by_byte() -> None:
    values = (479, 0, 256, 1024, 1.5, 2.5, 3.5, 4.5, 5.5, 1_700_000_000_123_456_789, 77)
    header = struct.pack("<HHIIfffffqq", *values)
    assert len(header) == SUMMARY_HEADER.itemsize == 48
    coefs = struct.pack("<3d", 1.0, 2.0, 3.0)
    row = decode_summaries(header + coefs, 3)[0]
    names = "chan_index version npre nsamp ptm peak rms avg resid t_ns frame".split()
    assert [row[name] for name in names] == list(values)
    assert row["coefs"][FILTERED] == 3.0
    assert encode_summaries(decode_summaries(header + coefs, 3)) == [(header, coefs)]


def test_a_record_byte_by_byte() -> None:
    array = np.zeros(1, RECORD_HEADER)
    array["chan_index"], array["npre"], array["dt_s"] = 3, 256, 4.8e-6
    array["t_ns"], array["frame"] = 1_700_000_000_000_000_001, 2**40
    samples = np.arange(1024, dtype=np.uint16)[None]
    ((header, data),) = encode_records(array, samples)
    assert RECORD_HEADER.itemsize == 36
    got = struct.unpack("<HBBIIffqQ", header)
    assert got[:5] == (3, 0, 3, 256, 1024)
    assert got[7:] == (1_700_000_000_000_000_001, 2**40)
    assert np.frombuffer(data, "<u2").tolist() == samples[0].tolist()
    assert encode_records(array, samples.astype(np.int16))[0][0][3] == 2
    with pytest.raises(FormatError, match="float64"):
        encode_records(array, samples.astype(float))


def test_decoding_copies_nothing() -> None:
    buffer = bytearray(_summaries(3).tobytes())
    array = decode_summaries(buffer, 5)
    buffer[0:2] = struct.pack("<H", 999)
    assert array["chan_index"][0] == 999


@pytest.mark.parametrize("n_coefs", [0, 3, 5, 6])
def test_summaries_round_trip(n_coefs: int) -> None:
    array = _summaries(20, n_coefs)
    frames = encode_summaries(array)
    assert {(len(a), len(b)) for a, b in frames} == {(48, 8 * n_coefs)}
    (back,) = decode_frames(frames)
    assert back.dtype == array.dtype
    assert back.tobytes() == array.tobytes()


def test_encoding_ignores_what_is_not_sent() -> None:
    wide = np.zeros(
        2, [("truth", "f8"), ("t_ns", "i8"), ("coefs", "f4", (3,)), ("chan_index", "i4")]
    )
    wide["t_ns"], wide["chan_index"], wide["coefs"] = (5, 6), (1, 2), 7
    (back,) = decode_frames(encode_summaries(wide))
    assert back["t_ns"].tolist() == [5, 6]
    assert back["chan_index"].tolist() == [1, 2]
    assert (back["coefs"] == 7).all()


def test_channels_without_projectors_come_apart() -> None:
    with_, without = encode_summaries(_summaries(4)), encode_summaries(_summaries(4, 0))
    mixed = [frames for pair in zip(with_, without, strict=True) for frames in pair]
    none, five = decode_frames(mixed)
    assert none.dtype["coefs"].shape == (0,)
    assert five.tobytes() == _summaries(4).tobytes()
    assert decode_frames([]) == []


@pytest.mark.parametrize(
    ("messages", "match"),
    [
        ([(b"x" * 48,)], "frames"),
        ([(b"\0" * 47, b"")], "47"),
        ([(b"\0" * 36, b"")], "36"),
        ([(b"\0" * 48, b"\0" * 12)], "12 bytes"),
        ([(struct.pack("<HH", 8, 1) + b"\0" * 44, b"")], "index 8: header version 1"),
    ],
)
def test_wrong_messages_are_refused(messages: list, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        decode_frames(messages)


def test_half_a_message_is_refused() -> None:
    with pytest.raises(FormatError, match="100 bytes .* 88 bytes"):
        decode_summaries(bytes(100), 5)


def test_photons_have_channel_numbers() -> None:
    array = _summaries(50)
    numbers = np.arange(240) * 2 + 1
    photons = summary_photons(array, numbers)
    np.testing.assert_array_equal(photons.pixel, array["chan_index"] * 2 + 1)
    np.testing.assert_array_equal(photons.time_ns, array["t_ns"])
    np.testing.assert_array_equal(photons.filtered, array["coefs"][:, 2].astype("f4"))
    np.testing.assert_array_equal(photons.pretrigger, array["ptm"])
    assert np.isnan(photons.energy).all()
    with pytest.raises(FormatError, match="projectors"):
        summary_photons(_summaries(1, 0), numbers)
    with pytest.raises(FormatError, match="only 10 are known"):
        summary_photons(array, numbers[:10])


def test_a_matrix_as_gonum_writes_it() -> None:
    matrix = np.arange(6.0).reshape(2, 3)
    data = base64.b64decode(encode_matrix(matrix))
    assert data[:40] == struct.pack("<I4sqqqq", 1, b"GFA\0", 2, 3, 0, 0)
    assert struct.unpack("<6d", data[40:]) == tuple(range(6))
    np.testing.assert_array_equal(decode_matrix(encode_matrix(matrix)), matrix)
    fortran = np.asfortranarray(matrix)
    np.testing.assert_array_equal(decode_matrix(encode_matrix(fortran).encode()), matrix)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("not base64!", "base64"),
        (base64.b64encode(b"short").decode(), "5 bytes"),
        (base64.b64encode(b"\2\0\0\0GFA\0" + bytes(32)).decode(), "version 2"),
        (base64.b64encode(b"\1\0\0\0GFB\0" + bytes(32)).decode(), "GFB"),
        (base64.b64encode(struct.pack("<I4sqqqq", 1, b"GFA\0", 2, 3, 0, 0)).decode(), "2 x 3"),
        (base64.b64encode(struct.pack("<I4sqqqq", 1, b"GFA\0", -1, 0, 0, 0)).decode(), "-1"),
    ],
)
def test_what_is_no_matrix_is_refused(text: str, match: str) -> None:
    with pytest.raises(FormatError, match=match):
        decode_matrix(text)


def test_three_dimensions_are_no_matrix() -> None:
    with pytest.raises(FormatError, match="3 dimensions"):
        encode_matrix(np.zeros((2, 2, 2)))
