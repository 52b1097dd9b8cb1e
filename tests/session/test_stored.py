"""What a session says of the catalog when it starts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from redoxscope.session import _stored
from redoxscope.session._names import ready_catalog
from redoxscope.storage import CatalogError, DocumentLog
from redoxscope.storage.catalog import _writer


def _refuses(profile, directory):
    raise CatalogError("no server at that address")


def test_a_facilitys_catalog_is_tried_at_the_start(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(_stored, "facility_profile", lambda profile: tmp_path / "f.yml")
    monkeypatch.setattr(_writer, "shared_catalog", _refuses)
    log = DocumentLog(tmp_path / "documents")
    writer = _stored.catalog_writer("redoxscope", None, log, None)
    assert writer.outage == "no server at that address"
    assert "'redoxscope': no server at that address. Runs are kept in" in caplog.text
    assert "redoxscope recover" in caplog.text


def test_a_misspelt_profile_is_said_at_the_start(tmp_path, monkeypatch, caplog):
    def unknown(profile, directory):
        raise ValueError(f"profile {profile!r} is unknown to Tiled")

    monkeypatch.setattr(_writer, "shared_catalog", unknown)
    _stored.catalog_writer("redoxscpe", None, DocumentLog(tmp_path), None)
    assert "is unknown to Tiled" in caplog.text


def test_the_embedded_one_costs_nothing_at_the_start(tmp_path, monkeypatch):
    def opened(profile, directory):
        pytest.fail("the catalog was opened")

    monkeypatch.setattr(_stored, "facility_profile", lambda profile: None)
    monkeypatch.setattr(_writer, "shared_catalog", opened)
    assert not _stored.catalog_writer("redoxscope", None, DocumentLog(tmp_path), None).outage


def test_a_shell_starts_without_its_catalog(tmp_path, monkeypatch, caplog):
    there = []

    def open_it(profile, directory):
        if not there:
            raise CatalogError("not there")
        return there[0]

    monkeypatch.setattr(_stored, "facility_profile", lambda profile: None)
    monkeypatch.setattr(_writer, "shared_catalog", open_it)
    stored = _stored.catalog_writer("redoxscope", None, DocumentLog(tmp_path), None)
    cat = ready_catalog(SimpleNamespace(stored=stored, cat=stored.catalog))
    assert "not there" in caplog.text and "not there" in repr(cat)
    there.append(["a run"])
    assert cat[-1] == "a run" and len(cat) == 1
