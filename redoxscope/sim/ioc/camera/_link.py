"""The process that makes the camera's frames: started when it is needed, told and heard."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

__all__ = ["CameraLink"]

log = logging.getLogger("redoxscope.sim")

START_TIMEOUT = 60.0
"""Longest time (s) until it answers."""


class CameraLink:
    """Orders to the process, and what it says.

    Parameters
    ----------
    options : mapping of str to object
        Of ``python -m redoxscope.sim.camera``; True makes a flag, None leaves it out.
    heard : coroutine function
        Gets each thing that it says, in order.
    ended : coroutine function
        Called when it has ended by itself, with the exit status.
    """

    def __init__(
        self,
        options: Mapping[str, object],
        *,
        heard: Callable[[dict[str, Any]], Coroutine[Any, Any, None]],
        ended: Callable[[int], Coroutine[Any, Any, None]],
    ):
        self._options, self._heard, self._ended = options, heard, ended
        self._process: asyncio.subprocess.Process | None = None
        self._starting = asyncio.Lock()
        self._listener: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    async def start(self) -> bool:
        """Have it running; whether it was started only now.

        Raises
        ------
        RuntimeError
            It does not start; it has said why on standard error.
        """
        async with self._starting:
            if self._process is not None:
                return False
            command = [sys.executable, "-m", "redoxscope.sim.camera"]
            for key, value in self._options.items():
                if value is True:
                    command.append(f"--{key}")
                elif value is not None and value is not False:
                    command.append(f"--{key}={value}")
            pipe = asyncio.subprocess.PIPE
            process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
            assert process.stdout is not None
            try:
                line = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT)
            except TimeoutError:
                line = b""
            if not line:
                if process.returncode is None:
                    process.kill()
                raise RuntimeError(
                    f"the camera's process did not start (status {await process.wait()})"
                )
            self._process = process
            self._listener = asyncio.get_running_loop().create_task(self._listen(process))
            return True

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while line := await process.stdout.readline():
                await self._heard(json.loads(line))
        except Exception:
            log.exception("the camera's process said what nobody understands")
            process.kill()
        self._process = None
        await self._ended(await process.wait())

    def send(self, do: str, **order: Any) -> None:
        """Give an order; lost where there is no process."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(json.dumps({"do": do, **order}).encode() + b"\n")
