"""Starting and ending the IOC process, and finding a port for it."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from ._repeater import answer_repeater_requests

__all__ = ["Simulation", "SimulationError", "free_port"]

START_TIMEOUT = 30.0
"""Longest time (s) until the IOC answers; a slow disk on a busy laptop needs some."""

_ports: list[int] = []
"""Ports that libca of this process searches; it reads its environment only once."""

_PORTS_PER_PROCESS = 4
_running: set[int] = set()


class SimulationError(RuntimeError):
    """The IOC process did not start, or died; the message carries what it printed."""


def free_port() -> int:
    """A loopback port that is free for TCP and UDP."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port = int(tcp.getsockname()[1])
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


def client_environment(ports: Sequence[int]) -> dict[str, str]:
    """Environment with which a Channel Access client finds IOCs on loopback ports only."""
    return {
        "EPICS_CA_ADDR_LIST": " ".join(f"127.0.0.1:{port}" for port in ports),
        "EPICS_CA_AUTO_ADDR_LIST": "NO",
        "EPICS_CA_MAX_ARRAY_BYTES": "10000000",
    }


def _take_port() -> int:
    """Next port of this process; the first call points libca at all of them."""
    if not _ports:
        while len(_ports) < _PORTS_PER_PROCESS:
            port = free_port()
            if port not in _ports:
                _ports.append(port)
        os.environ.update(client_environment(_ports))
        os.environ["EPICS_CA_REPEATER_PORT"] = str(answer_repeater_requests())
    for port in _ports:
        if port not in _running:
            _running.add(port)
            return port
    raise SimulationError(
        f"{_PORTS_PER_PROCESS} simulated beamlines are running in this process already; close one"
    )


class Simulation:
    """A simulated beamline in a process of its own.

    Parameters
    ----------
    sample : str or pathlib.Path
        ``"lmr"`` for the simulated electrode, or an HDF5 file with a measured stack.
    speed : float
        Simulated seconds per real second.
    seed : int
        Of sample and noise.
    port : int, optional
        Channel Access port; by default a free one that this process's client searches.
    prefix : str, optional
        Start of the PV names.
    options : mapping of str to object, optional
        Further options of ``python -m redoxscope.sim``, e.g. ``{"a1-error": 0.02}``; a list
        repeats the option.
    wait : bool
        Return when it answers. With False the caller has something to do meanwhile and calls
        `wait_ready` itself.

    Raises
    ------
    SimulationError
        The process does not start, with what it printed.
    """

    def __init__(
        self,
        sample: str | Path = "lmr",
        *,
        speed: float = 1.0,
        seed: int = 1,
        port: int | None = None,
        prefix: str | None = None,
        options: Mapping[str, object] | None = None,
        wait: bool = True,
    ):
        self._own_port = port is None
        self.port = _take_port() if port is None else port
        self.prefix = prefix or f"RS{self.port}:"
        self.speed = speed
        arguments: dict[str, object] = {
            "sample": sample,
            "speed": speed,
            "seed": seed,
            "port": self.port,
        }
        arguments |= {"prefix": self.prefix, **(options or {})}
        command = [sys.executable, "-m", "redoxscope.sim", "--parent-pipe"]
        for key, value in arguments.items():
            for item in value if isinstance(value, list) else [value]:
                command.append(f"--{key}={item}")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C in the shell pauses the scan, not the beamline
        )
        self._output: list[str] = []
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._follow_output, daemon=True).start()
        self._stderr_reader = threading.Thread(target=self._follow_errors, daemon=True)
        self._stderr_reader.start()
        if wait:
            self.wait_ready()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def output(self) -> str:
        """What the process wrote to standard error so far."""
        return "".join(self._output)

    def wait(self) -> int:
        """Wait until the process ends by itself; its exit status."""
        return self._process.wait()

    def _follow_output(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _follow_errors(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._output.append(line)
            del self._output[:-200]

    def wait_ready(self) -> None:
        """Wait until the IOC answers.

        Raises
        ------
        SimulationError
            It ended instead, or did not answer in time; with what it printed.
        """
        try:
            line = self._lines.get(timeout=START_TIMEOUT)
        except queue.Empty:
            line = f"no answer within {START_TIMEOUT:g} s"
        if not line.startswith("ready"):
            self.close()
            self._stderr_reader.join(timeout=2)
            text = self.output.strip().removeprefix("error: ")
            raise SimulationError(f"the simulated beamline did not start: {text or line}")

    def close(self) -> None:
        """End the process; done when it has ended."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._own_port:
            _running.discard(self.port)

    def __enter__(self) -> Simulation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
