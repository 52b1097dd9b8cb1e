"""A real Tiled server: what a stock one stores and gives back, and what it lacks."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from redoxscope.callbacks import oxidation_map, photons_of_run
from redoxscope.storage import (
    CatalogError,
    DocumentLog,
    catalog_doubts,
    catalog_problems,
    facility_profile,
    ingest,
    list_results,
    open_catalog,
    read_results,
    run_documents,
    store_results,
)
from tests.callbacks.conftest import make

from .conftest import data_keys
from .test_results import some

pytestmark = pytest.mark.slow


@contextmanager
def _serving(folder: Path, *options: str) -> Iterator[str]:
    """A server process on loopback; its address, with the key."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "tiled", "serve", "catalog", str(folder / "catalog.db"), "--init",
        "--host", "127.0.0.1", "--port", str(port), "--api-key", "secret", *options,
    ]  # fmt: skip
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        try:
            said = []
            for line in server.stdout:
                said.append(line.decode())
                if "running on" in said[-1]:
                    break
            else:
                pytest.fail("the server did not start: " + "".join(said))
            drain = threading.Thread(target=server.stdout.read, daemon=True)
            drain.start()
            yield f"http://127.0.0.1:{port}?api_key=secret"
        finally:
            server.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "photons").mkdir()
    writable = ["-w", str(folder / "files"), "-w", f"duckdb:///{folder}/tables.db"]
    with _serving(folder, *writable, "-r", str(folder / "photons")) as address:
        yield address, folder


@pytest.fixture
def runs(
    server: tuple[str, Path], home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """Open the server by a facility's profile that points at its root."""
    import tiled.profiles
    from tiled.client import from_uri
    from tiled.structures.core import Spec

    profiles = tmp_path / "profiles"
    profiles.mkdir()
    monkeypatch.setattr(tiled.profiles, "paths", [profiles])
    monkeypatch.setattr(tiled.profiles, "_all_paths", [profiles, profiles])
    (profiles / "f.yml").write_text(yaml.safe_dump({"redoxscope": {"uri": server[0]}}))
    root = from_uri(server[0])
    if "raw" not in root:
        with pytest.raises(CatalogError, match="neither a CatalogOfBlueskyRuns nor holds one"):
            open_catalog()
        root.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    return open_catalog


def _stack(nx: int) -> tuple[list[tuple[str, dict[str, Any]]], Any, Any]:
    """A stack as a plan emits it, of nx columns; its map, its references."""
    stack, references = make(uid=f"{nx:08}-0000-4000-8000-000000000000")
    stack.counts, stack.x = stack.counts[:, :, -nx:], stack.x[-nx:]
    documents = list(stack.documents())
    documents[1][1].update(
        data_keys=data_keys(nx), time=0.0, object_keys={}, hints={},
        configuration={"scanner": {"data": {}, "timestamps": {}, "data_keys": {}}},
    )  # fmt: skip
    documents[-1][1]["time"] = 1.0
    return documents, oxidation_map(documents, references), references


@pytest.mark.parametrize("stock", [True, False])
@pytest.mark.parametrize("nx", [10, 30])
def test_a_map_from_a_server(runs: Callable[[], Any], tmp_path: Path, stock: bool, nx: int) -> None:
    """Written by a stock TiledWriter or by us; short lines are in the table, long ones are not."""
    from bluesky_tiled_plugins import TiledWriter

    catalog = runs()
    documents, want, references = _stack(nx)
    uid = documents[0][1]["uid"]
    if uid in catalog:
        catalog[uid].delete(recursive=True, external_only=False)
    if stock:
        write = TiledWriter(catalog)
        for name, doc in documents:
            write(name, doc)
    else:
        log = DocumentLog(tmp_path)
        for name, doc in documents:
            log(name, doc)
        ingest(log.path(uid), catalog)
    run = catalog[uid]
    np.testing.assert_allclose(
        oxidation_map(run, references).result.fraction, want.result.fraction, atol=1e-9
    )
    np.testing.assert_allclose(
        oxidation_map(run_documents(run), references).result.fraction,
        want.result.fraction,
        atol=1e-9,
    )
    assert run["primary"]["transmission"].read().shape == (12 * 24, nx)
    assert run["primary"]["transmission"].read().dtype == float


def test_results_on_a_server(runs: Callable[[], Any], tmp_path: Path) -> None:
    catalog = runs()
    documents = _stack(10)[0]
    uid = documents[0][1]["uid"] = "r0000000-0000-4000-8000-000000000000"
    documents[1][1]["run_start"] = documents[-1][1]["run_start"] = uid
    log = DocumentLog(tmp_path)
    for name, doc in documents:
        log(name, doc)
    ingest(log.path(uid), catalog)
    assert [store_results(catalog, uid, some(level)) for level in (0.1, 0.2)] == [
        ["found"], ["found_v2"],
    ]  # fmt: skip
    run = catalog[uid]
    np.testing.assert_array_equal(run["found"]["fraction"].read(), some(0.1)[0].array)
    newest = read_results(run, "found")
    assert newest["mean"] == 0.2 and newest["mask"].dtype == bool
    np.testing.assert_array_equal(newest["x"], np.linspace(-1, 1, 4))
    assert newest.attrs["doubts"][0]["kind"] == "chi2"
    assert [one.version for one in list_results(run)] == [1, 2]
    assert run["primary"]["transmission"].read().shape == (12 * 24, 10)


def test_what_a_server_must_hold_is_found_out(
    runs: Callable[[], Any], server: tuple[str, Path], tmp_path: Path
) -> None:
    catalog = runs()
    before = len(catalog)
    assert catalog_problems(catalog, server[1] / "photons") == []
    (problem,) = catalog_problems(catalog, tmp_path / "elsewhere")
    assert f"needs {tmp_path / 'elsewhere'} as readable storage" in problem
    assert len(catalog) == before
    assert not list((server[1] / "photons").iterdir())


def test_photons_from_a_server(runs: Callable[[], Any], server: tuple[str, Path]) -> None:
    from bluesky import RunEngine
    from bluesky_tiled_plugins import TiledWriter
    from ophyd.sim import SynSignal

    from tests.formats.photon_run import Collected, photon_run

    obj = Collected(server[1] / "photons" / "p.h5", 2, 50)
    engine = RunEngine({}, context_managers=[])
    catalog = runs()
    engine.subscribe(TiledWriter(catalog))
    (uid,) = engine(photon_run(obj, SynSignal(name="energy", func=lambda: 640.0)))
    assert len(photons_of_run(catalog[uid])) == 100
    assert catalog[uid]["tes_photons"].read()["tes_photon_time"].shape == (100,)
    obj.writer.close()
    obj.writer.path.unlink()


def test_a_catalog_that_takes_no_table(embedded: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from redoxscope.storage.catalog import _tiled_writer

    def refuse(*_: Any) -> Callable[..., None]:
        def write(name: str, doc: dict[str, Any]) -> None:
            raise ConnectionError("500 Internal Server Error\nand more")

        return write

    assert catalog_problems(embedded) == []
    monkeypatch.setattr(_tiled_writer, "tiled_writer", refuse)
    (problem,) = catalog_problems(embedded)
    assert "needs writable storage for tables" in problem
    assert problem.endswith("(ConnectionError: 500 Internal Server Error)")


def test_a_server_that_does_not_answer(tmp_path: Path) -> None:
    """Refuses, or takes the connection and says nothing."""
    from tiled.client import from_uri

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        doubts = catalog_doubts(lambda: from_uri(address), timeout=0.2)
    assert doubts == ["it does not answer within 0.2 s"]


def test_whose_profile_it_is(runs: Callable[[], Any], tmp_path: Path) -> None:
    assert facility_profile("redoxscope") == tmp_path / "profiles" / "f.yml"
    assert facility_profile("other") is None
