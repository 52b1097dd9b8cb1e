"""Which profile is used, and what is made where."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from redoxscope.callbacks._document_log import DocumentLog
from redoxscope.catalog import CatalogError, data_directory, ingest, open_catalog, recover
from redoxscope.catalog._profile import writing

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


def test_another_directory_than_the_profiles_is_pointed_out(embedded: Any, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="keeps its data in .* not in .*elsewhere"):
        open_catalog(directory=tmp_path / "elsewhere")
    assert not (tmp_path / "elsewhere").exists()


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


def test_a_profile_whose_database_is_gone_names_itself(profiles: Path, tmp_path: Path) -> None:
    path = _facility(profiles, "[]", tmp_path / "unmounted")
    path.write_text(path.read_text().replace("init_if_not_exists: true", ""))
    with pytest.raises(CatalogError, match=r"'redoxscope' \(.*facility\.yml\) cannot be opened"):
        open_catalog()


def test_a_data_directory_that_cannot_be_made(profiles: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CatalogError, match="file/data cannot be made: Not a directory"):
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
from redoxscope.catalog import open_catalog, recover
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
