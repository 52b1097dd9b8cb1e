"""A port that is taken is refused in a line."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from redoxscope.sim import SimulationError
from redoxscope.sim.ioc import _process
from redoxscope.sim.ioc._process import _new_prefix
from redoxscope.sim.process import check_free, free_port


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_taken_port(kind):
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1: Address already in use"):
            check_free(port)
    check_free(free_port())


def test_no_port():
    with pytest.raises(OSError, match="port 70000"):
        check_free(70000)


@pytest.mark.parametrize(
    "command",
    [
        ("redoxscope.sim", "--port"),
        ("redoxscope.sim.dastard", "--port-base"),
        ("redoxscope.cli", "sim", "--port"),
    ],
)
def test_the_commands_say_it_in_a_line(command):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        start = ["-m", *command, port]
        if command[0] == "redoxscope.cli":
            start = ["-c", "from redoxscope.cli import main; main()", *command[1:], port]
        done = subprocess.run(
            [sys.executable, *start], capture_output=True, text=True, timeout=300,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr and "Fatal" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert port in line and "in use" in line


def test_names_do_not_come_again():
    """libca looks for a name that it lost more and more seldom: its next server would seem dead."""
    names = [_new_prefix(1), _new_prefix(2), _new_prefix(1), _new_prefix(1)]
    assert names[:2] == ["RS1:", "RS2:"] and len(set(names)) == 4


def test_a_port_that_another_program_has_taken_meanwhile_is_passed_over(monkeypatch):
    """They are chosen when the process begins, and used when a simulation does."""
    ports = [free_port(), free_port()]
    monkeypatch.setattr(_process, "_ports", ports)
    monkeypatch.setattr(_process, "_running", set())
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports[0]))
        other.listen()
        assert _process._take_port() == ports[1]
        with pytest.raises(SimulationError, match=f"no port is left .*{ports[0]}"):
            _process._take_port()
    assert _process._take_port() == ports[0]
    with pytest.raises(SimulationError, match="are running in this process already"):
        _process._take_port()
