"""LJH files: round trip, other writers' headers, cut-off files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxscope.formats import FormatError, IncompleteHeader, LjhWriter, read_ljh

N = 32
T0 = 1_700_000_000_000_000_000


def _write(path: Path, n: int = 6, **changes: Any) -> np.ndarray:
    pulses = np.random.default_rng(2).integers(0, 65536, (n, N)).astype(np.uint16)
    arguments: dict[str, Any] = {
        "channel": 13,
        "channel_index": 25,
        "n_samples": N,
        "presamples": 8,
        "timebase": 4.8e-6,
        "subframe_divisions": 64,
        "subframe_offset": 5,
        "start_ns": T0,
    }
    with LjhWriter(path, **{**arguments, **changes}) as writer:
        frames, times = 100 * np.arange(n), T0 + 1_000_000 * np.arange(n)
        writer.append(frames[:2], times[:2], pulses[:2])
        writer.append(frames[2:], times[2:], pulses[2:])
        assert writer.count == n
    return pulses


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "a_chan7.ljh"
    pulses = _write(path)
    ljh = read_ljh(path)
    assert (ljh.version, ljh.channel, ljh.n_samples, ljh.presamples) == ("2.2.1", 13, N, 8)
    assert ljh.timebase == 4.8e-6
    assert (ljh.problem, ljh.leftover_bytes) == (None, 0)
    np.testing.assert_array_equal(ljh.records["pulse"], pulses)
    np.testing.assert_array_equal(ljh.time_ns, T0 + 1_000_000 * np.arange(6))
    np.testing.assert_array_equal(ljh.frames, 100 * np.arange(6))
    np.testing.assert_array_equal(ljh.records["subframe"], 6400 * np.arange(6) + 5)
    assert ljh.header["server start time"] == "14 Nov 2023, 22:13:20 UTC"
    assert ljh.header["first record time"] == "14 Nov 2023, 22:13:20 UTC"
    assert ljh.header["channelindex (in dastard)"] == "25"


def test_a_part_of_a_large_file(tmp_path: Path) -> None:
    path = tmp_path / "chan1.ljh"
    pulses = _write(path)
    np.testing.assert_array_equal(read_ljh(path, first=2, count=3).records["pulse"], pulses[2:5])
    np.testing.assert_array_equal(read_ljh(path, first=4).records["pulse"], pulses[4:])
    assert len(read_ljh(path, first=9).records) == 0


def test_capitals_line_ends_and_decimals_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "chan1.ljh"
    pulses = _write(path)
    head, end, records = path.read_bytes().partition(b"#End of Header\n")
    head = head.replace(b"Size In Bytes", b"size in bytes").replace(b"Channel: 13", b"Channel: 9.0")
    head = head.replace(b"Total Samples", b"TOTAL SAMPLES").replace(b"2.2.1", b"2.2.0")
    path.write_bytes((head + end).replace(b"\n", b"\r\n") + records)
    ljh = read_ljh(path)
    assert (ljh.channel, ljh.version) == (9, "2.2.0")
    np.testing.assert_array_equal(ljh.records["pulse"], pulses)


def test_rows_are_the_divisions_where_there_are_none(tmp_path: Path) -> None:
    path = tmp_path / "chan1.ljh"
    _write(path, rows=30)
    path.write_bytes(path.read_bytes().replace(b"Subframe divisions: 64\n", b""))
    assert read_ljh(path).subframe_divisions == 30


def test_a_missing_channel_is_taken_from_the_name(tmp_path: Path) -> None:
    path = tmp_path / "run_chan42.ljh"
    _write(path)
    path.write_bytes(path.read_bytes().replace(b"Channel: 13\n", b""))
    assert read_ljh(path).channel == 42


def test_cut_off_and_backwards(tmp_path: Path) -> None:
    path = tmp_path / "chan1.ljh"
    _write(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    ljh = read_ljh(path)
    assert (len(ljh.records), ljh.leftover_bytes) == (5, 16 + 2 * N - 10)
    assert "cut off" in str(ljh.problem)
    size = 16 + 2 * N
    path.write_bytes(whole[: -2 * size] + whole[-size:] + whole[-2 * size : -size])
    assert "backwards at 1 records, the first is 5" in str(read_ljh(path).problem)
    for keep in (0, 10, 300):
        path.write_bytes(whole[:keep])
        with pytest.raises(FormatError if keep == 10 else IncompleteHeader, match="chan1.ljh"):
            read_ljh(path)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b"#LJH", b"#XYZ", "no LJH file"),
        (b"Version: 2.2.1", b"Version: 2.1.0", "'2.1.0'"),
        (b"Bytes: 2", b"Bytes: 4", "2 bytes"),
        (b"Total Samples: 32", b"Total Samples: 0", "0 samples"),
        (b"Total Samples: 32", b"Total Samples: many", "'many'"),
        (b"Total Samples: 32", b"Nothing: 32", "'total samples' = None"),
        (b"Channel: 13", b"Channel: 70000", "channel 70000"),
        (b"Channel: 13", b"Channel: 1.5", "1.5"),
        (b"#End of Header", b"\n" * 300, "200 lines"),
    ],
)
def test_an_unusable_header_is_refused(tmp_path: Path, old: bytes, new: bytes, match: str) -> None:
    path = tmp_path / "chan1.ljh"
    _write(path)
    path.write_bytes(path.read_bytes().replace(old, new, 1))
    with pytest.raises(FormatError, match=match) as caught:
        read_ljh(path)
    assert str(path) in str(caught.value)


def test_records_of_another_length_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "chan1.ljh"
    writer = LjhWriter(path, channel=1, n_samples=N, presamples=8, timebase=1e-6)
    with pytest.raises(FormatError, match="expected n x 32"):
        writer.append([0], [T0], np.zeros((1, 31)))
    writer.append([], [], np.zeros((0, N)))
    writer.close()
    assert not path.exists()
