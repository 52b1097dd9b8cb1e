"""A process of the simulation: started, awaited, ended with its parent."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

__all__ = ["Child", "SimulationError", "end_with_parent"]

START_TIMEOUT = 120.0
"""Longest time (s) until the process answers; a slow disk on a busy laptop needs some."""


class SimulationError(RuntimeError):
    """The process did not start, or died; the message carries what it printed."""


def end_with_parent() -> None:
    """Leave when the parent is gone, however it went: its end of the pipe closes."""

    def watch() -> None:
        # Not by way of sys.stdin: an interpreter that ends for another reason, while a thread holds
        # the lock of that, dies of a fatal error.
        while os.read(0, 1024):
            pass
        os._exit(0)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


class Child:
    """A Python module in a process of its own.

    Parameters
    ----------
    module : str
        Started as ``python -m module``; it prints a line that begins with "ready".
    name : str
        What it is, for errors.
    arguments : mapping of str to object
        Its options; a list repeats one, True makes a flag, False and None leave it out.
    """

    def __init__(self, module: str, name: str, arguments: Mapping[str, object]):
        self._name = name
        command = [sys.executable, "-m", module, "--parent-pipe"]
        for key, value in arguments.items():
            for item in value if isinstance(value, list) else [value]:
                if item is True:
                    command.append(f"--{key}")
                elif item is not False and item is not None:
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
        self._stdout_reader = threading.Thread(target=self._follow_output, daemon=True)
        self._stdout_reader.start()
        self._stderr_reader = threading.Thread(target=self._follow_errors, daemon=True)
        self._stderr_reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_status(self) -> int | None:
        """Of the process; None while it is there, minus the signal that ended it."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """What the process wrote to standard error so far."""
        return "".join(self._output)

    def wait(self) -> int:
        """Wait until the process ends by itself; its exit status.

        Waking up now and then: a signal that another thread was given reaches the main thread
        only when it runs, and a bare wait would sleep through Ctrl-C.
        """
        pause = threading.Event()
        while (status := self._process.poll()) is None:
            pause.wait(0.2)
        return status

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

    def wait_ready(self) -> list[str]:
        """Wait until the process answers; the words after "ready".

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
            self._stderr_reader.join(timeout=20)
            text = self.output.strip().removeprefix("error: ")
            raise SimulationError(f"{self._name} did not start: {text or line}")
        return line.split()[1:]

    def close(self) -> None:
        """End the process; done when it has ended."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader, pipe in (
            (self._stdout_reader, self._process.stdout),
            (self._stderr_reader, self._process.stderr),
        ):
            reader.join(timeout=2)
            if pipe is not None and not reader.is_alive():
                pipe.close()

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
