"""Paths in URIs: whatever folders are called."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import platformdirs
import pytest

from redoxscope.formats import (
    PhotonAsset,
    PhotonListWriter,
    file_uri,
    path_of_uri,
    plain_path,
    read_photon_list,
)

from .photon_run import some_photons


@pytest.fixture(autouse=True)
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "links"
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda name: str(folder / name))
    return folder


@pytest.mark.parametrize(
    "name", ["a b", "100%", "%23", "a%20b", "Grün µm", "a;b&c=d", "$HOME", "[x"]
)
def test_a_plain_path_stays_as_it_is(tmp_path: Path, links: Path, name: str) -> None:
    path = tmp_path / name / "x.h5"
    assert plain_path(path) == path
    assert file_uri(path) == f"file://localhost{path}"
    assert urlsplit(file_uri(path)).path == str(path)  # as Tiled takes it out
    assert path_of_uri(file_uri(path)) == path
    assert not links.exists()


@pytest.mark.parametrize("name", ["run #5", "what?", "#/?", "a#b/c", "a\tb", "a\nb", "a\r\x01"])
def test_a_folder_gets_a_second_name(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name / "below"
    folder.mkdir(parents=True)
    (folder / "x.h5").write_text("it")
    for _ in range(2):
        path = path_of_uri(file_uri(folder / "x.h5"))
        assert path.read_text() == "it" and not set("#?") & set(str(path))
    assert plain_path(folder) == path.parent
    assert plain_path(tmp_path / "other #") != plain_path(tmp_path / "another #")


def test_a_photon_list_below_such_a_folder(tmp_path: Path) -> None:
    with PhotonListWriter(tmp_path / "run #3" / "photons" / "x.h5") as writer:
        asset = PhotonAsset(writer)
        writer.append(some_photons(5), [0] * 5, [False] * 5)
        (_, resource), *_ = asset.collect_asset_docs()
        assert len(read_photon_list(path_of_uri(resource["uri"]))) == 5


def test_a_quoted_uri_of_somebody_elses(tmp_path: Path) -> None:
    path = tmp_path / "a b"
    path.write_text("")
    assert path_of_uri(path.as_uri()) == path


@pytest.mark.parametrize("uri", ["https://host/a", "s3://b/x", "/a/b"])
def test_what_is_no_local_file(uri: str) -> None:
    with pytest.raises(ValueError, match="no local file"):
        path_of_uri(uri)


def test_no_plain_place_for_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platformdirs, "user_data_dir", lambda name: f"/home/#1/{name}")
    with pytest.raises(ValueError, match="which no URI can hold"):
        plain_path(tmp_path / "a#")
