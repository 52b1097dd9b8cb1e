"""A folder for results is tried before anything heavy is done."""

import tempfile

import pytest

from redoxscope.formats import writable_folder


def test_a_folder_is_made_and_left_empty(tmp_path):
    folder = writable_folder(tmp_path / "a" / "b")
    assert folder.is_dir() and not list(folder.iterdir())


def test_a_file_is_named(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(OSError, match="x: a file, not a folder"):
        writable_folder(tmp_path / "x")


def test_a_file_above_is_named(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(OSError, match=rf"y/z: a file, not a folder .*{tmp_path}/x is one"):
        writable_folder(tmp_path / "x" / "y" / "z")


def test_a_folder_that_takes_no_file_is_named(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(OSError, match=rf"{tmp_path}: results cannot .*: Permission denied"):
        writable_folder(tmp_path)
