"""What a process keeps of its sessions, and what it was doing before."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from redoxscope.sim.ioc import _process

LEAK = """
    import gc, os, sys, threading
    from redoxscope.beamline import simulated_text
    from redoxscope import start_session
    from redoxscope.plans import energy_stack
    from redoxscope.sim import Simulation

    folder = sys.argv[1]
    with Simulation(speed=50) as sim:
        file = folder + "/beamline.yml"
        with open(file, "w") as out:
            out.write(simulated_text(sim.prefix))
        for _ in range(5):
            with start_session(file, data=folder + "/data") as s:
                s.RE(energy_stack(s.stxm, energies=[640], pixels=3, size=1.0))
                assert len(s.cat) > 0
            gc.collect()
            names = [t.name for t in threading.enumerate()]
            files = len(os.listdir("/proc/self/fd"))
            print("OPEN", len(names), files, names)
"""


@pytest.mark.slow
def test_sessions_leave_nothing_behind(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LEAK), tmp_path],
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("OPEN")]
    threads, files = zip(*[(int(a), int(b)) for a, b in lines], strict=True)
    assert len(threads) == 5
    assert max(threads[1:]) - min(threads[1:]) <= 1, done.stdout  # a timer may be on its way
    assert max(files[1:]) - min(files[1:]) <= 1, done.stdout


@pytest.mark.slow
def test_epics_in_use_before_the_session():
    code = """
        from redoxscope.devices import Shutter
        shutter = Shutter("Nowhere:", name="shutter")
        from redoxscope import start_session
        start_session()
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 1
    assert "SimulationError: EPICS is in use in this process already (Nowhere:" in done.stderr
    assert "Start the session first" in done.stderr


def test_epics_used_and_closed_before_the_session():
    code = """
        from redoxscope.devices import Shutter
        from redoxscope.sim import SimulationError
        from redoxscope.sim.ioc import point_client
        Shutter("Nowhere:", name="shutter").destroy()
        try:
            point_client()
        except SimulationError as exc:
            print(exc)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    assert "in use in this process already (a PV closed since)" in done.stdout


def test_addresses_of_the_user_are_kept(monkeypatch):
    monkeypatch.setenv("EPICS_CA_ADDR_LIST", "10.0.0.1 127.0.0.1:6000")
    monkeypatch.setenv("EPICS_CA_AUTO_ADDR_LIST", "YES")
    both = _process._with_the_users(_process.client_environment([6000]))
    assert both["EPICS_CA_ADDR_LIST"] == "127.0.0.1:6000 10.0.0.1"
    assert both["EPICS_CA_AUTO_ADDR_LIST"] == "YES"
    monkeypatch.delenv("EPICS_CA_ADDR_LIST")
    assert _process._with_the_users(_process.client_environment([6000])) == (
        _process.client_environment([6000])
    )


def test_new_data_folder_is_its_owners_only(tmp_path, monkeypatch):
    from redoxscope.storage import data_folder

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert os.stat(data_folder(tmp_path / "new")).st_mode & 0o777 == 0o700
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o775)
    assert os.stat(data_folder(tmp_path / "shared")).st_mode & 0o777 == 0o775
