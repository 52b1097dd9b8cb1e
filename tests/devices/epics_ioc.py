"""A real EPICS IOC for tests: records from files, nothing of caproto in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from redoxscope.sim.ioc import _process
from redoxscope.sim.process import free_port

BASE = Path(sys.prefix) / "epics"
"""Where `make` puts EPICS base. Not among the packages: ophyd would take its libca from there."""


@contextmanager
def epics_ioc(loaded: Callable[[str], Sequence[tuple[str, Path]]]) -> Iterator[str]:
    """An EPICS IOC; gives the prefix of its PVs.

    ``loaded(prefix)`` says what it loads: macros, and a file of records. Skips the test where
    EPICS base is not there.
    """
    if not (BASE / "epicscorelibs").is_dir():
        pytest.skip(f"EPICS base is not in {BASE}: make test puts it there")
    port = _process._take_port()
    prefix = _process._new_prefix(port)
    command = [sys.executable, "-m", "epicscorelibs.ioc"]
    for macros, file in loaded(prefix):
        command += ["-m", macros, "-d", str(file)]
    environment = {
        **os.environ,
        "PYTHONPATH": str(BASE),
        "EPICS_CAS_SERVER_PORT": str(port),
        "EPICS_CAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_AUTO_BEACON_ADDR_LIST": "NO",
        "EPICS_CAS_BEACON_ADDR_LIST": "127.0.0.1",
        "EPICS_CAS_BEACON_PORT": str(free_port()),
        "EPICS_PVAS_INTF_ADDR_LIST": "127.0.0.1",
        "EPICS_PVAS_SERVER_PORT": str(free_port()),
        "EPICS_PVAS_BROADCAST_PORT": str(free_port()),
    }
    ioc = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.PIPE,  # open: it ends with its standard input
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said: list[str] = []
    running = threading.Event()

    def listen() -> None:
        assert ioc.stderr is not None
        for line in ioc.stderr:
            said.append(line)
            if "IOC Running" in line:
                running.set()
        running.set()  # it ended

    listener = threading.Thread(target=listen, daemon=True)
    listener.start()
    assert running.wait(120) and ioc.poll() is None, "".join(said)
    try:
        yield prefix
    finally:
        assert ioc.stdin is not None
        ioc.stdin.close()
        try:
            ioc.wait(60)
        except subprocess.TimeoutExpired:
            ioc.kill()
            ioc.wait(60)
        listener.join(60)
        _process._running.discard(port)
