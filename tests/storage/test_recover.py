"""Crashes: a client killed, a catalog that is not there, logs that are no good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from redoxscope.storage import CatalogWriter, DocumentLog, ingest, recover

from .conftest import stack_documents

# Writes a run without end, says so after each line, and waits to be killed.
_CLIENT = """
import sys
from redoxscope.storage import DocumentLog
from tests.storage.conftest import stack_documents
log = DocumentLog(sys.argv[1])
for name, doc in stack_documents()[:-1]:
    log(name, doc)
    print(name, flush=True)
print("waiting", flush=True)
sys.stdin.read()
"""


def _log(directory: Path, documents: list) -> Path:
    log = DocumentLog(directory)
    for name, doc in documents:
        log(name, doc)
    log.close()
    return log.path(documents[0][1]["uid"])


def test_a_killed_client_loses_no_line(tmp_path: Path, embedded: Any) -> None:
    root = Path(__file__).parents[2]
    client = subprocess.Popen(
        [sys.executable, "-c", _CLIENT, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    with client:
        assert client.stdout is not None
        for line in client.stdout:
            if line == "waiting\n":
                break
        (running,) = recover(tmp_path, embedded)
        assert running.status == "running"
        client.send_signal(signal.SIGKILL)
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines, report.message) == ("recovered", 10, "")
    run = embedded[report.uid]
    assert run["primary"].read()["transmission"].shape == (10, 20)
    assert run.stop["exit_status"] == "abort"
    assert run.stop["reason"].startswith("interrupted: ")
    assert run.stop["num_events"] == {"primary": 10}
    assert run.stop["time"] >= run.start["time"]
    assert report.path.parent.name == "stored"
    assert recover(tmp_path, embedded) == []


def test_killed_within_a_line(tmp_path: Path, embedded: Any) -> None:
    path = _log(tmp_path, stack_documents()[:6])
    path.write_bytes(path.read_bytes()[:-40])
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("recovered", 3)
    assert "cut off" in report.message


ZEROS = b"\0" * 4096


def _damage(path: Path, line: int, new: bytes) -> None:
    """Put something in place of a line (from 1)."""
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line - 1] = new
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("junk", [ZEROS + b"\n", b'{"name":"event_p\n', b"\xff\xfe\n"])
def test_a_damaged_line_costs_itself_only(tmp_path: Path, embedded: Any, junk: bytes) -> None:
    path = _log(tmp_path, stack_documents()[:-1])
    _damage(path, 5, junk)
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("recovered", 9)
    assert "line 5" in report.message
    run = embedded[report.uid]
    assert run["primary"].read()["line"].values.tolist() == [0, 1, 3, 4, 0, 1, 2, 3, 4]
    assert "line 5" in run.stop["reason"]


def test_a_whole_document_beside_zeros_is_kept(tmp_path: Path, embedded: Any) -> None:
    path = _log(tmp_path, stack_documents())
    _damage(path, 5, ZEROS + path.read_bytes().splitlines(keepends=True)[4])
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("stored", 10)
    assert "line 5: 4096 bytes of zeros" in report.message
    assert embedded[report.uid]["primary"].read()["transmission"].shape == (10, 20)


def test_zeros_at_the_end_are_a_line_that_was_cut_off(tmp_path: Path, embedded: Any) -> None:
    path = _log(tmp_path, stack_documents()[:6])
    path.write_bytes(path.read_bytes() + ZEROS)
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("recovered", 4)
    assert "cut off" in report.message


def test_events_without_their_descriptor_are_counted(tmp_path: Path, embedded: Any) -> None:
    path = _log(tmp_path, stack_documents())
    _damage(path, 2, ZEROS + b"\n")
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("stored", 0)
    assert "line 2" in report.message and "10 documents left out" in report.message


def test_a_damaged_start_is_no_empty_log(tmp_path: Path) -> None:
    path = _log(tmp_path, stack_documents())
    _damage(path, 1, ZEROS + b"\n")
    _damage(path, 2, ZEROS + b"\n")
    (report,) = recover(tmp_path, catalog=None)
    assert report.status == "failed" and path.exists()
    assert "no start document" in report.message and "line 1" in report.message


def test_killed_between_storing_and_moving(tmp_path: Path, embedded: Any) -> None:
    path = _log(tmp_path, stack_documents())
    ingest(path, embedded)
    (report,) = recover(tmp_path, embedded)
    assert report.status == "present"
    assert not path.exists()


def test_killed_before_the_first_document(tmp_path: Path) -> None:
    (tmp_path / "abc.jsonl").write_bytes(b'{"name":"sta')
    (report,) = recover(tmp_path, catalog=None)
    assert report.status == "empty"
    assert recover(tmp_path, catalog=None) == []


def test_one_bad_log_does_not_stop_the_others(tmp_path: Path, embedded: Any) -> None:
    good = _log(tmp_path, stack_documents())
    (tmp_path / "0bad.jsonl").write_bytes(b"rubbish\n")
    headless = tmp_path / "1headless.jsonl"
    headless.write_bytes(b"".join(good.read_bytes().splitlines(keepends=True)[1:]))
    reports = {report.path.name: report for report in recover(tmp_path, embedded)}
    assert reports["0bad.jsonl"].status == "failed"
    assert "line 1" in reports["0bad.jsonl"].message
    assert reports["1headless.jsonl"].status == "failed"
    assert "no start document" in reports["1headless.jsonl"].message
    assert reports[good.name].status == "stored"
    assert headless.exists()


def test_no_directory_no_reports(tmp_path: Path) -> None:
    assert recover(tmp_path / "never", catalog=None) == []


class _Gone:
    """A catalog whose server does not answer."""

    metadata: dict[str, Any] = {}

    def __getitem__(self, key: str) -> Any:
        raise ConnectionError("connection refused")


def test_an_unavailable_catalog_keeps_the_log_and_says_what_to_do(
    tmp_path: Path, embedded: Any, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(_Gone(), log)
    documents = stack_documents()
    for name, doc in documents[:-1]:
        log(name, doc)
        writer(name, doc)
    log(*documents[-1])
    writer(*documents[-1])
    writer.close()
    assert "connection refused" in caplog.text
    assert f"safe in {log.path(documents[0][1]['uid'])}" in caplog.text
    assert "redoxscope recover" in caplog.text
    (report,) = recover(tmp_path, _Gone())
    assert report.status == "failed"
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("stored", 10)
    assert embedded[report.uid].stop["exit_status"] == "success"


def test_a_profile_that_cannot_be_opened_keeps_the_log(
    tmp_path: Path, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    documents = stack_documents()
    for name, doc in documents:
        log(name, doc)
    writer = CatalogWriter("nowhere", log)
    writer(*documents[-1])
    writer.close()
    assert "'nowhere' is unknown" in caplog.text and "redoxscope recover" in caplog.text
    assert log.path(documents[0][1]["uid"]).exists()


def test_a_writer_subscribed_before_the_log_says_so(tmp_path: Path) -> None:
    log = DocumentLog(tmp_path)
    documents = stack_documents()
    log(*documents[0])
    with pytest.raises(RuntimeError, match="subscribe the DocumentLog before"):
        CatalogWriter(None, log)(*documents[-1])
    log.close()


def _twice(lines: list[bytes]) -> list[bytes]:
    return [line for line in lines for _ in range(2)]


@pytest.mark.parametrize("written", [_twice, lambda lines: lines + lines])
def test_documents_written_twice_are_stored_once(tmp_path: Path, embedded: Any, written) -> None:
    path = _log(tmp_path, stack_documents())
    path.write_bytes(b"".join(written(path.read_bytes().splitlines(keepends=True))))
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines, report.message) == ("stored", 10, "")
    assert embedded[report.uid]["primary"].read()["transmission"].shape == (10, 20)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"seq_num"', b'"seq_nun"', "1 documents left out: event_page without seq_num"),
        (b'"data"', b'"date"', "1 documents left out: event_page without data"),
        (b'"line":[2', b'"lioe":[2', "other data than its descriptor says (line, lioe)"),
        (b'"name":"event_page"', b'"name":"event_pa"', "of the unknown kind 'event_pa'"),
    ],
)
def test_a_line_that_is_no_document_of_the_run_costs_itself_only(
    tmp_path: Path, embedded: Any, old: bytes, new: bytes, says: str
) -> None:
    path = _log(tmp_path, stack_documents())
    fifth = path.read_bytes().splitlines(keepends=True)[4]
    assert old in fifth
    _damage(path, 5, fifth.replace(old, new))
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("stored", 9)
    assert says in report.message
    assert embedded[report.uid]["primary"].read()["line"].values.tolist() == [
        0, 1, 3, 4, 0, 1, 2, 3, 4,
    ]  # fmt: skip


def test_documents_of_another_run_are_left_out(tmp_path: Path, embedded: Any) -> None:
    path = _log(tmp_path, stack_documents())
    other = _log(tmp_path / "other", stack_documents())
    path.write_bytes(path.read_bytes() + other.read_bytes())
    (report,) = recover(tmp_path, embedded)
    assert (report.status, report.lines) == ("stored", 10)
    assert f"of another run, {other.stem}" in report.message
