"""What a session says of the catalog when it starts."""

from __future__ import annotations

import pytest

from redoxscope import _stored
from redoxscope._namespace import ready_catalog
from redoxscope.storage import CatalogError, DocumentLog


def _refuses():
    raise CatalogError("no server at that address")


def test_a_facilitys_catalog_is_tried_at_the_start(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(_stored, "facility_profile", lambda profile: tmp_path / "f.yml")
    log = DocumentLog(tmp_path / "documents")
    writer = _stored.catalog_writer("redoxscope", _refuses, log, None)
    assert writer.outage == "no server at that address"
    assert "'redoxscope': no server at that address. Runs are kept in" in caplog.text
    assert "redoxscope recover" in caplog.text


def test_a_misspelt_profile_is_said_at_the_start(tmp_path, monkeypatch, caplog):
    def unknown():
        raise ValueError("profile 'redoxscpe' is unknown to Tiled")

    _stored.catalog_writer("redoxscpe", unknown, DocumentLog(tmp_path), None)
    assert "is unknown to Tiled" in caplog.text


def test_the_embedded_one_costs_nothing_at_the_start(tmp_path, monkeypatch):
    def opened():
        pytest.fail("the catalog was opened")

    monkeypatch.setattr(_stored, "facility_profile", lambda profile: None)
    assert not _stored.catalog_writer("redoxscope", opened, DocumentLog(tmp_path), None).outage


def test_a_shell_starts_without_its_catalog(tmp_path, monkeypatch, caplog):
    class Session:
        def __init__(self):
            monkeypatch.setattr(_stored, "facility_profile", lambda profile: None)
            log = DocumentLog(tmp_path)
            self.stored = _stored.catalog_writer("redoxscope", self.open, log, None)
            self.there = None

        def open(self):
            if self.there is None:
                raise CatalogError("not there")
            return self.there

        @property
        def cat(self):
            return self.stored.catalog

    session = Session()
    cat = ready_catalog(session)
    assert "not there" in caplog.text
    session.there = ["a run"]
    assert cat[-1] == "a run" and len(cat) == 1
