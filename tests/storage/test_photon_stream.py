"""A photon list announced by stream documents, read back through the catalog."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.sim import SynSignal

from redoxscope.callbacks import photons_of_run
from redoxscope.documents import PHOTON_KEYS, PHOTON_STREAM
from redoxscope.formats import read_photon_list, unannounced_photons
from redoxscope.photons import Photons
from redoxscope.storage import CatalogWriter, DocumentLog, open_catalog, recover, run_documents
from redoxscope.storage.catalog._ingest import LogIndex
from tests.formats.photon_run import T0, Collected, photon_run, some_photons

FIELDS = ("pixel", "time_ns", "filtered", "pretrigger", "energy")


def _take(tmp_path: Path, obj: Collected, embedded: Any | None) -> tuple[str, DocumentLog]:
    engine = RunEngine({}, context_managers=[])
    log = DocumentLog(tmp_path / "log")
    engine.subscribe(log)
    writer = CatalogWriter(embedded, log)
    if embedded is not None:
        engine.subscribe(writer)
    (uid,) = engine(photon_run(obj, SynSignal(name="energy", func=lambda: 640.0)))
    assert writer.wait(60)
    return uid, log


def _check(run: Any, obj: Collected) -> None:
    data = run[PHOTON_STREAM].read()
    assert set(data.variables) == set(PHOTON_KEYS)
    whole = Photons.concatenate(obj.batches)
    for key, field in zip(PHOTON_KEYS, FIELDS, strict=False):
        assert data[key].dtype == np.dtype(PHOTON_KEYS[key][0])
        np.testing.assert_array_equal(data[key], getattr(whole, field))
    late = np.tile(np.arange(len(obj.batches[0])) % 50 == 0, len(obj.batches))
    np.testing.assert_array_equal(data["tes_photon_late"], late)
    points = np.repeat(np.arange(len(obj.batches)), len(obj.batches[0])) - late
    np.testing.assert_array_equal(data["tes_photon_point"], points)


@pytest.mark.parametrize("photons", [1, 700, 20_000])
def test_photons_come_back(tmp_path: Path, home: Path, embedded: Any, photons: int) -> None:
    obj = Collected(home / "data" / "photons" / f"{photons}.h5", 3, photons)
    uid, _ = _take(tmp_path, obj, embedded)
    run = embedded[uid]
    # The file is still open for writing here, and longer than what was announced.
    obj.writer.append(some_photons(10), [-1] * 10, [False] * 10)
    obj.writer.flush()
    _check(run, obj)
    obj.writer.close([(point, T0, T0 + 1) for point in range(3)])
    _check(embedded[uid], obj)
    keys = run[PHOTON_STREAM].metadata["data_keys"]
    assert {key: of.get("units") for key, of in keys.items()} == {
        key: unit for key, (_, unit) in PHOTON_KEYS.items()
    }
    assert run.stop["num_events"] == {"primary": 3, PHOTON_STREAM: 3 * photons}
    assert run["primary"].read()["energy"].values.tolist() == [640.0] * 3
    assert [name for name, _ in run_documents(run)] == ["start", "descriptor", "event_page", "stop"]
    # The catalog names the file, and the file has the points.
    (source,) = run[PHOTON_STREAM]["tes_photon_time"].data_sources()
    assert source.assets[0].data_uri == obj.asset._uri
    counts = read_photon_list(obj.writer.path).points["count"]
    assert counts.sum() == 3 * photons - -(-photons // 50)  # but the late ones before point 0


def test_no_photon_at_all(tmp_path: Path, home: Path, embedded: Any) -> None:
    obj = Collected(home / "data" / "photons" / "none.h5", 2, 0)
    uid, _ = _take(tmp_path, obj, embedded)
    obj.writer.close()
    run = embedded[uid]
    assert len(run["primary"].read()["energy"]) == 2
    assert set(run[PHOTON_STREAM].read().variables) == set()


def test_recovered_after_a_crash(tmp_path: Path, home: Path, embedded: Any) -> None:
    obj = Collected(home / "data" / "photons" / "crash.h5", 3, 100)
    uid, log = _take(tmp_path, obj, None)
    path = log.path(uid)
    path.write_bytes(path.read_bytes().rpartition(b'{"name":"stop"')[0])
    (report,) = recover(path.parent, embedded)
    assert (report.status, report.lines) == ("recovered", 3)
    _check(embedded[uid], obj)
    obj.writer.close()


def _cut(path: Path, names: tuple[bytes, ...]) -> None:
    """Leave of a log what had been said before the first of these documents."""
    lines = path.read_bytes().splitlines(keepends=True)
    heads = tuple(b'{"name":"' + name + b'"' for name in names)
    first = next(i for i, line in enumerate(lines) if line.startswith(heads))
    kept = lines[:first] + [line for line in lines[first:] if line.startswith(b'{"name":"event"')]
    path.write_bytes(b"".join(kept))


def test_photons_that_a_killed_client_did_not_announce(
    tmp_path: Path, home: Path, embedded: Any
) -> None:
    obj = Collected(home / "data" / "photons" / "killed.h5", 3, 100)
    announced, obj.batches = obj.batches[:2], obj.batches[:2]
    uid, log = _take(tmp_path, obj, None)
    obj.batches = [*announced, some_photons(100, seed=2, start=T0 + 2 * 10**9)]
    obj.take(2)
    obj.writer.flush()
    _cut(log.path(uid), (b"stop",))
    (report,) = recover(log.directory, embedded)
    assert (report.status, report.message) == ("recovered", "")
    _check(embedded[uid], obj)
    assert embedded[uid].stop["num_events"] == {"primary": 2, PHOTON_STREAM: 300}
    obj.writer.close()


def test_a_client_killed_before_it_announced_any_photon(
    tmp_path: Path, home: Path, embedded: Any
) -> None:
    path = home / "data" / "photons" / "early.h5"
    obj = Collected(path, 3, 100)
    energy = SynSignal(name="energy", func=lambda: 640.0)
    told = {"tes_photon_list": {"value": str(path), "timestamp": 0.0}}
    energy.read_configuration = lambda: told
    key = {"source": "test", "dtype": "string", "shape": []}
    energy.describe_configuration = lambda: dict.fromkeys(told, key)
    engine = RunEngine({}, context_managers=[])
    log = DocumentLog(tmp_path / "log")
    engine.subscribe(log)
    (uid,) = engine(photon_run(obj, energy))
    _cut(log.path(uid), (b"stream_resource",))
    (report,) = recover(log.directory, embedded)
    assert (report.status, report.message) == ("recovered", "")
    _check(embedded[uid], obj)
    obj.writer.close()


def test_a_photon_list_that_is_gone_is_told_and_costs_no_event(
    tmp_path: Path, home: Path, embedded: Any
) -> None:
    path = home / "data" / "photons" / "gone.h5"
    obj = Collected(path, 3, 0)
    uid, log = _take(tmp_path, obj, None)
    obj.writer.close()
    first = (
        log.path(uid)
        .read_bytes()
        .replace(
            b'"configuration":{"energy":{"data":{',
            b'"configuration":{"energy":{"data":{"tes_photon_list":"/nowhere/gone.h5",',
            1,
        )
    )
    log.path(uid).write_bytes(first)
    _cut(log.path(uid), (b"stop",))
    index = LogIndex(log.path(uid))
    assert index.photons[0] == [] and "/nowhere/gone.h5" in index.photons[1]


@pytest.mark.parametrize("way", ["moved", "copied", "to a name with #"])
@pytest.mark.parametrize("killed", ["", "late", "early"])
def test_a_moved_folder_fills_a_new_catalog_with_its_photons(
    fresh: Callable[[Path], Any], tmp_path: Path, way: str, killed: str
) -> None:
    old, new = tmp_path / "old", tmp_path / ("new #1" if "#" in way else "new")
    list_path = old / "photons" / "20261126-033000_run.h5"
    obj = Collected(list_path, 3, 100)
    energy = SynSignal(name="energy", func=lambda: 640.0)
    told = {"tes_photon_list": {"value": str(list_path), "timestamp": 0.0}}
    energy.read_configuration = lambda: told
    key = {"source": "test", "dtype": "string", "shape": []}
    energy.describe_configuration = lambda: dict.fromkeys(told, key)
    engine = RunEngine({}, context_managers=[])
    log = DocumentLog(old / "documents")
    engine.subscribe(log)
    (uid,) = engine(photon_run(obj, energy))
    obj.writer.close()
    if killed:
        _cut(log.path(uid), (b"stop",) if killed == "late" else (b"stream_resource",))
    else:
        (old / "documents" / "stored").mkdir()
        log.path(uid).rename(old / "documents" / "stored" / f"{uid}.jsonl")
    catalog = fresh(new)
    shutil.copytree(old, new, dirs_exist_ok=True)
    if way != "copied":
        shutil.rmtree(old)
    (report,) = recover(new / "documents", catalog, stored=True)
    assert (report.status, report.message) == ("recovered" if killed else "stored", "")
    _check(catalog[uid], obj)
    path = photons_of_run(catalog[uid]).path
    assert Path(path).samefile(new / "photons" / list_path.name)


def test_a_photon_list_that_lies_elsewhere_stays_there(
    fresh: Callable[[Path], Any], tmp_path: Path
) -> None:
    """A list of the same name in a folder that is not the data folder's is not taken for it."""
    obj = Collected(tmp_path / "elsewhere" / "a.h5", 1, 10)
    uid, log = _take(tmp_path, obj, None)
    obj.writer.close()
    (tmp_path / "photons").mkdir()
    shutil.copy(obj.writer.path, tmp_path / "photons" / "a.h5")
    uris = {doc["uri"] for name, doc in LogIndex(log.path(uid)).documents() if "uri" in doc}
    assert uris == {f"file://localhost{tmp_path}/elsewhere/a.h5"}


@pytest.mark.parametrize("way", ["moved", "copied", "to a name with #"])
def test_a_moved_catalog_has_its_photons(
    fresh: Callable[[Path], Any], tmp_path: Path, way: str
) -> None:
    old, new = tmp_path / "old", tmp_path / ("new #1" if "#" in way else "new")
    catalog = fresh(old)
    obj = Collected(old / "photons" / "p.h5", 3, 100)
    uid, _ = _take(tmp_path, obj, catalog)
    obj.writer.close()
    if way == "copied":
        shutil.copytree(old, new)
    else:
        old.rename(new)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that databroker opens another
        moved = open_catalog(directory=new)
    _check(moved[uid], obj)
    assert Path(photons_of_run(moved[uid]).path).samefile(new / "photons" / "p.h5")


@pytest.mark.parametrize("column, rows", [("late", 150), ("time", 250)])
def test_only_whole_rows_are_announced(tmp_path: Path, column: str, rows: int) -> None:
    """What a client that was killed left of its last batch: columns of different lengths."""
    obj = Collected(tmp_path / "torn.h5", 3, 100)
    for point in range(3):
        obj.take(point)
    docs = [("descriptor", {"name": PHOTON_STREAM, "uid": "d"})]
    docs += list(obj.asset.collect_asset_docs(index=100))
    obj.writer.close()
    with h5py.File(obj.writer.path, "r+") as file:
        if column == "late":
            file["/entry/photons/late"].resize((rows,))
        else:
            file["/entry/photons/time"][rows:] = 0
    found, problem = unannounced_photons(docs)
    assert problem == ""
    assert [name for name, _ in found] == ["stream_datum"] * len(PHOTON_KEYS)
    for _, doc in found:
        assert doc["indices"] == {"start": 100, "stop": rows} and doc["descriptor"] == "d"
        assert doc["seq_nums"] == {"start": 101, "stop": rows + 1}


_NEWCOMER = """
import sys, databroker
run = databroker.catalog["redoxscope"][sys.argv[1]]
data = run["tes_photons"].read()
print(data.sizes["time"], data["tes_photon_time"].dtype, int(data["tes_photon_pixel"].sum()))
"""


@pytest.mark.slow
def test_a_newcomer_reads_them_in_another_process(
    tmp_path: Path,
    home: Path,
    embedded: Any,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    obj = Collected(home / "data" / "photons" / "other.h5", 2, 500)
    uid, _ = _take(tmp_path, obj, embedded)
    done = python(_NEWCOMER, uid)
    assert done.returncode == 0, done.stderr
    total = sum(int(batch.pixel.sum()) for batch in obj.batches)
    assert done.stdout.split() == ["1000", "int64", str(total)]
    obj.writer.close()


def test_rows_are_counted_and_not_kept_one_by_one() -> None:
    """A dict of a thousand million rows, as the stock consolidator makes, fits no memory."""
    from bluesky_tiled_plugins.writing.consolidators import consolidator_factory

    import redoxscope.storage.catalog._tiled_writer  # noqa: F401  registers ours

    key = {
        "source": "s",
        "dtype": "number",
        "dtype_numpy": "<i8",
        "shape": [],
        "external": "STREAM:",
    }
    resource = {
        "uid": "r", "data_key": "x", "mimetype": "application/x-hdf5", "uri": "file://localhost/x.h5",
        "parameters": {"dataset": "x", "chunk_shape": [1_000_000]},
    }  # fmt: skip
    rows = consolidator_factory(resource, {"data_keys": {"x": key}})
    half, whole = 500_000_000, 1_000_000_000
    for start, stop in ((0, half), (half, whole)):
        patch = rows.consume_stream_datum(
            {
                "indices": {"start": start, "stop": stop},
                "seq_nums": {"start": start + 1, "stop": stop + 1},
            }
        )
        assert (patch.offset, patch.shape) == ((start,), (half,))
    assert rows.shape == (whole,) and not rows.has_skips
    rows.consume_stream_datum(
        {"indices": {"start": whole, "stop": whole + 5}, "seq_nums": {"start": 0, "stop": 0}}
    )
    assert rows.shape == (whole + 5,) and rows.has_skips
