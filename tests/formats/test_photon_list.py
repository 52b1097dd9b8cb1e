"""The photon list: columns, points, readers meanwhile, full disks, killed writers."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest

from redoxscope.documents import PHOTON_KEYS
from redoxscope.formats import (
    FormatError,
    PhotonAsset,
    PhotonListWriter,
    photon_data_keys,
    read_photon_list,
)
from redoxscope.formats._photon_list import CHUNK
from redoxscope.photons import Photons

from .photon_run import T0, some_photons

COLUMNS = ("pixel", "time_ns", "filtered", "pretrigger", "energy")


def _same(a: Photons, b: Photons) -> None:
    for name in COLUMNS:
        x, y = getattr(a, name), getattr(b, name)
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def _add(writer: PhotonListWriter, photons: Photons, point: int) -> None:
    writer.append(photons, np.full(len(photons), point), np.zeros(len(photons), bool))


@pytest.mark.parametrize("n", [0, 1, 1000, CHUNK, 2 * CHUNK + 1])
def test_round_trip(tmp_path: Path, n: int) -> None:
    path = tmp_path / "deep" / "er" / "list.h5"
    photons = some_photons(n)
    point = np.arange(n) % 5 - 1
    late = np.arange(n) % 3 == 0
    calibration = {"uid": "c1", "gain": [1.0, float("nan")]}
    with PhotonListWriter(path, calibration=calibration, attributes={"edge": "O K"}) as writer:
        half = n // 2
        writer.append(photons[:half], point[:half], late[:half])
        writer.append(photons[half:], point[half:], late[half:])
        assert writer.count == n
    got = read_photon_list(path)
    _same(got.photons, photons)
    np.testing.assert_array_equal(got.point, point)
    np.testing.assert_array_equal(got.late, late)
    assert got.late.dtype == bool
    assert got.calibration["uid"] == "c1"
    assert np.isnan(got.calibration["gain"][1])
    assert got.attributes == {"edge": "O K"}
    assert got.problem is None
    assert len(got) == n
    _same(read_photon_list(path, 3, 7).photons, photons[3:7])


def test_points_with_late_photons(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    writer = PhotonListWriter(path)
    writer.append(some_photons(4), [0, 0, -1, 0], [False] * 4)
    writer.append(some_photons(3), [1, 0, 1], [False, True, False])
    writer.add_points([(0, T0, T0 + 10)])
    writer.append(some_photons(2), [3, 3], [False] * 2)
    writer.close([(1, T0 + 20, T0 + 30), (2, T0 + 40, T0 + 50), (3, T0 + 60, T0 + 70)])
    writer.close()
    points = read_photon_list(path).points
    assert points["point"].tolist() == [0, 1, 2, 3]
    assert (points["start"] - T0).tolist() == [0, 20, 40, 60]
    assert (points["end"] - T0).tolist() == [10, 30, 50, 70]
    assert points["first"].tolist() == [0, 4, 9, 7]
    assert points["count"].tolist() == [4, 2, 0, 2]


def test_the_layout_is_that_of_nexus(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    with PhotonListWriter(path) as writer:
        _add(writer, some_photons(10), 0)
        writer.add_points([(0, T0, T0 + 1)])
    with h5py.File(path) as file:
        group = file["entry/photons"]
        assert file["entry"].attrs["NX_class"] == "NXentry"
        assert group.attrs["NX_class"] == "NXevent_data"
        for key, (dtype, unit) in PHOTON_KEYS.items():
            dataset = group[key.removeprefix("tes_photon_")]
            assert dataset.dtype == np.dtype(dtype)
            assert dataset.attrs.get("units") == unit
            assert dataset.chunks == (CHUNK,)
        np.testing.assert_array_equal(group["event_id"][()], group["pixel"][()])
        assert group["event_time_zero"][()].tolist() == [T0]
        assert group["event_index"][()].tolist() == [0]


def test_what_the_writer_refuses(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    writer = PhotonListWriter(path)
    with pytest.raises(ValueError, match="point of shape"):
        writer.append(some_photons(3), [0, 1], [False] * 3)
    with pytest.raises(ValueError, match="late of shape"):
        writer.append(some_photons(3), [0, 1, 2], [False])
    assert writer.count == 0
    with pytest.raises(FileExistsError, match="list.h5"):
        PhotonListWriter(path)
    writer.close()
    with pytest.raises(FileExistsError):
        PhotonListWriter(path)
    with pytest.raises(ValueError, match="is closed"):
        _add(writer, some_photons(1), 0)
    with pytest.raises(ValueError, match="is closed"):
        writer.add_points([(0, 1, 2)])
    writer.flush()
    with pytest.raises(TypeError):
        PhotonListWriter(tmp_path / "other.h5", attributes={"what": object()})
    assert not (tmp_path / "other.h5").exists()


def test_what_is_no_photon_list(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    with pytest.raises(FileNotFoundError, match="list.h5"):
        read_photon_list(path)
    path.write_text("no HDF5")
    with pytest.raises(FormatError, match="not an HDF5 file"):
        read_photon_list(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        file["entry/other"] = 1
    with pytest.raises(FormatError, match=r"list.h5: no photon list"):
        read_photon_list(path)


_READER = """
import sys
from redoxscope.formats import read_photon_list
for line in sys.stdin:
    got = read_photon_list(sys.argv[1])
    print(len(got), int(got.photons.time_ns.sum() % 1000003), got.problem, flush=True)
"""


def test_another_process_reads_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    photons = some_photons(3000)
    with (
        PhotonListWriter(path) as writer,
        subprocess.Popen(
            [sys.executable, "-c", _READER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as reader,
    ):
        assert reader.stdin and reader.stdout
        for stop in (1000, 2000, 3000):
            _add(writer, photons[stop - 1000 : stop], 0)
            writer.flush()
            reader.stdin.write("\n")
            reader.stdin.flush()
            told = reader.stdout.readline().split()
            assert told == [str(stop), str(int(photons.time_ns[:stop].sum() % 1000003)), "None"]
        reader.stdin.close()
        assert reader.wait(timeout=30) == 0


_KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[2])
from tests.formats.photon_run import some_photons
from redoxscope.formats import PhotonAsset, PhotonListWriter
writer = PhotonListWriter(sys.argv[1])
asset = PhotonAsset(writer)
for number in range(3):
    writer.append(some_photons(1000, number), [number] * 1000, [False] * 1000)
    writer.add_points([(number, number, number + 1)])
    list(asset.collect_asset_docs())  # what is announced is on disk
os.kill(os.getpid(), signal.SIGKILL)
"""

_FULL = """
import resource, sys
sys.path.insert(0, sys.argv[2])
from tests.formats.photon_run import some_photons
from redoxscope.formats import PhotonListWriter, read_photon_list
resource.setrlimit(resource.RLIMIT_FSIZE, (4_000_000, resource.RLIM_INFINITY))
writer = PhotonListWriter(sys.argv[1])
failed = 0
for number in range(500):
    try:
        writer.append(some_photons(1000, number), [number] * 1000, [False] * 1000)
    except OSError as exc:
        failed += 1
        assert exc.filename == sys.argv[1], exc.filename
        assert "photon list cannot be written: File too large" in str(exc), exc
writer.flush()
writer.close([(0, 1, 2)])
assert failed and writer.count == 1000 * (500 - failed)
assert len(read_photon_list(sys.argv[1])) == writer.count
with PhotonListWriter(sys.argv[1] + ".next") as other:  # the next run works
    other.append(some_photons(1000), [0] * 1000, [False] * 1000)
assert len(read_photon_list(sys.argv[1] + ".next")) == 1000
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    PhotonListWriter(sys.argv[1] + ".none")
except OSError as exc:
    assert "photon list cannot be made" in str(exc), exc
else:
    raise AssertionError("made")
print(writer.count)
"""


def _child(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    root = str(Path(__file__).resolve().parents[2])
    return subprocess.run(
        [sys.executable, "-c", code, str(path), root],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_killed_writer_leaves_what_was_announced(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    assert _child(_KILLED, path).returncode == -9
    got = read_photon_list(path)
    _same(got.photons, Photons.concatenate(some_photons(1000, n) for n in range(3)))
    assert got.points["count"].tolist() == [1000] * 3


def test_a_full_disk_is_an_error_and_no_crash(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    done = _child(_FULL, path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(read_photon_list(path)) == int(done.stdout) > 20_000
    assert not Path(f"{path}.none").exists()


def test_what_is_reserved_is_enough(tmp_path: Path) -> None:
    # If the file outgrew what is set aside for it, a full disk would end the process.
    path = tmp_path / "list.h5"
    reserved = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "redoxscope.formats._photon_list.reserve", lambda fd, size: reserved.append(size)
        )
        with PhotonListWriter(path, calibration={"gains": list(range(50_000))}) as writer:
            for number in range(40):
                _add(writer, some_photons(CHUNK // 7, number), number)
                writer.add_points([(10 * number + i, 1, 2) for i in range(100)])
                writer.flush()
                assert path.stat().st_size <= reserved[-1]
    assert path.stat().st_size <= reserved[-1]


def test_append_and_flush_from_different_threads(tmp_path: Path) -> None:
    path = tmp_path / "list.h5"
    done = threading.Event()
    problems = []

    def flush() -> None:
        try:
            while not done.is_set():
                writer.flush()
        except Exception as exc:  # into the test's thread
            problems.append(exc)

    with PhotonListWriter(path) as writer:
        thread = threading.Thread(target=flush)
        thread.start()
        for number in range(100):
            _add(writer, some_photons(100, number), number)
        done.set()
        thread.join(timeout=30)
    assert not problems
    assert len(read_photon_list(path)) == 10_000


def test_documents_follow_the_file(tmp_path: Path) -> None:
    writer = PhotonListWriter(tmp_path / "a list.h5")
    asset = PhotonAsset(writer)
    assert asset.describe_collect() == photon_data_keys(
        asset.describe_collect()["tes_photon_time"]["source"]
    )
    assert list(asset.collect_asset_docs()) == []
    _add(writer, some_photons(100), 0)
    assert asset.get_index() == 100
    docs = list(asset.collect_asset_docs(60))
    assert [name for name, _ in docs] == ["stream_resource"] * 7 + ["stream_datum"] * 7
    assert [doc["data_key"] for _, doc in docs[:7]] == list(PHOTON_KEYS)
    assert docs[0][1]["uri"] == f"file://localhost{tmp_path}/a list.h5"
    assert docs[7][1]["indices"] == {"start": 0, "stop": 60}
    more = list(asset.collect_asset_docs())
    assert [doc["indices"] for _, doc in more] == [{"start": 60, "stop": 100}] * 7
    assert {doc["uid"] for _, doc in more}.isdisjoint(doc["uid"] for _, doc in docs)
    assert list(asset.collect_asset_docs()) == []
    # What was announced is in the file already.
    assert len(read_photon_list(writer.path)) == 100
    writer.close()
    assert list(asset.collect_asset_docs()) == []


def test_a_path_that_no_uri_can_name(tmp_path: Path) -> None:
    with PhotonListWriter(tmp_path / "run #3.h5") as writer, pytest.raises(ValueError, match="#3"):
        PhotonAsset(writer)
