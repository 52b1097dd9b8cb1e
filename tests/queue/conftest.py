"""One real queue server for all tests here: command, Redis, manager, worker, beamline.

The beamline is a process of its own, which stays when a worker is killed: its shutter can be
looked at after that.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest
from bluesky_queueserver import CommTimeoutError, ZMQCommSendThreads
from ophyd import EpicsSignalRO

from redoxscope.beamline import simulated_text
from redoxscope.sim import Simulation, free_port

COMMAND = [sys.executable, "-c", "from redoxscope.cli import main; main()", "queue"]
SPEED = 20.0
HEAT_SPEED = 300.0
PATIENCE = 300.0
"""Longest wait (s) of any test here; a busy machine is no fault of the queue server."""


def wait_until(done, what, timeout=PATIENCE):
    deadline, pause = time.monotonic() + timeout, threading.Event()
    while not (found := done()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        pause.wait(0.05)
    return found


class Client:
    """Asks the manager as ``qserver`` does."""

    def __init__(self, control):
        self.control = control
        self._comm = ZMQCommSendThreads(zmq_server_address=control, timeout_recv=60_000)  # ms

    def ask(self, method, **params):
        try:
            return self._comm.send_message(method=method, params=params)
        except CommTimeoutError:
            return {}

    def well(self, method, **params):
        answer = self.ask(method, **params)
        assert answer.get("success"), (method, answer)
        return answer

    def status(self):
        return self.ask("status")

    def add(self, name, *args, **kwargs):
        item = {"item_type": "plan", "name": name, "args": list(args), "kwargs": kwargs}
        return self.ask("queue_item_add", item=item, user="a", user_group="primary")

    def wait(self, state):
        return wait_until(lambda: self.status().get("manager_state") == state, state)

    def history(self):
        return self.well("history_get")["items"]

    def at_rest(self):
        def idle():
            state = self.status()
            if state["manager_state"] == "paused":
                self.ask("re_abort")
            elif state["re_state"] == "running" and not state["pause_pending"]:
                self.ask("re_pause", option="immediate")
            return state["manager_state"] == "idle"

        wait_until(idle, "nothing runs")
        self.clear()
        if not self.status()["worker_environment_exists"]:
            self.well("environment_open")
            self.wait("idle")
            assert self.status()["worker_environment_exists"]

    def clear(self):
        self.well("queue_clear")
        self.well("history_clear")

    def close(self):
        self._comm.close()


class Server:
    """The command in a process of its own, until it says that it is ready."""

    def __init__(self, folder, *arguments, control):
        self.data, self.output = folder, folder.with_suffix(".txt")
        self.control = control
        info = f"tcp://127.0.0.1:{free_port()}"
        command = [*COMMAND, *arguments, f"--data={folder}", f"--zmq={control}"]
        self._file = self.output.open("w+")
        self._process = subprocess.Popen(
            [*command, f"--zmq-info={info}"],
            stdout=self._file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def alive(self):
        return self._process.poll() is None

    @property
    def printed(self):
        return self.output.read_text()

    def ready(self):
        def said():
            assert self._process.poll() is None, self.printed
            return "is ready" in self.printed

        wait_until(said, "the queue server is ready")

    @property
    def pid(self):
        return self._process.pid

    @property
    def worker(self):
        return int((self.data / "queue" / "worker.pid").read_text())

    def end(self, number=signal.SIGTERM):
        if self.alive:
            self._process.send_signal(number)
        status = self._process.wait(timeout=PATIENCE)
        self._file.close()
        return status


@pytest.fixture(scope="session")
def beamline(tmp_path_factory):
    """A simulated beamline with spectrometer, and its beamline file."""
    folder = tmp_path_factory.mktemp("beamline")
    (folder / "dastard").mkdir()
    tes = {"data": folder / "dastard"}
    with Simulation(speed=SPEED, heat_speed=HEAT_SPEED, seed=1, tes=tes) as running:
        text = simulated_text(
            running.prefix, port=running.dastard.base, speed=SPEED, heat_speed=HEAT_SPEED
        )
        file = folder / "beamline.yml"
        file.write_text(text, "utf-8")
        blade = EpicsSignalRO(
            f"{running.prefix}Shutter:Status", name="blade", timeout=60, connection_timeout=60
        )
        blade.wait_for_connection(timeout=60)
        yield SimpleNamespace(file=file, prefix=running.prefix, blade=blade)
        blade.destroy()


@pytest.fixture(scope="session")
def servers(beamline, tmp_path_factory):
    """``servers()``: the queue server with its environment open; a new one where it was ended."""
    running = []

    def get():
        if not running or not running[-1].alive:
            folder = tmp_path_factory.mktemp("data")
            control = f"tcp://127.0.0.1:{free_port()}"
            running.append(Server(folder, f"--beamline={beamline.file}", control=control))
            running[-1].ready()
        return running[-1]

    yield get
    for server in running:
        assert server.end(signal.SIGTERM) == 0, server.printed


@pytest.fixture
def server(servers):
    return servers()


@pytest.fixture
def client(server):
    """Asks the manager; nothing runs, queue and history are empty, the environment is open."""
    asking = Client(server.control)
    asking.at_rest()
    yield asking
    asking.close()
