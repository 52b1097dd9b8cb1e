"""Runs in a real embedded catalog: written, read back, written again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from event_model import unpack_event_page

from redoxscope.storage import CatalogWriter, DocumentLog, ingest, run_documents
from redoxscope.storage.catalog._ingest import LogIndex

from .conftest import stack_documents, stack_lines


def _log(directory: Path, documents: list) -> Path:
    log = DocumentLog(directory)
    for name, doc in documents:
        log(name, doc)
    log.close()
    return log.path(documents[0][1]["uid"])


def test_variables_types_and_nan_come_back(tmp_path: Path, embedded: Any) -> None:
    lines = stack_lines()
    documents = stack_documents(lines, scan={"kind": "lines"}, grid=[20, 5])
    uid = documents[0][1]["uid"]
    assert ingest(_log(tmp_path, documents), embedded) == len(lines)
    run = embedded[uid]
    data = run["primary"].read()
    assert set(data.variables) == {*lines[0], "time"}
    for key in lines[0]:
        want = np.array([line[key] for line in lines])
        assert data[key].dtype == want.dtype
        assert data[key].shape == want.shape
        np.testing.assert_array_equal(data[key], want)
    assert run.start["scan"] == {"kind": "lines"}
    assert run.start["grid"] == [20, 5]
    assert run.stop["exit_status"] == "success"
    configuration = run["primary"].metadata["configuration"]
    assert configuration["counter"]["data"]["transmission_dead_time"] == 1e-7


@pytest.mark.parametrize("nx", [1, 10, 17])
def test_short_lines_are_arrays_too(tmp_path: Path, embedded: Any, nx: int) -> None:
    documents = stack_documents(stack_lines(nx=nx))
    ingest(_log(tmp_path, documents), embedded)
    run = embedded[documents[0][1]["uid"]]
    assert run["primary"].read()["transmission"].shape == (10, nx)


def test_batches_join(tmp_path: Path, embedded: Any) -> None:
    lines = stack_lines(energies=5)
    documents = stack_documents(lines)
    ingest(_log(tmp_path, documents), embedded, batch_size=4)
    data = embedded[documents[0][1]["uid"]]["primary"].read()
    want = [line["transmission"] for line in lines]
    np.testing.assert_array_equal(data["transmission"], want)


def test_batch_size_bounds_memory(tmp_path: Path) -> None:
    path = _log(tmp_path, stack_documents(stack_lines(nx=1000)))
    assert LogIndex(path).batch_size == 2_000_000 // 4004


def test_an_event_emitted_again_replaces_the_first(tmp_path: Path, embedded: Any) -> None:
    lines = stack_lines()[:5]
    documents = stack_documents(lines, seq_nums=[1, 2, 4, 2, 3])
    assert ingest(_log(tmp_path, documents), embedded) == 4
    data = embedded[documents[0][1]["uid"]]["primary"].read()
    want = [lines[row]["transmission"] for row in (0, 3, 4, 2)]
    np.testing.assert_array_equal(data["transmission"], want)


def test_an_event_emitted_again_within_pages(tmp_path: Path, embedded: Any) -> None:
    documents = stack_documents(stack_lines()[:6], seq_nums=[1, 2, 3, 2, 3, 4])
    pages = [doc for name, doc in documents if name == "event_page"]
    joined = [_join(pages[:3]), _join(pages[3:])]
    path = _log(
        tmp_path, [*documents[:2], *(("event_page", page) for page in joined), documents[-1]]
    )
    assert ingest(path, embedded) == 4
    data = embedded[documents[0][1]["uid"]]["primary"].read()
    want = [page["data"]["transmission"][0] for page in (pages[0], *pages[3:])]
    np.testing.assert_array_equal(data["transmission"], want)


def _join(pages: list[dict[str, Any]]) -> dict[str, Any]:
    page = dict(pages[0])
    for key in ("seq_num", "time", "uid"):
        page[key] = [value for part in pages for value in part[key]]
    for key in ("data", "timestamps"):
        page[key] = {name: [part[key][name][0] for part in pages] for name in pages[0][key]}
    return page


def test_ingest_twice_stores_once(tmp_path: Path, embedded: Any) -> None:
    documents = stack_documents()
    path = _log(tmp_path, documents)
    before = len(list(embedded))
    assert ingest(path, embedded) == ingest(path, embedded) == 10
    assert len(list(embedded)) == before + 1


def test_a_half_written_run_is_written_anew(
    tmp_path: Path, embedded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = stack_documents()
    uid = documents[0][1]["uid"]
    path = _log(tmp_path, documents)

    def breaks_off(index: LogIndex) -> Any:
        yield from list(whole(index))[:6]
        raise ConnectionError("the server went away")

    whole = LogIndex.documents
    with monkeypatch.context() as patch:
        patch.setattr(LogIndex, "documents", breaks_off)
        with pytest.raises(ConnectionError):
            ingest(path, embedded, batch_size=2)
    assert embedded[uid].metadata.get("stop") is None
    assert ingest(path, embedded) == 10
    assert embedded[uid]["primary"].read()["transmission"].shape == (10, 20)
    assert embedded[uid].stop["exit_status"] == "success"


@pytest.mark.parametrize(
    ("keep", "match"), [(slice(0, -1), "no stop document"), (slice(1), "stop")]
)
def test_an_unfinished_log_is_refused(tmp_path: Path, keep: slice, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        ingest(_log(tmp_path, stack_documents()[keep]), catalog=None)


def test_a_run_without_events(tmp_path: Path, embedded: Any) -> None:
    documents = stack_documents([])
    assert ingest(_log(tmp_path, documents), embedded) == 0
    run = embedded[documents[0][1]["uid"]]
    assert run.stop["exit_status"] == "success"
    assert [name for name, _ in run_documents(run)] == ["start", "descriptor", "stop"]


def _is_plain(value: Any) -> None:
    if isinstance(value, dict):
        assert type(value) is dict
        for item in value.values():
            _is_plain(item)
    elif isinstance(value, list):
        for item in value:
            _is_plain(item)
    else:
        assert type(value) in (str, int, float, bool, type(None))


def _take_apart(documents: list) -> bool:
    """Whether event-model's own tools take the pages apart, as other callbacks do."""
    pages = [doc for name, doc in documents if name == "event_page"]
    return sum(len(list(unpack_event_page(page))) for page in pages) == 10


def test_run_documents_replay_what_was_seen(tmp_path: Path, embedded: Any) -> None:
    lines = stack_lines()
    documents = stack_documents(lines)
    ingest(_log(tmp_path, documents), embedded)
    replay = list(run_documents(embedded[documents[0][1]["uid"]], page_size=4))
    assert [name for name, _ in replay] == ["start", "descriptor", *["event_page"] * 3, "stop"]
    assert replay[0][1] == documents[0][1]
    assert replay[1][1]["uid"] == documents[1][1]["uid"] == replay[2][1]["descriptor"]
    assert replay[1][1]["configuration"]["counter"]["data"] == {"transmission_dead_time": 1e-7}
    pages = [doc for name, doc in replay if name == "event_page"]
    np.testing.assert_array_equal(np.concatenate([page["seq_num"] for page in pages]), range(1, 11))
    for key in lines[0]:
        got = np.concatenate([page["data"][key] for page in pages])
        np.testing.assert_array_equal(got, [line[key] for line in lines])
    assert json.loads(json.dumps(replay))[2][1]["seq_num"] == [1, 2, 3, 4]
    for doc in (doc for _, doc in replay):
        _is_plain(doc)
    again = DocumentLog(tmp_path / "again")
    for name, doc in replay:
        again(name, doc)
    assert _take_apart(replay)
    stamps = np.concatenate([page["timestamps"]["i0"] for page in pages])
    np.testing.assert_array_equal(stamps, 1e9 + np.arange(10))


def test_a_run_is_exported_as_hdf5(tmp_path: Path, embedded: Any) -> None:
    lines = stack_lines()
    references = {"names": ["a", "b"], "spectra": np.ones((2, 20_000)).tolist()}
    documents = stack_documents(lines, energies=[640.0, 641.0], references=references, nix=None)
    uid = documents[0][1]["uid"]
    ingest(_log(tmp_path, documents), embedded)
    embedded[uid].export(str(tmp_path / "run.h5"))
    embedded[uid]["primary"].export(str(tmp_path / "stream.h5"))
    with h5py.File(tmp_path / "run.h5") as run, h5py.File(tmp_path / "stream.h5") as stream:
        assert json.loads(run.attrs["start"])["references"] == references
        assert json.loads(run.attrs["stop"])["exit_status"] == "success"
        for group in (run["primary"], stream):
            for key in lines[0]:
                np.testing.assert_array_equal(group[key][()], [line[key] for line in lines])
            assert group["seq_num"][()].tolist() == list(range(1, 11))


_NEWCOMER = """
import sys, databroker
catalog = databroker.catalog["redoxscope"]
run = catalog[sys.argv[1]]
assert run.start["uid"] == catalog[run.start["scan_id"]].start["uid"] == sys.argv[1]
assert catalog[-1].start["uid"] == sys.argv[1]
data = run["primary"].read()
print(dict(data.sizes), data["transmission"].dtype, next(iter(run.documents()))[0])
"""


@pytest.mark.slow
def test_a_newcomer_reads_it_in_another_process_while_we_have_it_open(
    tmp_path: Path, embedded: Any, python: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    documents = stack_documents(scan_id=4711)
    uid = documents[0][1]["uid"]
    ingest(_log(tmp_path, documents), embedded)
    embedded[uid]["primary"].read()  # our own connections are open and stay so
    done = python(_NEWCOMER, uid)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == "{'time': 10, 'dim_int_1': 20} float64 start".split()


def test_the_run_engine_end_to_end(tmp_path: Path, embedded: Any) -> None:
    from bluesky import RunEngine

    from .flyer import LineFlyer, fly_lines

    engine = RunEngine({"scan_id": 900})
    log = DocumentLog(tmp_path)
    engine.subscribe(log)
    writer = CatalogWriter(embedded, log)
    engine.subscribe(writer)
    (uid,) = engine(fly_lines(LineFlyer(stack_lines())))
    data = writer.catalog[uid]["primary"].read()
    want = [line["transmission"] for line in stack_lines()]
    np.testing.assert_array_equal(data["transmission"], want)
    assert data["line_status"].dtype == np.int64
    assert embedded[901].start["uid"] == uid
    assert [path.name for path in tmp_path.iterdir()] == ["stored"]
    assert (tmp_path / "stored" / f"{uid}.jsonl").is_file()
