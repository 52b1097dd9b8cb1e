"""The data folder: made on first use, missed when it is gone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from redoxscope.storage import CatalogError, data_folder
from redoxscope.storage.catalog._embedded import writing


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A list of known folders of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    known = "redoxscope.storage.catalog._folder._known_file"
    monkeypatch.setattr(known, lambda: tmp_path / "known" / "f")
    return tmp_path / "known" / "f"


def test_the_first_use_makes_it(tmp_path: Path) -> None:
    assert data_folder(tmp_path / "data") == data_folder(tmp_path / "data") == tmp_path / "data"
    assert (tmp_path / "data").is_dir()


def test_the_users_own_is_made_with_all_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDOXSCOPE_DATA", raising=False)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda _: str(tmp_path / "a" / "b" / "c"))
    assert data_folder() == tmp_path / "a" / "b" / "c"


@pytest.mark.parametrize("left", ["nothing", "an empty mount point"])
def test_one_that_held_runs_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    folder = tmp_path / "the disk"
    monkeypatch.setenv("REDOXSCOPE_DATA", str(folder))
    data_folder()
    shutil.rmtree(folder)
    if left != "nothing":
        folder.mkdir()
    with pytest.raises(CatalogError, match="held runs before, and is .* is its disk mounted") as it:
        data_folder()
    assert folder.exists() == (left != "nothing")
    subprocess.run(str(it.value).rpartition("anew there: ")[2], shell=True, check=True)
    assert data_folder() == folder


def test_one_that_came_back_is_used(tmp_path: Path) -> None:
    folder = data_folder(tmp_path / "disk")
    folder.rename(tmp_path / "away")
    with pytest.raises(CatalogError, match="is not there now"):
        data_folder(folder)
    (tmp_path / "away").rename(folder)
    assert data_folder(folder) == folder


def test_a_named_one_needs_the_folder_above(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"nowhere is not there"):
        data_folder(tmp_path / "nowhere" / "data")
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("name", ["catalog.db", "documents"])
def test_one_from_elsewhere_is_taken(tmp_path: Path, state: Path, name: str) -> None:
    state.parent.mkdir()
    state.write_text(f"{tmp_path}/data\n")
    (tmp_path / "data" / name).mkdir(parents=True)
    assert data_folder(tmp_path / "data") == tmp_path / "data"


def test_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(CatalogError, match="data: a file, not a folder for runs"):
        data_folder(tmp_path / "data")


def test_a_home_that_takes_nothing_is_said(
    tmp_path: Path, state: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state.parent.write_text("a file")
    assert data_folder(tmp_path / "data").is_dir()
    assert "cannot be remembered" in caplog.text


@pytest.mark.parametrize("left", [True, False])
def test_nothing_is_stored_into_a_catalog_that_is_gone(tmp_path: Path, left: bool) -> None:
    """Its database is still open here, and would take it."""

    class Open:
        metadata = {"application": "redoxscope", "directory": str(tmp_path / "data")}

    if left:
        (tmp_path / "data").mkdir()
    with pytest.raises(CatalogError, match="data was deleted or moved"), writing(Open()):
        pytest.fail("it was written")
    assert not (tmp_path / "data" / ".write.lock").exists()
