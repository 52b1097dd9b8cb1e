"""A real EPICS IOC: records from files, nothing of caproto in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest

import redoxscope.devices.thermal
from redoxscope.sim.ioc import _process
from redoxscope.sim.process import free_port

HERE = Path(__file__).parent / "ioc"
GUARD = Path(redoxscope.devices.thermal.__file__).parent / "heater_guard.db"
BASE = Path(sys.prefix) / "epics"
"""Where `make` puts EPICS base. Not among the packages: ophyd would take its libca from there."""

OFF = {
    "lakeshore336": "TEMP={p}IN1,OFFSET=-273.15,SP={p}OUT1:SP,OFF1={p}HTR1:Range",
    "linkam_t96": "TEMP={p}temperature_RBV,SP={p}rampLimit,OFF1={p}heating",
    "eurotherm2216e": "TEMP={p}SetPointSensor,SLOPE=0.1,SPSLOPE=1,SP={p}SetPointTempWrite,"
    "OFF1={p}SetPointPowerWrite,OFF2={p}ModeWrite,VAL2=1",
}
"""As the guard's file says that it is to be loaded for each controller."""


@dataclass
class RealIOC:
    """Where the stages of the IOC are."""

    prefix: str

    def of(self, word: str) -> str:
        """Start of the PV names of a controller."""
        return f"{self.prefix}{word}:"


@pytest.fixture(scope="package")
def real_ioc():
    """An EPICS IOC with a stage and a guard for each controller."""
    if not (BASE / "epicscorelibs").is_dir():
        pytest.skip(f"EPICS base is not in {BASE}: make test puts it there")
    port = _process._take_port()
    prefix = _process._new_prefix(port)
    command = [sys.executable, "-m", "epicscorelibs.ioc"]
    for word, macros in OFF.items():
        start = f"{prefix}{word}:"
        for name in ("stage", word):
            command += ["-m", f"P={start}", "-d", str(HERE / f"{name}.db")]
        guard = f"P={start}Guard:,CEILING=500,DEADMAN=600,{macros.format(p=start)}"
        command += ["-m", guard, "-d", str(GUARD)]
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
    yield RealIOC(prefix)
    assert ioc.stdin is not None
    ioc.stdin.close()
    try:
        ioc.wait(60)
    except subprocess.TimeoutExpired:
        ioc.kill()
        ioc.wait(60)
    listener.join(60)
    _process._running.discard(port)
