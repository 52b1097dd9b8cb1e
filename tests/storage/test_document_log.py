"""The document log: what is on disk, when, and what is said when it is not."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import IntEnum
from pathlib import Path

import numpy as np
import pytest

from redoxscope.storage.log import (
    CorruptLog,
    DocumentLog,
    DocumentLogError,
    lock_log,
    read_log,
)

from .conftest import stack_documents


def _write(log: DocumentLog, documents: list) -> Path:
    for name, doc in documents:
        log(name, doc)
    return log.path(documents[0][1]["uid"])


def test_a_run_reads_back_as_it_was_written(tmp_path: Path) -> None:
    documents = stack_documents()
    path = _write(DocumentLog(tmp_path), documents)
    read = list(read_log(path))
    assert [name for name, _ in read] == [name for name, _ in documents]
    for (_, got), (_, want) in zip(read, documents, strict=True):
        np.testing.assert_equal(got, json.loads(json.dumps(want)))
    assert type(read[2][1]["data"]["line"][0]) is int
    assert type(read[2][1]["data"]["energy"][0]) is float


def test_every_document_is_on_disk_before_the_call_returns(tmp_path: Path) -> None:
    log = DocumentLog(tmp_path)
    for count, (name, doc) in enumerate(stack_documents(), start=1):
        log(name, doc)
        (path,) = tmp_path.iterdir()
        assert path.read_bytes().count(b"\n") == count


class _Status(IntEnum):
    MISSED = 2


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (np.arange(3), [0, 1, 2]),
        (np.arange(6.0).reshape(2, 3)[:, ::2], [[0.0, 2.0], [3.0, 5.0]]),
        (np.array([1.5, np.nan, -np.inf]), [1.5, np.nan, -np.inf]),
        (np.float32(0.5), 0.5),
        (np.float64(0.1), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (float("nan"), np.nan),
        (float("inf"), np.inf),
        ([None, np.nan], [None, np.nan]),
        ((1, 2), [1, 2]),
        ({3, 1}, [1, 3]),
        (Path("/a/b"), "/a/b"),
        (_Status.MISSED, 2),
        (2**70, 2**70),
        ({5: "five"}, {"5": "five"}),
        ("null and NaN", "null and NaN"),
        ("µm", "µm"),
        (0.1 + 0.2, 0.1 + 0.2),
    ],
)
def test_values_survive(tmp_path: Path, value: object, read: object) -> None:
    path = _write(DocumentLog(tmp_path), [("start", {"uid": "a", "time": 0.0, "value": value})])
    ((_, doc),) = read_log(path)
    np.testing.assert_equal(doc["value"], read)


def test_an_object_without_json_form_is_named(tmp_path: Path) -> None:
    with pytest.raises(DocumentLogError, match=r"a\.jsonl: start document .* object"):
        DocumentLog(tmp_path)("start", {"uid": "a", "md": {"thing": object()}})


def test_nested_runs_go_to_their_own_files(tmp_path: Path) -> None:
    outer, inner = stack_documents(), stack_documents()
    log = DocumentLog(tmp_path)
    mixed = [outer[0], inner[0], outer[1], inner[1], *inner[2:-1], *outer[2:-1], inner[-1]]
    for name, doc in mixed:
        log(name, doc)
    assert log.open_runs == (outer[0][1]["uid"],)
    log(*outer[-1])
    for documents in (outer, inner):
        assert len(list(read_log(log.path(documents[0][1]["uid"])))) == len(documents)
    assert log.open_runs == ()


def test_external_documents_find_their_run(tmp_path: Path) -> None:
    log = DocumentLog(tmp_path)
    for name, doc in [
        ("start", {"uid": "r", "time": 0.0}),
        ("descriptor", {"uid": "d", "run_start": "r", "name": "primary"}),
        ("stream_resource", {"uid": "sr", "run_start": "r"}),
        ("stream_datum", {"uid": "sd", "descriptor": "d", "stream_resource": "sr"}),
        ("resource", {"uid": "res"}),
        ("datum", {"datum_id": "res/0", "resource": "res"}),
        ("datum_page", {"datum_id": ["res/1"], "resource": "res"}),
        ("stop", {"uid": "s", "run_start": "r"}),
    ]:
        log(name, doc)
    assert len(list(read_log(log.path("r")))) == 8


def test_a_document_of_an_unknown_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentLogError, match="before the run opens"):
        DocumentLog(tmp_path)("event", {"descriptor": "nobody's"})


def test_a_reading_that_comes_after_its_run_is_none_of_it(tmp_path: Path) -> None:
    """What is monitored comes from its signal's thread: one may be on its way at the end."""
    documents = stack_documents()
    log = DocumentLog(tmp_path)
    path = _write(log, documents)
    whole = path.read_bytes()
    late = next(doc for name, doc in documents if name in ("event", "event_page"))
    log("event", late)
    assert path.read_bytes() == whole and log.open_runs == ()
    with pytest.raises(DocumentLogError, match="before the run opens"):
        log("event", {"descriptor": "nobody's"})


def test_readings_of_many_threads_are_lines_of_their_own(tmp_path: Path) -> None:
    log = DocumentLog(tmp_path)
    log("start", {"uid": "run", "time": 0.0})
    log("descriptor", {"uid": "t", "run_start": "run"})

    def tell(thread: int) -> None:
        for k in range(200):
            log("event", {"descriptor": "t", "data": {"from": thread, "n": k, "text": "x" * 500}})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(tell, range(4)))
    log("stop", {"uid": "end", "run_start": "run"})
    events = [doc["data"] for name, doc in read_log(log.path("run")) if name == "event"]
    for thread in range(4):
        assert [e["n"] for e in events if e["from"] == thread] == list(range(200))


@pytest.mark.parametrize("uid", ["../escape", "", ".hidden", "a/b"])
def test_a_uid_cannot_leave_the_directory(tmp_path: Path, uid: str) -> None:
    with pytest.raises(ValueError, match="uid"):
        DocumentLog(tmp_path)("start", {"uid": uid})


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    start = stack_documents()[0]
    log = DocumentLog(tmp_path)
    log(*start)
    with pytest.raises(DocumentLogError, match="File exists"):
        DocumentLog(tmp_path)(*start)
    log.close()


@pytest.mark.parametrize("below", [".", "documents", "a/b"])
def test_a_directory_that_is_a_file(tmp_path: Path, below: str) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(DocumentLogError, match=r"taken.*: a file, not a folder for the document"):
        DocumentLog(tmp_path / "taken" / below)


def _fails(number: int) -> Callable[..., None]:
    def fail(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT])
def test_a_disk_that_takes_nothing_is_found_before_any_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", _fails(number))
    with pytest.raises(DocumentLogError, match=rf"log cannot be .*here: {os.strerror(number)}"):
        DocumentLog(tmp_path / "log")


def test_disk_full_is_raised_with_path_and_reason_and_leaves_whole_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = stack_documents()
    log = DocumentLog(tmp_path)
    _write(log, documents[:3])
    really_write = os.write

    def full(fd: int, data: memoryview) -> int:
        if len(data) < 100:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really_write(fd, data[: len(data) - 50])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(DocumentLogError, match=r"\.jsonl cannot be written: No space left"):
            log(*documents[3])
    log(*documents[-1])
    names = [name for name, _ in read_log(log.path(documents[0][1]["uid"]))]
    assert names == ["start", "descriptor", "event_page", "stop"]


@pytest.fixture
def refuges(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Where logs are rescued to; the first takes nothing."""
    (tmp_path / "taken").write_text("")
    folders = [tmp_path / "taken" / "rescued", tmp_path / "refuge"]
    monkeypatch.setattr("redoxscope.storage.log._run_file._refuges", lambda: folders)
    return folders


def _delete(folder: Path) -> None:
    shutil.rmtree(folder)


def _move(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def _replace(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


@pytest.mark.parametrize("lose", [_delete, _move, _replace])
@pytest.mark.parametrize("after", [1, 4, 12])
def test_a_folder_lost_in_mid_run_ends_it_and_loses_nothing(
    tmp_path: Path, refuges: list[Path], lose: Callable[[Path], None], after: int
) -> None:
    documents = stack_documents()
    assert documents[12][0] == "stop" or after < 12
    folder = tmp_path / "documents"
    log = DocumentLog(folder)
    _write(log, documents[:after])
    lose(folder)
    uid = documents[0][1]["uid"]
    path = refuges[1] / f"{uid}.jsonl"
    with pytest.raises(DocumentLogError, match=rf"{folder}.*the run ends here.*{path}.*recover"):
        log(documents[after][0], documents[after][1])
    if after < len(documents) - 1:
        log(*documents[-1])
    assert log.path(uid) == path and log.open_runs == ()
    names = [name for name, _ in read_log(path)]
    assert names == [name for name, _ in [*documents[: after + 1], *documents[-1:]]][: len(names)]
    assert names[-1] == "stop" and len(names) >= after + 1


def test_a_log_that_cannot_be_rescued_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("")
    monkeypatch.setattr(
        "redoxscope.storage.log._run_file._refuges", lambda: [tmp_path / "taken" / "x"]
    )
    documents = stack_documents()
    log = DocumentLog(tmp_path / "documents")
    _write(log, documents[:3])
    shutil.rmtree(tmp_path / "documents")
    with pytest.raises(DocumentLogError, match=r"deleted or moved .*cannot be rescued .*taken/x"):
        log(*documents[3])


def test_the_lock_is_held_while_the_run_is_open(tmp_path: Path) -> None:
    documents = stack_documents()
    log = DocumentLog(tmp_path)
    path = _write(log, documents[:3])
    assert lock_log(path) is None
    log(*documents[-1])
    fd = lock_log(path)
    assert fd is not None
    os.close(fd)


@pytest.mark.parametrize("cut", [1, 2, 30, 200])
def test_a_cut_off_last_line_is_dropped_and_reported(tmp_path: Path, cut: int) -> None:
    documents = stack_documents()[:4]
    path = _write(DocumentLog(tmp_path), documents)
    path.write_bytes(path.read_bytes()[:-cut])
    messages: list[str] = []
    read = list(read_log(path, messages.append))
    if cut == 1:  # only the newline is gone: the document is whole
        assert len(read) == 4 and not messages
        return
    assert len(read) == 3
    assert "last line (4) is cut off" in messages[0] and str(path) in messages[0]
    with pytest.warns(UserWarning, match="cut off"):
        list(read_log(path))


@pytest.mark.parametrize(
    "junk", [b"\0\0\0", b"{}", b"[1, 2]", b'{"name": 1, "doc": {}}', b"", b"3"]
)
def test_corruption_in_the_middle_names_file_and_line(tmp_path: Path, junk: bytes) -> None:
    path = _write(DocumentLog(tmp_path), stack_documents())
    lines = path.read_bytes().splitlines()
    lines[3] = junk
    path.write_bytes(b"\n".join(lines) + b"\n")
    with pytest.raises(CorruptLog, match=r"\.jsonl, line 4: not a document"):
        list(read_log(path))
