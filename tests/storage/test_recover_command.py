"""``redoxscope recover``: what it says and how it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import redoxscope.storage
from redoxscope.cli import app

from .conftest import stack_documents
from .test_recover import _log


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["recover", "--data", str(tmp_path / "nowhere")])
    assert result.exit_code != 0
    assert isinstance(result.exception, OSError)
    assert "nowhere/documents: no such folder" in str(result.exception)
    assert not (tmp_path / "nowhere").exists()


def test_a_catalog_is_filled_from_the_stored_logs(
    tmp_path: Path, embedded: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _log(tmp_path / "documents" / "stored", stack_documents())
    monkeypatch.setattr(redoxscope.storage, "open_catalog", lambda *_, **__: embedded)
    arguments = ["recover", "--data", str(tmp_path)]
    assert "Nothing to recover" in CliRunner().invoke(app, arguments).output
    result = CliRunner().invoke(app, [*arguments, "--stored"])
    assert result.exit_code == 0 and f"stored     {path.stem}  10 lines" in result.output
    assert path.exists()
    assert embedded[path.stem]["primary"].read()["transmission"].shape == (10, 20)
