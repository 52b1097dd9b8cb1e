"""The end of a run and a catalog that is down, slow, or has gone for good."""

from __future__ import annotations

import atexit
import json
import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from redoxscope.storage import CatalogError, CatalogWriter, DocumentLog, recover
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

    def __getitem__(self, key: Any) -> str:
        return self.stored[key]

    def __len__(self) -> int:
        return len(self.stored)

    def take(self, path: Path, _: Any) -> int:
        self.tried += 1
        assert self.answers.wait(30)
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


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., CatalogWriter]]:
    """Writers that the end of the process does not close again."""
    made: list[CatalogWriter] = []

    def one(catalog: Any, log: DocumentLog, **options: Any) -> CatalogWriter:
        made.append(CatalogWriter(catalog, log, **options))
        return made[-1]

    yield one
    for writer in made:
        atexit.unregister(writer.close)


def _run(log: DocumentLog, writer: CatalogWriter) -> str:
    documents = stack_documents()
    for name, doc in documents:
        log(name, doc)
        writer(name, doc)
    return str(documents[0][1]["uid"])


Make = Callable[..., CatalogWriter]


def test_the_end_of_a_run_waits_for_nothing(tmp_path: Path, server: Server, make: Make) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    server.answers.clear()
    uids = [_run(log, writer) for _ in range(3)]  # two begin while the first is being stored
    assert server.stored == [] and not writer.wait(0.0)
    assert writer.pending == "3 runs into the catalog" and list(writer.waiting.values()) == [""] * 3
    server.answers.set()
    assert writer.wait(60) and writer.pending == "" and writer.waiting == {}
    assert server.stored == uids
    assert sorted(path.stem for path in (tmp_path / "stored").iterdir()) == sorted(uids)


def test_who_reads_the_catalog_gets_the_run_that_has_just_ended(
    tmp_path: Path, server: Server, make: Make
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    cat = writer.catalog
    server.answers.clear()
    first = _run(log, writer)
    assert "take" in dir(cat)  # a name is completed without waiting
    threading.Timer(0.1, server.answers.set).start()
    assert cat[-1] == first
    second = _run(log, writer)
    assert cat[-1] == second and len(cat) == 2 and list(cat) == [first, second]
    assert cat.metadata == {} and first in cat and cat[:1] == [first]


def test_an_empty_catalog_says_where_it_lies(tmp_path: Path, fresh: Any, make: Make) -> None:
    """The real one: Tiled's own error says no more than "Index out of range"."""
    cat = make(fresh(tmp_path / "data"), DocumentLog(tmp_path / "log")).catalog
    folder = re.escape(str(tmp_path / "data"))
    with pytest.raises(
        IndexError, match=rf"catalog\[-1\]: the catalog in {folder} has no runs yet"
    ):
        _ = cat[-1]


def test_a_long_wait_for_the_catalog_is_told(
    tmp_path: Path,
    server: Server,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(writer_module, "SAID_AFTER", 0.0)
    monkeypatch.setattr(writer_module, "PATIENCE", 0.01)
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    server.answers.clear()
    uid = _run(log, writer)
    with pytest.raises(CatalogError, match=f"still being stored .*run {uid[:8]} into the catalog"):
        _ = writer.catalog[-1]
    assert f"waiting for run {uid[:8]} into the catalog (Ctrl-C stops waiting)" in caplog.text


def test_another_run_is_not_taken_for_the_last(tmp_path: Path, server: Server, make: Make) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    first = _run(log, writer)
    assert writer.wait(60)
    server.error = ValueError("not this run")
    second = _run(log, writer)
    with pytest.raises(CatalogError, match=f"earlier run: run {second} .*not this run.*recover"):
        _ = writer.catalog[-1]
    with pytest.raises(CatalogError, match=r"catalog\[-2:\]"):
        _ = writer.catalog[-2:]
    assert writer.catalog[0] == first  # which is what was asked for
    log.path(second).rename(tmp_path / "stored" / f"{second}.jsonl")  # as recover does
    assert writer.waiting == {} and writer.catalog[-1] == first


def test_what_follows_the_storing_is_waited_for(
    tmp_path: Path, server: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[tuple[Any, str, list[str]]] = []

    def results(catalog: Any, uid: str) -> None:
        assert threading.current_thread().name == "catalog"
        seen.append((catalog, uid, list(writer.catalog)))  # which waits for nothing here

    def fails(catalog: Any, uid: str) -> None:
        raise ValueError("no map")

    log = DocumentLog(tmp_path)
    writer = make(server, log, then=[fails, results])
    uid = _run(log, writer)
    assert writer.wait(60)
    assert seen == [(server, uid, [uid])] and writer.waiting == {}
    assert f"after run {uid} was stored" in caplog.text and "no map" in caplog.text


@pytest.mark.parametrize("error", [httpx.ConnectError("down"), httpx.ReadTimeout("slow")])
def test_an_outage_is_said_once_and_made_up_for(
    tmp_path: Path,
    server: Server,
    make: Make,
    error: Exception,
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    server.error = error
    first = _run(log, writer)
    assert writer.wait(60)
    assert f"run {first} is not in the catalog" in caplog.text
    assert "safe in" in caplog.text and "redoxscope recover" in caplog.text
    caplog.clear()
    second = _run(log, writer)
    assert writer.wait(60) and not caplog.text
    assert {path.stem for path in writer.waiting} == {first, second}
    assert server.tried == 2  # one try a run, not one a run that waits
    server.error = None
    third = _run(log, writer)
    assert writer.wait(60)
    assert server.stored == [first, second, third] and writer.waiting == {}
    assert "answers again" in caplog.text
    assert not list(tmp_path.glob("*.jsonl"))


def test_one_run_that_is_refused_keeps_no_other_out(
    tmp_path: Path, server: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    documents = stack_documents()
    bad = documents[0][1]["uid"]
    server.refused = {bad}
    for name, doc in documents:
        log(name, doc)
        writer(name, doc)
    good = _run(log, writer)
    assert writer.wait(60)
    assert f"run {bad} is not in the catalog (ValueError: not this run)" in caplog.text
    assert server.stored == [good]
    assert [path.stem for path in writer.waiting] == [bad]


def test_the_statement_of_a_database_error_is_not_told(
    tmp_path: Path, server: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    server.error = ValueError("(sqlite3) database or disk is full\n[SQL: INSERT INTO nodes]")
    writer = make(server, log)
    _run(log, writer)
    assert writer.wait(60)
    assert "disk is full). Its data are safe" in caplog.text and "INSERT" not in caplog.text


def test_the_end_of_the_session_tries_again_and_says_what_is_left(
    tmp_path: Path, server: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    server.error = httpx.ConnectError("down")
    uids = [_run(log, writer) for _ in range(2)]
    assert writer.wait(60)
    writer.close()
    assert "2 runs are not in the catalog" in caplog.text and str(tmp_path) in caplog.text
    server.error = None
    writer.close()
    assert sorted(server.stored) == sorted(uids)


def test_a_hanging_server_does_not_hold_up_the_end_of_the_session(
    tmp_path: Path, server: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    server.answers.clear()
    uid = _run(log, writer)
    writer.close(timeout=0.01)
    assert f"run {uid} is not in the catalog (the catalog does not answer)" in caplog.text


def test_ctrl_c_ends_the_waiting_of_the_end(
    tmp_path: Path,
    server: Server,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    server.answers.clear()
    uid = _run(log, writer)

    def interrupted(timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(writer, "wait", interrupted)
    writer.close()
    assert f"run {uid} is not in the catalog" in caplog.text and "recover" in caplog.text


def test_no_log_is_called_safe_that_is_gone(
    tmp_path: Path, server: Server, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    documents = stack_documents()
    for name, doc in documents:
        log(name, doc)
    log.path(documents[0][1]["uid"]).unlink()
    writer(*documents[-1])
    assert writer.wait(60) and "its log is gone" in caplog.text


def test_a_catalog_that_cannot_be_opened_is_opened_later(
    tmp_path: Path,
    server: Server,
    make: Make,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = [ConnectionError("asleep"), ConnectionError("not yet"), server]

    def open_it(profile: str, directory: Path | None) -> Any:
        assert (profile, directory) == ("facility", tmp_path)
        found = opened.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(writer_module, "shared_catalog", open_it)
    log = DocumentLog(tmp_path)
    writer = make("facility", log, directory=tmp_path)
    first = _run(log, writer)
    assert writer.wait(60) and "not yet" in caplog.text
    second = _run(log, writer)
    assert writer.wait(60)
    assert server.stored == [first, second]


def test_the_catalog_is_opened_while_the_first_run_goes_on(
    tmp_path: Path, server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = threading.Event()

    def open_it(profile: str, directory: Path | None) -> Any:
        assert threading.current_thread().name == "catalog"
        opened.set()
        return server

    monkeypatch.setattr(writer_module, "shared_catalog", open_it)
    log = DocumentLog(tmp_path)
    writer = make("redoxscope", log)
    documents = stack_documents()
    for name, doc in documents[:-1]:
        log(name, doc)
        writer(name, doc)
    assert opened.wait(60)  # before its end
    assert writer.wait(60) and not server.stored
    log(*documents[-1])
    writer(*documents[-1])
    assert writer.wait(60)
    assert server.stored == [documents[0][1]["uid"]]


_CLIENT = """
import atexit, json, os, signal, sys, warnings
warnings.simplefilter("ignore")
from pathlib import Path
from redoxscope.storage import CatalogWriter, DocumentLog

folder, killed = Path(sys.argv[1]), sys.argv[2] == "killed"
log = DocumentLog(folder / "documents")
writer = CatalogWriter("redoxscope", log, directory=folder)
atexit.unregister(writer.close)
atexit.register(writer.close, 250)  # s: a busy computer is not what this is about
if killed:
    from redoxscope.storage.catalog import _tiled_writer
    made = _tiled_writer.tiled_writer

    def dies(*args):
        write, count = made(*args), 0
        def one(name, doc):
            nonlocal count
            write(name, doc)
            count += name.startswith("event")
            if count == 6:
                os.kill(os.getpid(), signal.SIGKILL)
        return one

    _tiled_writer.tiled_writer = dies
for name, doc in json.load(sys.stdin):
    log(name, doc)
    writer(name, doc)
if killed:
    writer.wait()
"""


@pytest.mark.parametrize("end", ["over", "killed"])
def test_a_process_that_ends_in_the_midst_of_storing_loses_nothing(
    tmp_path: Path, fresh: Callable[[Path], Any], python: Any, end: str
) -> None:
    folder = tmp_path / "data"
    catalog = fresh(folder)
    documents = stack_documents()
    uid = documents[0][1]["uid"]
    given = json.dumps(documents, default=lambda array: array.tolist())
    ended = python(_CLIENT, str(folder), end, input=given)
    if end == "killed":
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert not (catalog[uid].metadata.get("stop") if uid in list(catalog) else None)
        (report,) = recover(folder / "documents", catalog)
        assert (report.status, report.lines) == ("stored", 10)
    else:
        assert ended.returncode == 0 and "storing 1 run of this process" in ended.stderr
    assert catalog[uid]["primary"].read()["transmission"].shape == (10, 20)
    assert catalog[uid].stop["exit_status"] == "success"
    assert not list((folder / "documents").glob("*.jsonl"))


_ENDING = """
import threading
from redoxscope.storage.catalog._late import can_be_stored_here
assert can_be_stored_here()
# As concurrent.futures does, which waits there for its threads while the main one is alive.
threading._register_atexit(lambda: print(can_be_stored_here()))
"""


def test_a_process_that_waits_for_its_threads_at_its_end_is_ending(python: Any) -> None:
    """What begins then fails for a reason that tells nobody anything."""
    ended = python(_ENDING)
    assert (ended.returncode, ended.stdout.strip()) == (0, "False"), ended.stderr


def test_the_end_of_the_process_comes_to_a_session_first(
    tmp_path: Path, server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end aborts the run that goes on; the writer has to wait for that one, too."""
    order: list[Any] = []
    monkeypatch.setattr(writer_module.atexit, "register", order.append)
    log = DocumentLog(tmp_path)
    writer = make(server, log)
    order.append("whatever makes it")
    _run(log, writer)
    assert order == [writer.close, "whatever makes it"]  # the last comes first
