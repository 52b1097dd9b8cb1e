"""A photon list announced by stream documents, read back through the catalog."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bluesky import RunEngine
from ophyd.sim import SynSignal

from redoxscope.callbacks._document_log import DocumentLog
from redoxscope.catalog import CatalogWriter, recover, run_documents
from redoxscope.contract import PHOTON_KEYS, PHOTON_STREAM
from redoxscope.formats import read_photon_list
from redoxscope.photons import Photons
from tests.formats.photon_run import T0, Collected, photon_run, some_photons

FIELDS = ("pixel", "time_ns", "filtered", "pretrigger", "energy")


def _take(tmp_path: Path, obj: Collected, embedded: Any | None) -> tuple[str, DocumentLog]:
    engine = RunEngine({}, context_managers=[])
    log = DocumentLog(tmp_path / "log")
    engine.subscribe(log)
    if embedded is not None:
        engine.subscribe(CatalogWriter(embedded, log))
    (uid,) = engine(photon_run(obj, SynSignal(name="energy", func=lambda: 640.0)))
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
