"""The RE manager of bluesky-queueserver, ready made: started, opened, ended."""

from __future__ import annotations

import importlib.util
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ._errors import QueueError
from ._redis import Redis
from ._worker import PID_FILE, environment

__all__ = ["CONTROL", "INFO", "QueueError", "QueueServer"]

log = logging.getLogger("redoxscope.queue")

CONTROL = "tcp://127.0.0.1:60615"
"""Where the manager takes orders: the port that ``qserver`` asks, of this machine only."""
INFO = "tcp://127.0.0.1:60625"
"""Where it publishes what it prints."""

START_TIMEOUT = 60.0
OPEN_TIMEOUT = 300.0
"""Longest time (s) for the worker to import, and to connect to the beamline."""
ABORT_TIMEOUT = 120.0
"""Longest time (s) for the clean-up of a run: each of its moves has a time limit of its own."""
CLOSE_TIMEOUT = 180.0
"""Longest time (s) for the session of the worker to be closed, which waits for maps and catalog."""

_START = "from bluesky_queueserver.manager.start_manager import start_manager; start_manager()"


class QueueServer:
    """A manager with its Redis and, once `open` was called, its worker: a context manager.

    Parameters
    ----------
    session : mapping
        Arguments of `redoxscope.start_session` for the worker, such that JSON can say them.
    folder : pathlib.Path
        For Redis, the list of plans and devices, and a ``user_group_permissions.yaml`` of the
        facility's own; without that, everybody may run every plan with every device.
    redis : str, optional
        ``host:port`` or ``host:port/number`` of a Redis that is running; without it one is
        started on loopback, and ended with the manager.
    control, info : str
        0MQ addresses. Neither has a password: whoever reaches them can move the beamline.
    output : file, optional
        Where manager and worker print; by default here.

    Attributes
    ----------
    redis : str
    control : str

    Raises
    ------
    QueueError
        An extra is not installed, an address is in use, Redis or manager do not start.
    """

    def __init__(
        self,
        session: Mapping[str, Any],
        folder: Path,
        *,
        redis: str | None = None,
        control: str = CONTROL,
        info: str = INFO,
        output: IO[Any] | None = None,
    ):
        check_installed()
        for address in (control, info):
            _check_free(address)
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
        self.control = control
        self._pid_file = folder / PID_FILE
        self._pid_file.unlink(missing_ok=True)  # of one that was killed
        self._ended = False
        with ExitStack() as started:
            self._own: Redis | None = None
            if redis is None:
                self._own = started.enter_context(Redis(folder))
                redis = self._own.address
            self.redis = redis
            listed = folder / "existing_plans_and_devices.yaml"
            if not listed.exists():  # the worker fills it in
                listed.write_text("existing_plans: {}\nexisting_devices: {}\n", encoding="utf-8")
            options = {
                "zmq-control-addr": control,
                "zmq-info-addr": info,
                "zmq-publish-console": "ON",
                "startup-module": "redoxscope.queue.startup",
                "existing-plans-devices": listed,
                "user-group-permissions": _permissions(folder),
                "redis-addr": redis,
                "redis-name-prefix": "redoxscope",
                "device-max-depth": 3,
            }
            command = [sys.executable, "-c", _START, "--quiet"]
            for name, value in options.items():
                command.append(f"--{name}={value}")
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **environment({**session, "folder": str(folder)})},
                stdout=output,
                stderr=None if output is None else subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us, who end it in good order
            )
            started.callback(self._end_process)
            self._comm = _client(control)
            started.callback(self._comm.close)
            self._wait("the manager answers", self._answers, START_TIMEOUT)
            self._started = started.pop_all()

    @property
    def pid(self) -> int:
        """Process of the manager's watchdog, whose children manager and worker are."""
        return self._process.pid

    @property
    def redis_pid(self) -> int | None:
        """Process of the Redis that was started with it."""
        return None if self._own is None else self._own.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def redis_alive(self) -> bool:
        """Whether its own Redis is there; of somebody else's nothing is known."""
        return self._own is None or self._own.alive

    @property
    def exit_status(self) -> int | None:
        """Of the manager; None while it is there."""
        return self._process.poll()

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Ask the manager, as ``qserver`` does.

        Raises
        ------
        QueueError
            It does not answer.
        """
        from bluesky_queueserver import CommTimeoutError

        try:
            return self._comm.send_message(method=method, params=params)
        except CommTimeoutError as exc:
            raise QueueError(f"the manager at {self.control} does not answer: {exc}") from None

    def open(self, asked: threading.Event | None = None) -> None:
        """Open the environment: a worker connects to the beamline. Nothing moves.

        Parameters
        ----------
        asked : threading.Event, optional
            Somebody wants the end meanwhile: nothing is waited for then.

        Raises
        ------
        QueueError
            It does not open; the reason is in what the worker printed.
        """
        answer = self.ask("environment_open")
        if not answer["success"]:
            raise QueueError(f"the environment does not open: {answer['msg']}")

        def over() -> bool:
            ending = asked is not None and asked.is_set()
            return ending or self.ask("status")["manager_state"] == "idle"

        self._wait("the environment is open", over, OPEN_TIMEOUT)
        if asked is not None and asked.is_set():
            return
        if not self.ask("status")["worker_environment_exists"]:
            raise QueueError("the environment did not open; the reason is printed above")

    def close(self) -> None:
        """Abort what runs, close the environment, end manager and Redis.

        Raises
        ------
        QueueError
            Something of it failed, and all was ended hard.
        """
        if self._ended:
            return
        self._ended = True
        with self._started:
            if not self.alive:
                log.info("the manager had ended already")
                return
            try:
                self._abort()
                if self.redis_alive:  # without it the manager refuses to
                    self._close_environment()
                self.ask("manager_stop", option="safe_off")
            except QueueError as exc:
                # The worker is killed below: then the dead man of the shutter closes it.
                raise QueueError(f"{exc}. It was ended hard: CHECK THE SHUTTER BY HAND.") from None

    def _abort(self) -> None:
        """End a plan as ``RE.abort()`` does, from whatever state, and see its clean-up end."""
        self.ask("queue_stop")

        def over() -> bool:
            state = self.ask("status")
            if state["manager_state"] == "paused":
                self.ask("re_abort")
            elif state["re_state"] == "running" and not state["pause_pending"]:
                self.ask("re_pause", option="immediate")
            if not self.redis_alive and state["re_state"] in ("idle", None):
                return True  # the manager takes it for running for ever
            return bool(state["manager_state"] == "idle")

        self._wait("the plan has ended", over, ABORT_TIMEOUT)

    def _close_environment(self) -> None:
        if not self.ask("status")["worker_environment_exists"]:
            return
        answer = self.ask("environment_close")
        if not answer["success"]:
            raise QueueError(f"the environment is not closed: {answer['msg']}")

        def closed() -> bool:
            # The manager lets go of it before its session is closed.
            there = self.ask("status")["worker_environment_exists"]
            return not there and not self._pid_file.exists()

        self._wait("the session is closed", closed, CLOSE_TIMEOUT)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("ping"))
        except QueueError:
            return False

    def _wait(self, what: str, done: Callable[[], bool], timeout: float) -> None:
        deadline, pause = time.monotonic() + timeout, threading.Event()
        while not done():
            if not self.alive:
                raise QueueError(
                    f"the manager ended (exit status {self._process.returncode}) before {what}"
                )
            if time.monotonic() > deadline:
                raise QueueError(f"{timeout:g} s were not enough until {what}")
            pause.wait(0.1)

    def _end_process(self) -> None:
        for end in (lambda: None, self._process.terminate, self._process.kill):
            end()
            try:
                self._process.wait(timeout=10)
                return
            except subprocess.TimeoutExpired:
                log.warning("the manager (process %d) does not end", self.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_installed() -> None:
    """Refuse where the extra is missing.

    Raises
    ------
    QueueError
        Says what to install.
    """
    if importlib.util.find_spec("bluesky_queueserver") is None:
        raise QueueError(
            "bluesky-queueserver is not installed; install it with pip install 'redoxscope[queue]'"
        )


def _client(control: str) -> Any:
    from bluesky_queueserver import ZMQCommSendThreads

    host = control.replace("tcp://*:", "tcp://127.0.0.1:")
    return ZMQCommSendThreads(zmq_server_address=host)


def _permissions(folder: Path) -> Path:
    own = folder / "user_group_permissions.yaml"
    shipped = Path(str(resources.files("redoxscope.queue").joinpath(own.name)))
    return own if own.is_file() else shipped


def _check_free(address: str) -> None:
    """Refuse an address that somebody listens at: the manager would say so, and go on."""
    import zmq

    with zmq.Context() as context, context.socket(zmq.REP) as probe:
        try:
            probe.bind(address)
        except zmq.ZMQError as exc:
            raise QueueError(
                f"{address} cannot be used ({exc.strerror}): another manager is running, or it is "
                "no address of this machine such as tcp://127.0.0.1:60615"
            ) from None
        probe.unbind(probe.getsockopt_string(zmq.LAST_ENDPOINT))
