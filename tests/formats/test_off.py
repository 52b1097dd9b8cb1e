"""OFF files: the measured ones, our own, and what can be wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from redoxscope.formats import (
    FormatError,
    IncompleteHeader,
    OffTail,
    OffWriter,
    off_dtype,
    read_off,
)

N_SAMPLES, N_BASES = 64, 5
T0 = 1_700_000_000_000_000_000
PHOTONS = {1: 6696, 13: 9039, 15: 13060, 17: 8385, 19: 12040, 3: 12136, 7: 12566, 9: 11032}


def _records(n: int, version: str = "0.3.0", start: int = 0, n_bases: int = N_BASES) -> np.ndarray:
    rng = np.random.default_rng(start)
    rows = np.zeros(n, off_dtype(version, n_bases))
    rows["nsamp"], rows["npre"] = N_SAMPLES, N_SAMPLES // 4
    rows["frame"] = 1000 * (start + np.arange(n))
    rows["t_ns"] = T0 + 4_800_000 * (start + np.arange(n))
    rows["ptm"] = rng.normal(1500, 1, n)
    rows["resid"] = rng.normal(10, 1, n)
    rows["coefs"] = rng.normal(8000, 100, (n, n_bases))
    return rows


def _writer(path: Path, **changes: Any) -> OffWriter:
    rng = np.random.default_rng(4)
    arguments: dict[str, Any] = {
        "channel": 12043,
        "channel_index": 85,
        "frame_period": 4.8e-6,
        "projectors": rng.normal(size=(N_BASES, N_SAMPLES)),
        "basis": rng.normal(size=(N_SAMPLES, N_BASES)),
        "source_name": "Lancero",
        "readout": {"NumberOfRows": 30},
    }
    return OffWriter(path, **{**arguments, **changes})


def _written(path: Path, n: int = 20, *, n_bases: int = N_BASES, **changes: Any) -> np.ndarray:
    rows = _records(n, changes.get("version", "0.3.0"), n_bases=n_bases)
    with _writer(path, **changes) as writer:
        writer.append(rows)
    return rows


@pytest.mark.parametrize(("channel", "n"), PHOTONS.items())
def test_the_measured_files_are_whole(shared_data: Path, channel: int, n: int) -> None:
    off = read_off(shared_data / "ssrl_10_1_tes" / f"20200219_chan{channel}.off")
    assert (off.channel, len(off.photons), off.leftover_bytes, off.problem) == (channel, n, 0, None)
    assert off.records.dtype.itemsize == 56
    assert off.projectors.shape == (5, 1024)
    assert off.basis.shape == (1024, 5)
    assert off.frame_period == 4.8e-6
    assert set(off.records["npre"]) == {259}
    assert (np.diff(off.photons.time_ns) >= 0).all()
    assert 1_582_150_000e9 < off.photons.time_ns[0] < off.photons.time_ns[-1] < 1_582_180_000e9
    # The projectors take the basis to the identity, so they were read in the right order.
    np.testing.assert_allclose(off.projectors @ off.basis, np.eye(5), atol=1e-3)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.3.0"])
def test_every_version_round_trips(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a_chan7.off"
    rows = _written(path, version=version)
    off = read_off(path)
    assert off.version == version
    assert off.problem is None
    assert off.records.tobytes() == rows.tobytes()
    rng = np.random.default_rng(4)
    np.testing.assert_array_equal(off.projectors, rng.normal(size=(N_BASES, N_SAMPLES)))
    np.testing.assert_array_equal(off.basis, rng.normal(size=(N_SAMPLES, N_BASES)))
    photons = off.photons
    assert set(photons.pixel) == {12043}  # the header's number, not the name's
    np.testing.assert_array_equal(photons.time_ns, rows["t_ns"])
    np.testing.assert_array_equal(photons.filtered, rows["coefs"][:, 2])
    np.testing.assert_array_equal(photons.pretrigger, rows["ptm"])
    assert off.header["ReadoutInfo"] == {"NumberOfRows": 30}
    assert off.end == path.stat().st_size


def test_there_is_no_file_without_a_record(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    with _writer(path) as writer:
        writer.append(_records(0))
        assert not path.exists()
        writer.append(_records(1))
        writer.flush()
        assert len(read_off(path).photons) == 1
    assert writer.count == 1


def test_records_of_a_stream_fit(tmp_path: Path) -> None:
    fields = [("chan_index", "u2"), ("t_ns", "i8"), ("frame", "i8"), ("ptm", "f4"), ("resid", "f4")]
    rows = np.zeros(2, [*fields, ("coefs", "f8", (N_BASES,)), ("truth", "f4")])
    rows["t_ns"] = T0
    with _writer(tmp_path / "chan1.off", presamples=10) as writer:
        writer.append(rows)
    off = read_off(tmp_path / "chan1.off")
    assert (set(off.records["nsamp"]), set(off.records["npre"])) == ({N_SAMPLES}, {10})
    assert off.problem is None


def test_cut_off_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    rows = _written(path, 20)
    whole = path.read_bytes()
    size = rows.dtype.itemsize
    header = len(whole) - 20 * size
    for keep in (header, header + 1, header + size - 1, header + 7 * size, len(whole) - 1):
        path.write_bytes(whole[:keep])
        off = read_off(path)
        n, leftover = divmod(keep - header, size)
        assert (len(off.photons), off.leftover_bytes) == (n, leftover)
        assert (off.problem is None) == (leftover == 0)
        if leftover:
            assert f"{leftover} bytes after the last whole record" in str(off.problem)
    for keep in (0, 1, 100, header - 1, header - 8 * N_BASES * N_SAMPLES - 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(IncompleteHeader, match="chan1.off"):
            read_off(path)


def test_a_growing_file_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    tail = OffTail(path)
    assert tail.read() is None
    rows = _written(tmp_path / "whole.off", 10)
    whole = (tmp_path / "whole.off").read_bytes()
    size = rows.dtype.itemsize
    seen = []
    for keep in (
        5,
        len(whole) - 10 * size - 3,
        *(len(whole) - k for k in (9 * size, 200, 30, 0, 0)),
    ):
        path.write_bytes(whole[:keep])
        new = tail.read()
        if new is not None:
            seen.append(new.records)
    assert [len(part) for part in seen] == [1, 5, 3, 1, 0]
    assert np.concatenate(seen).tobytes() == rows.tobytes()
    path.write_bytes(whole[:-300])
    with pytest.raises(FormatError, match="another file"):
        tail.read()


def test_an_offset_within_a_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    size = _written(path, 4).dtype.itemsize
    end = path.stat().st_size
    assert len(read_off(path, end - 2 * size).records) == 2
    with pytest.raises(FormatError, match="offset"):
        read_off(path, end - 3)
    with pytest.raises(FormatError, match="offset"):
        read_off(path, 0)


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("nsamp", N_SAMPLES + 1, "sample counts"),
        ("nsamp", 0, "sample counts"),
        ("npre", -1, "sample counts"),
        ("npre", N_SAMPLES + 1, "sample counts"),
        ("t_ns", 5, "times"),
        ("t_ns", -(2**62), "times"),
        ("t_ns", 2**62, "times"),
        ("ptm", np.nan, "no numbers"),
        ("coefs", np.inf, "no numbers"),
    ],
)
def test_records_that_cannot_be_are_kept_out(
    tmp_path: Path, field: str, value: float, match: str
) -> None:
    path = tmp_path / "chan1.off"
    rows = _records(20)
    rows[field][7] = value
    with _writer(path) as writer:
        writer.append(rows)
    off = read_off(path)
    assert match in str(off.problem)
    assert "1 records" in str(off.problem)
    assert "first is 7" in str(off.problem)
    assert len(off.records) == 20
    assert len(off.photons) == 19
    assert not off.plausible[7]


def test_bytes_lost_in_the_middle(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    size = _written(path, 40).dtype.itemsize
    whole = path.read_bytes()
    at = len(whole) - 10 * size
    path.write_bytes(whole[:at] + whole[at + 5 :])
    off = read_off(path)
    assert off.plausible[:30].all()
    assert not off.plausible[30:].any()
    assert off.problem is not None


def test_time_that_runs_backwards_is_told_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    rows = _records(20)
    rows["t_ns"][10] -= 48_000_000
    with _writer(path) as writer:
        writer.append(rows)
    off = read_off(path)
    assert "backwards at 1 records, by up to 0.0432 s" in str(off.problem)
    assert len(off.photons) == 20


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (b'"FileFormat": "OFF"', b'"FileFormat": "LJH"', "FileFormat is 'LJH'"),
        (b'"0.3.0"', b'"0.9.0"', "version '0.9.0'"),
        (b'"NumberOfBases": 5', b'"NumberOfBases": 4', "NumberOfBases = 4"),
        (b'"NumberOfBases": 5', b'"NumberOfBases": "5"', "NumberOfBases = '5'"),
        (b'"Rows": 5', b'"Rows": -5', "Rows = -5"),
        (b'"Rows": 5', b'"Rows": 99999999999', "Projectors of 99999999999"),
        (b'"ModelInfo"', b'"OtherInfo"', "Rows = None"),
        (b'"FileFormat"', b"'FileFormat'", "not JSON"),
        (b"{\n", b"[\n", "starts with"),
        (b'"ChannelNumberMatchingName": 12043', b'"ChannelNumberMatchingName": -1', "number -1"),
    ],
)
def test_an_unusable_header_is_refused(tmp_path: Path, old: bytes, new: bytes, match: str) -> None:
    path = tmp_path / "chan1.off"
    _written(path)
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))
    with pytest.raises(FormatError, match=match) as caught:
        read_off(path)
    assert str(path) in str(caught.value)


def test_too_few_coefficients_make_no_photons(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    with _writer(path, projectors=np.eye(2, 8), basis=np.eye(8, 2)) as writer:
        rows = np.zeros(3, off_dtype("0.3.0", 2))
        rows["t_ns"] = T0
        writer.append(rows)
    off = read_off(path)
    assert len(off.photons) == 0
    assert "2 coefficients" in str(off.problem)


def test_what_the_writer_refuses(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="do not fit"):
        _writer(tmp_path / "chan1.off", basis=np.zeros((N_SAMPLES, 4)))
    with pytest.raises(FormatError, match="0.4"):
        _writer(tmp_path / "chan1.off", version="0.4.0")
    writer = _writer(tmp_path / "chan1.off")
    with pytest.raises(FormatError, match="coefs, frame"):
        writer.append(np.zeros(1, [("t_ns", "i8"), ("ptm", "f4"), ("resid", "f4")]))
    with pytest.raises(FormatError, match="coefficients"):
        writer.append(np.zeros(1, off_dtype("0.3.0", 4)))
    writer.close()
    with pytest.raises(ValueError, match="is closed"):
        writer.append(_records(1))


def test_a_full_disk_names_the_file() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    writer = _writer(full)
    with pytest.raises(OSError, match="OFF file cannot be written: No space left") as caught:
        writer.append(_records(2000))
        writer.flush()
    assert caught.value.filename == "/dev/full"
    late = _writer(full)
    late.append(_records(1))  # into the buffer
    with pytest.raises(OSError, match="cannot be completed: No space left"):
        late.close()
    late.close()


def test_whatever_is_in_the_file_the_answer_is_clear(tmp_path: Path) -> None:
    path = tmp_path / "chan1.off"
    _written(path, 5, projectors=np.eye(3, 8), basis=np.eye(8, 3), n_bases=3)
    whole = path.read_bytes()
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(400):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(0, 256)
        path.write_bytes(data[: rng.integers(len(data) // 2, len(data) + 1)])
        try:
            off = read_off(path)
        except FormatError as exc:
            refused += 1
            assert str(path) in str(exc)
        else:
            assert len(off.photons) == off.plausible.sum() <= 5
            assert off.frame_period is not None
    assert 10 < refused < 390
