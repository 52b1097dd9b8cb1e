"""The end of a run and a catalog that is down, slow, or has gone for good."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from redoxscope.storage import CatalogWriter, DocumentLog
from redoxscope.storage.catalog import _writer as writer_module

from .conftest import stack_documents


class Server:
    """Stands for a catalog: takes, refuses, or hangs."""

    metadata: dict[str, Any] = {}

    def __init__(self) -> None:
        self.stored: list[str] = []
        self.tried = 0
        self.error: Exception | None = None
        self.refused: set[str] = set()
        self.answers = threading.Event()
        self.answers.set()

    def take(self, path: Path, _: Any) -> int:
        self.tried += 1
        self.answers.wait(30)
        if self.error is not None:
            raise self.error
        if path.stem in self.refused:
            raise ValueError("not this run")
        self.stored.append(path.stem)
        return 0


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    it = Server()
    monkeypatch.setattr(writer_module, "ingest", it.take)
    yield it
    it.answers.set()


def _run(log: DocumentLog, writer: CatalogWriter) -> str:
    documents = stack_documents()
    for name, doc in documents:
        log(name, doc)
        writer(name, doc)
    return str(documents[0][1]["uid"])


def test_a_run_is_stored_when_its_end_returns(tmp_path: Path, server: Server) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log)
    uids = [_run(log, writer) for _ in range(3)]
    assert server.stored == uids and writer.waiting == {}
    assert sorted(path.stem for path in (tmp_path / "stored").iterdir()) == sorted(uids)
    writer.close()


@pytest.mark.parametrize("error", [httpx.ConnectError("down"), httpx.ReadTimeout("slow")])
def test_an_outage_is_said_once_and_made_up_for(
    tmp_path: Path, server: Server, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log)
    server.error = error
    with pytest.warns(UserWarning, match=r"is not in the catalog.*safe in .*redoxscope recover"):
        first = _run(log, writer)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        second = _run(log, writer)
        assert writer.wait(10)
        assert {path.stem for path in writer.waiting} == {first, second}
        assert server.tried == 2  # one try a run, not one a run that waits
        server.error = None
        third = _run(log, writer)
    assert writer.wait(10)
    assert server.stored == [first, second, third] and writer.waiting == {}
    assert "answers again" in caplog.text
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_server_that_hangs_holds_up_nobody(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log, patience=0.01)
    server.answers.clear()
    uids = [_run(log, writer) for _ in range(3)]  # would wait for ever
    assert caplog.text.count("takes long") == 1 and uids[0] in caplog.text
    assert not writer.wait(0.01)
    server.answers.set()
    assert writer.wait(10)
    assert server.stored == uids


def test_one_run_that_is_refused_keeps_no_other_out(tmp_path: Path, server: Server) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log)
    documents = stack_documents()
    bad = documents[0][1]["uid"]
    server.refused = {bad}
    with pytest.warns(UserWarning, match=f"run {bad} .*not this run"):
        for name, doc in documents:
            log(name, doc)
            writer(name, doc)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        good = _run(log, writer)
    assert server.stored == [good]
    assert [path.stem for path in writer.waiting] == [bad]


def test_the_statement_of_a_database_error_is_not_told(tmp_path: Path, server: Server) -> None:
    log = DocumentLog(tmp_path)
    server.error = ValueError("(sqlite3) database or disk is full\n[SQL: INSERT INTO nodes]")
    writer = CatalogWriter(server, log)
    with pytest.warns(UserWarning, match=r"disk is full\). Its data are safe"):
        _run(log, writer)


def test_the_end_of_the_session_tries_again_and_says_what_is_left(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log)
    server.error = httpx.ConnectError("down")
    with pytest.warns(UserWarning, match="down"):
        uids = [_run(log, writer) for _ in range(2)]
    assert writer.wait(10)
    writer.close()
    assert "2 runs are not in the catalog" in caplog.text and str(tmp_path) in caplog.text
    server.error = None
    writer.close()
    assert sorted(server.stored) == sorted(uids)


def test_a_hanging_server_does_not_hold_up_the_end_of_the_session(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log, patience=0.01)
    server.answers.clear()
    uid = _run(log, writer)
    writer.close(timeout=0.01)
    assert f"run {uid} is not in the catalog (the catalog does not answer)" in caplog.text


def test_no_log_is_called_safe_that_is_gone(tmp_path: Path, server: Server) -> None:
    log = DocumentLog(tmp_path)
    writer = CatalogWriter(server, log)
    documents = stack_documents()
    for name, doc in documents:
        log(name, doc)
    log.path(documents[0][1]["uid"]).unlink()
    with pytest.warns(UserWarning, match="its log is gone"):
        writer(*documents[-1])


def test_a_catalog_that_cannot_be_opened_is_opened_later(tmp_path: Path, server: Server) -> None:
    opened = [ConnectionError("asleep"), ConnectionError("not yet"), server]

    def open_it() -> Any:
        found = opened.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    log = DocumentLog(tmp_path)
    writer = CatalogWriter(open_it, log)
    with pytest.warns(UserWarning, match="not yet"):
        first = _run(log, writer)
    second = _run(log, writer)
    assert writer.wait(10)
    assert server.stored == [first, second]


def test_the_catalog_is_opened_while_the_first_run_goes_on(tmp_path: Path, server: Server) -> None:
    opened = threading.Event()

    def open_it() -> Any:
        assert threading.current_thread().name == "catalog"
        opened.set()
        return server

    log = DocumentLog(tmp_path)
    writer = CatalogWriter(open_it, log)
    documents = stack_documents()
    for name, doc in documents[:-1]:
        log(name, doc)
        writer(name, doc)
    assert opened.wait(10)  # before its end
    assert writer.wait(10) and not server.stored
    log(*documents[-1])
    writer(*documents[-1])
    assert server.stored == [documents[0][1]["uid"]]
