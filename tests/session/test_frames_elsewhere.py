"""Where a session sends frames of ptychography, and what reconstructs them: as its file says."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from importlib import resources

import pytest
from bluesky import RunEngine

from redoxscope import start_session
from redoxscope.session import _session, _start
from redoxscope.session._publish import publish_frames

TEXT = resources.files("redoxscope").joinpath("beamlines/simulated.yml").read_text("utf-8")


def beamline(tmp_path, extra):
    """A real beamline's file: nothing is started for it."""
    text = TEXT.replace("simulated: true", "simulated: false")
    assert text != TEXT
    (key,) = (line for line in TEXT.splitlines(keepends=True) if line.startswith("  ptycho:"))
    path = tmp_path / "bl.yml"
    path.write_text(text.replace(key, key + extra), encoding="utf-8")
    return path


def test_a_session_gets_what_the_file_says(tmp_path, monkeypatch):
    class FoundError(Exception):
        pass

    got = {}

    def session(file, **given):
        got.update(given)
        raise FoundError

    monkeypatch.setattr(_session, "Session", session)
    for extra, address in (("", ""), ("    cosmic: 127.0.0.1:37013\n", "tcp://127.0.0.1:37013")):
        with pytest.raises(FoundError):
            start_session(beamline(tmp_path, extra), data=tmp_path / "data")
        assert got["cosmic"] == address and got["gpu"] is False


def test_without_a_gpu_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(_start, "Simulation", None)  # would fail otherwise
    with pytest.raises(ValueError, match="gpu = True: array module 'cupy' cannot be used here"):
        start_session(beamline(tmp_path, "    gpu: true\n"), data=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def on_a_free_port(engine, steps):
    """Another program may take a port that was free."""
    for _ in range(20):
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
        try:
            publisher = publish_frames(address, engine, steps)
        except ValueError:
            continue
        assert publisher is not None and publisher.address == address
        return publisher
    raise AssertionError("no port is free")


def test_frames_are_published_until_the_session_ends():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(ValueError, match="cosmic = .* cannot be taken"):
            publish_frames(f"tcp://{address}", RunEngine(), ExitStack())
    engine = RunEngine()
    with ExitStack() as steps:
        assert publish_frames("", engine, steps) is None
        publisher = on_a_free_port(engine, steps)
        assert publisher._thread.is_alive()
    assert not publisher._thread.is_alive()
