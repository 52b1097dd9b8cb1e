"""Fixtures for the tests of a beamline's own file.

In your ``conftest.py``::

    pytest_plugins = ["redoxscope.testing.fixtures"]

    @pytest.fixture(scope="session")
    def beamline_path():
        return "ours.yml"
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bluesky import RunEngine

from ..beamline import BeamlineFile, load_beamline
from . import Documents, FakeBeamline, fake_beamline, make_engine, simulated_session

__all__ = [
    "beamline_file",
    "beamline_path",
    "documents",
    "engine",
    "fakes",
    "simulated",
]


@pytest.fixture(scope="session")
def beamline_path() -> str | Path:
    """Path of the beamline file; to be given by your own conftest."""
    raise pytest.UsageError("give the path of your beamline file: a fixture 'beamline_path'")


@pytest.fixture(scope="session")
def beamline_file(beamline_path: str | Path) -> BeamlineFile:
    """What the beamline file says."""
    return load_beamline(beamline_path)


@pytest.fixture
def fakes(beamline_file: BeamlineFile) -> FakeBeamline:
    """Fakes under the names of the file: ``fakes.instruments["stxm"]``, ``fakes.devices``."""
    return fake_beamline(beamline_file)


@pytest.fixture
def _engine_and_documents() -> tuple[RunEngine, Documents]:
    return make_engine()


@pytest.fixture
def engine(_engine_and_documents: tuple[RunEngine, Documents]) -> RunEngine:
    """A RunEngine without signal handlers."""
    return _engine_and_documents[0]


@pytest.fixture
def documents(_engine_and_documents: tuple[RunEngine, Documents]) -> Documents:
    """What the RunEngine ``engine`` emits."""
    return _engine_and_documents[1]


@pytest.fixture(scope="session")
def simulated(beamline_path: str | Path) -> Iterator[Any]:
    """A session on a simulation of the beamline; see `redoxscope.testing.simulated_session`."""
    with simulated_session(beamline_path) as session:
        yield session
