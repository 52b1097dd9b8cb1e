"""Which profile is used, and what is made where."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from redoxscope.storage import (
    CatalogError,
    DocumentLog,
    data_directory,
    embedded_tree,
    facility_profile,
    ingest,
    open_catalog,
    opening_lines,
    recover,
)
from redoxscope.storage.catalog import _embedded
from redoxscope.storage.catalog._embedded import make_embedded, writing

from .conftest import stack_documents


@pytest.fixture
def profiles(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where Tiled looks for profiles."""
    import tiled.profiles

    folder = tmp_path / "profiles"
    monkeypatch.setattr(tiled.profiles, "paths", [folder])
    monkeypatch.setattr(tiled.profiles, "_all_paths", [folder, folder])
    return folder


def test_data_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REDOXSCOPE_DATA", str(tmp_path / "env"))
    assert data_directory(tmp_path / "given") == tmp_path / "given"
    assert data_directory() == tmp_path / "env"
    monkeypatch.delenv("REDOXSCOPE_DATA")
    assert data_directory().name == "redoxscope"


def test_opening_is_quiet_and_again_the_same(
    embedded: Any, home: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    profile = home / "profiles" / "redoxscope.yml"
    before = profile.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = open_catalog()
    assert type(again).__name__ == "CatalogOfBlueskyRuns"
    assert list(again) == list(embedded)
    assert profile.read_bytes() == before
    assert list(profile.parent.iterdir()) == [profile]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("wanted", [None, "1"])
def test_reading_draws_no_bars_unless_they_are_wanted(
    fresh: Callable[[Path], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    wanted: str | None,
) -> None:
    monkeypatch.delenv("TILED_SHOW_PROGRESS", raising=False)
    if wanted is not None:
        monkeypatch.setenv("TILED_SHOW_PROGRESS", wanted)
    assert fresh(tmp_path / "data").context.show_progress is (wanted is not None)


def test_the_catalog_lies_in_the_data_folder(
    embedded: Any, fresh: Callable[[Path], Any], tmp_path: Path
) -> None:
    """A folder that is named wins, whatever catalog was made before."""
    fresh(tmp_path / "elsewhere")
    with pytest.warns(UserWarning, match=r"that of .*elsewhere; databroker.* opens that of .*data"):
        other = open_catalog(directory=tmp_path / "elsewhere")
    assert other.metadata["directory"] == str(tmp_path / "elsewhere")
    assert len(other) == 0


_WHERE = """
import databroker
print(databroker.catalog["redoxscope"].metadata["directory"])
"""


@pytest.mark.slow
def test_databroker_follows_the_data_folder(
    embedded: Any,
    fresh: Callable[[Path], Any],
    tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDOXSCOPE_DATA", str(tmp_path / "other"))
    assert "no catalog in" in python(_WHERE).stderr
    fresh(tmp_path / "other")
    assert opening_lines() == ["import databroker", 'catalog = databroker.catalog["redoxscope"]']
    done = python(_WHERE)
    assert done.stdout.strip() == str(tmp_path / "other"), done.stderr


@pytest.mark.parametrize("name", ["run #5? 100%20% a;b&c Grün/µm $HOME [x]", "what?"])
def test_names_of_folders(fresh: Callable[[Path], Any], tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    catalog = fresh(folder)
    log = _stack_log(folder / "documents")
    ingest(log, catalog)
    data = catalog[-1]["primary"].read()
    assert data["transmission"].shape == (10, 20) and data["energy"].dtype == float
    assert list(tmp_path.iterdir()) == [tmp_path / Path(name).parts[0]]
    assert list((folder / "files").iterdir())


@pytest.mark.parametrize("way", ["moved", "copied", "to a name with #"])
def test_a_folder_that_was_moved_or_copied(
    fresh: Callable[[Path], Any], tmp_path: Path, way: str
) -> None:
    old, new = tmp_path / "old", tmp_path / ("new #1" if "#" in way else "new")
    catalog = fresh(old)
    log = _stack_log(old / "documents")
    ingest(log, catalog)
    if way == "copied":
        shutil.copytree(old, new)
    else:
        old.rename(new)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(2):
            moved = open_catalog(directory=new)
            assert moved[log.stem]["primary"].read()["transmission"].shape == (10, 20)
    ingest(_stack_log(new / "documents"), moved)
    assert moved[-1]["primary"].read()["i0"].shape == (10, 20)
    with contextlib.closing(sqlite3.connect(new / "catalog.db")) as database:
        kept = [uri for (uri,) in database.execute("SELECT data_uri FROM assets")]
    assert kept and not [uri for uri in kept if str(old) in uri]
    if way == "copied":  # the first one is what it was
        assert catalog[log.stem]["primary"].read()["transmission"].shape == (10, 20)
        assert len(catalog) == 1


@pytest.fixture
def initialised(
    home: Path, fresh: Callable[[Path], Any], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Stands for Tiled's making of a catalog, which takes seconds; where it did."""
    made: list[str] = []

    def copy(*arguments: str) -> None:
        assert arguments[:4] == ("-m", "tiled", "catalog", "init")
        made.append(arguments[-1])
        shutil.copy(home / "template" / "catalog.db", arguments[-1].removeprefix("sqlite:///"))

    monkeypatch.setattr(_embedded, "_python", copy)
    return made


@pytest.mark.parametrize("half", ["empty", "tables", "not begun"])
def test_a_catalog_that_was_left_half_made_is_made_anew(
    tmp_path: Path, initialised: list[str], half: str
) -> None:
    """As where the client is killed in the first session of a data folder."""
    folder = tmp_path / "data"
    (folder / "documents").mkdir(parents=True)
    catalog = folder / "catalog.db"
    if half == "empty":
        catalog.touch()
    elif half == "tables":
        with contextlib.closing(sqlite3.connect(catalog)) as db:
            db.execute("CREATE TABLE nodes (id INTEGER)")
            db.execute("INSERT INTO nodes VALUES (0)")
            db.commit()
        (folder / "catalog.db-wal").write_bytes(b"of the former")
    with contextlib.closing(sqlite3.connect(folder / "tables.db")) as db:
        db.execute("PRAGMA journal_mode=WAL")
    with pytest.raises(CatalogError, match=r"no catalog in .*data yet"):
        embedded_tree(str(folder))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that databroker opens another
        assert len(open_catalog(directory=folder)) == 0
    assert not (folder / ".new").exists()
    make_embedded(folder)
    assert len(initialised) == 1


def test_a_session_that_is_killed_while_it_makes_a_catalog_leaves_none(
    tmp_path: Path, initialised: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*arguments: str) -> None:
        Path(arguments[-1].removeprefix("sqlite:///")).touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_embedded, "_python", dies)
        with pytest.raises(KeyboardInterrupt):
            make_embedded(tmp_path / "data")
    assert not list((tmp_path / "data").glob("*.db"))
    make_embedded(tmp_path / "data")
    for name in ("catalog.db", "tables.db"):
        with contextlib.closing(sqlite3.connect(tmp_path / "data" / name)) as db:
            assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_the_second_of_two_first_sessions_makes_no_catalog(
    tmp_path: Path, initialised: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the lock, and finds what the first one has made."""
    lock = fcntl.flock

    def first_is_done(file: Any, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", lock)
        make_embedded(tmp_path / "data")

    monkeypatch.setattr(fcntl, "flock", first_is_done)
    make_embedded(tmp_path / "data")
    assert len(initialised) == 1


def test_what_cannot_be_read_or_holds_runs_is_not_made_anew(
    tmp_path: Path, initialised: list[str]
) -> None:
    for name, content in (("junk", b"no database at all"), ("runs", b"")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "catalog.db").write_bytes(content)
        if name == "runs":
            with contextlib.closing(sqlite3.connect(folder / "catalog.db")) as db:
                db.execute("CREATE TABLE nodes (id INTEGER)")
                db.execute("INSERT INTO nodes VALUES (1)")
                db.commit()
        before = (folder / "catalog.db").read_bytes()
        make_embedded(folder)
        assert (folder / "catalog.db").read_bytes() == before
    assert initialised == []


def test_the_run_that_started_last_is_the_last(
    fresh: Callable[[Path], Any], tmp_path: Path
) -> None:
    """Whatever is recovered afterwards."""
    catalog = fresh(tmp_path / "data")
    documents = [stack_documents() for _ in range(3)]
    for number, (run, time) in enumerate(zip(documents, (2000.0, 3000.0, 1000.0), strict=True)):
        run[0] = ("start", {**run[0][1], "time": time, "scan_id": 5})
        log = DocumentLog(tmp_path / str(number))
        for name, doc in run:
            log(name, doc)
        ingest(log.path(run[0][1]["uid"]), catalog)
    assert [catalog[n].start["time"] for n in (-1, -2, -3, 5)] == [3000.0, 2000.0, 1000.0, 3000.0]


@pytest.mark.parametrize("name", ["", "../x", "a b", ".x"])
def test_names(name: str) -> None:
    with pytest.raises(ValueError, match="letters, digits"):
        open_catalog(name)


def test_a_misspelt_facility_profile_is_not_created(profiles: Path) -> None:
    with pytest.raises(ValueError, match="'redoxscpe' is unknown"):
        open_catalog("redoxscpe")
    assert not profiles.exists()


def _facility(profiles: Path, specs: str, tmp_path: Path) -> Path:
    profiles.mkdir()
    path = profiles / "facility.yml"
    path.write_text(
        f"""
redoxscope:
  direct:
    authentication: {{allow_anonymous_access: true}}
    trees:
    - path: /
      tree: catalog
      args:
        uri: "sqlite:///{tmp_path / "facility.db"}"
        specs: {specs}
        writable_storage: ["{tmp_path / "files"}", "sqlite:///{tmp_path / "tables.db"}"]
        init_if_not_exists: true
"""
    )
    return path


@pytest.mark.slow
def test_an_existing_profile_is_used_as_it_is(profiles: Path, tmp_path: Path) -> None:
    path = _facility(profiles, "[]", tmp_path)
    before = path.read_bytes()
    with pytest.raises(
        CatalogError, match="neither a CatalogOfBlueskyRuns nor holds one named 'raw'"
    ):
        open_catalog(directory=tmp_path / "ours")
    from tiled.client import from_profile
    from tiled.structures.core import Spec

    root = from_profile("redoxscope")
    root.create_container("raw", specs=[Spec("CatalogOfBlueskyRuns", version="3.0")])
    catalog = open_catalog()
    assert catalog.uri.endswith("/raw")
    log = _stack_log(tmp_path / "logs")
    ingest(log, catalog)
    assert catalog[-1].start["uid"] == log.stem
    assert path.read_bytes() == before
    assert list(profiles.iterdir()) == [path]
    assert not (tmp_path / "ours").exists()


def test_a_home_that_takes_no_profile_is_said(
    profiles: Path, fresh: Callable[[Path], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profiles.write_text("a file where a folder should be")
    catalog = fresh(tmp_path / "data")
    assert len(catalog) == 0
    assert "there is no Tiled profile 'redoxscope'" in caplog.text
    assert "cannot be written" in caplog.text
    assert opening_lines(directory=tmp_path / "data")[-1] == (
        f'catalog = open_catalog("redoxscope", "{tmp_path}/data")'
    )


def test_a_file_in_the_profiles_place_is_not_called_written(
    profiles: Path, fresh: Callable[[Path], Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profiles.mkdir()
    (profiles / "redoxscope.yml").write_text("other:\n  uri: http://localhost:1\n")
    fresh(tmp_path / "data")
    assert f"{profiles}/redoxscope.yml exists and holds none" in caplog.text


def test_a_profile_of_an_earlier_version_is_replaced(
    profiles: Path, fresh: Callable[[Path], Any], tmp_path: Path
) -> None:
    path = _facility(profiles, "[]", tmp_path / "old")
    content = yaml.safe_load(path.read_text())
    content["redoxscope"]["direct"]["trees"][0]["args"]["metadata"] = {"application": "redoxscope"}
    path.write_text(yaml.safe_dump(content))
    catalog = fresh(tmp_path / "data")
    assert catalog.metadata["directory"] == str(tmp_path / "data")
    assert list(profiles.iterdir()) == [profiles / "redoxscope.yml"]


def test_a_profile_that_names_a_module_that_moved_is_replaced(
    profiles: Path, fresh: Callable[[Path], Any], tmp_path: Path
) -> None:
    fresh(tmp_path / "data")
    (path,) = profiles.iterdir()
    assert "redoxscope.storage:embedded_tree" in path.read_text()
    path.write_text(path.read_text().replace("redoxscope.storage:", "redoxscope.gone:"))
    assert facility_profile("redoxscope") is None
    catalog = fresh(tmp_path / "again")
    assert catalog.metadata["directory"] == str(tmp_path / "again")
    assert "redoxscope.storage:embedded_tree" in path.read_text()


def test_a_profile_whose_database_is_gone_names_itself(profiles: Path, tmp_path: Path) -> None:
    path = _facility(profiles, "[]", tmp_path / "unmounted")
    path.write_text(path.read_text().replace("init_if_not_exists: true", ""))
    with pytest.raises(CatalogError, match=r"'redoxscope' \(.*facility\.yml\) cannot be opened"):
        open_catalog()


def test_a_data_directory_that_cannot_be_made(profiles: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="file/data: a file, not a folder"):
        open_catalog(directory=tmp_path / "file" / "data")
    assert not profiles.exists()


_HOLD = """
import sqlite3, sys
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


# In another process, as locks between two copies of SQLite in one process do not work.
@pytest.mark.slow
@pytest.mark.parametrize("database", ["tables.db", "catalog.db"])
def test_a_locked_database_is_an_error_not_a_hang(
    tmp_path: Path, embedded: Any, home: Path, database: str
) -> None:
    path = _stack_log(tmp_path)
    command = [sys.executable, "-c", _HOLD, str(home / "data" / database)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Exception, match="locked"):
            ingest(path, embedded)
        holder.stdin.close()
    assert ingest(path, embedded) == 10


def test_a_session_that_writes_for_ever_is_named(embedded: Any) -> None:
    with writing(embedded), pytest.raises(CatalogError, match=f"process {os.getpid()} has been"):
        with writing(embedded, timeout=0.0):
            pass


_STORE = """
import sys
from redoxscope.storage import open_catalog, recover
catalog = open_catalog()
print("ready", flush=True)
sys.stdin.readline()
print([report.status for report in recover(sys.argv[1], catalog)])
"""


@pytest.mark.slow
def test_two_processes_store_at_once(tmp_path: Path, embedded: Any) -> None:
    root = Path(__file__).parents[2]
    for folder in ("a", "b"):
        for _ in range(3):
            _stack_log(tmp_path / folder)
    command = [sys.executable, "-c", _STORE, str(tmp_path / "a")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        assert [report.status for report in recover(tmp_path / "b", embedded)] == ["stored"] * 3
        assert other.stdout.readline() == f"{['stored'] * 3}\n"
    for path in tmp_path.rglob("*.jsonl"):
        assert embedded[path.stem]["primary"].read()["transmission"].shape == (10, 20)


def _stack_log(directory: Path) -> Path:
    log = DocumentLog(directory)
    documents = stack_documents()
    for name, doc in documents:
        log(name, doc)
    return log.path(documents[0][1]["uid"])
