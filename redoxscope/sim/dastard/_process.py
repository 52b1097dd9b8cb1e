"""The simulated Dastard as a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import zmq

from ..process import Child, SimulationError, free_port

__all__ = ["SimulatedDastard"]


class SimulatedDastard:
    """A Dastard server with a simulated array of microcalorimeters, on loopback.

    Parameters
    ----------
    speed : float
        Server seconds per real second.
    seed : int
        Of pixels, photons and noise.
    sample : str
        In the beam until told otherwise.
    source_name : str
        Hardware that it has: "RESONATOR" (Dastard from 0.3.10 on), "ABACO" (before) or
        "LANCERO".
    data : str or pathlib.Path
        Folder for runs that are started without a path.
    options : mapping of str to object, optional
        Further options of ``python -m redoxscope.sim.dastard``, e.g. ``{"pixels": 64}``;
        True makes a flag, a list repeats the option.
    wait : bool
        Return when it answers. With False the caller has something to do meanwhile and calls
        `wait_ready` itself, before anything else.

    Attributes
    ----------
    base : int
        Port of the calls; status is one above, records two, summaries four.
    control_port : int
        By which the beam and faults are told.

    Raises
    ------
    SimulationError
        The process does not start, with what it printed.
    """

    def __init__(
        self,
        *,
        speed: float = 1.0,
        seed: int = 1,
        sample: str = "lmr_charged",
        source_name: str = "RESONATOR",
        data: str | Path = ".",
        options: Mapping[str, object] | None = None,
        wait: bool = True,
    ):
        self.speed = speed
        arguments: dict[str, object] = {
            "epoch": time.time_ns(),
            "speed": speed,
            "seed": seed,
            "sample": sample,
            "source-name": source_name,
            "data": data,
            **(options or {}),
        }
        self._arguments = arguments
        self._beam: dict[str, object] = {}
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.PUSH)
        self._socket.setsockopt(zmq.LINGER, 0)
        self.base = 0
        self.control_port = int(str(arguments.setdefault("control", free_port())))
        self._socket.connect(f"tcp://127.0.0.1:{self.control_port}")
        self._child = self._start()
        if wait:
            self.wait_ready()

    def _start(self) -> Child:
        return Child("redoxscope.sim.dastard", "the simulated Dastard", self._arguments)

    def wait_ready(self) -> None:
        """Wait until the server answers.

        Raises
        ------
        SimulationError
            It ended instead, or did not answer in time; with what it printed.
        """
        try:
            base, _ = self._child.wait_ready()
        except SimulationError:
            self._socket.close()
            raise
        self.base = int(base)
        self._arguments["port-base"] = self.base

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def alive(self) -> bool:
        return self._child.alive

    @property
    def output(self) -> str:
        """What the process wrote to standard error so far."""
        return self._child.output

    def wait(self) -> int:
        """Wait until the process ends by itself; its exit status."""
        return self._child.wait()

    def beam(
        self,
        *,
        energy: float | None = None,
        flux: float | None = None,
        open: bool | None = None,
        sample: str | None = None,
    ) -> None:
        """Tell what falls on which sample from now on.

        Parameters
        ----------
        energy : float, optional
            True photon energy (eV).
        flux : float, optional
            Relative to full; 0: no beam.
        open : bool, optional
            Whether the shutter lets it through.
        sample : str, optional
            Of `redoxscope.sim.RIXS_SAMPLES`.
        """
        message = {"energy": energy, "flux": flux, "open": open, "sample": sample}
        given = {key: value for key, value in message.items() if value is not None}
        self._beam |= given
        self._tell({"time": time.time(), **given})

    def fault(self, command: str) -> None:
        """Let something go wrong, e.g. ``"drop 0.1"``; see ``--help`` of the process."""
        self._tell({"fault": command})

    def external_trigger(self) -> None:
        """Give the server an external trigger now."""
        self._tell({"time": time.time(), "trigger": True})

    def _tell(self, message: dict[str, object]) -> None:
        self._socket.send(json.dumps(message).encode())

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self._child.kill()

    def restart(self) -> None:
        """Start it again on the same ports, after the end of the one before.

        Neither source nor writing are active then; the clock goes on, and the beam is what it
        was told last.
        """
        self._child.close()
        self._child = self._start()
        self.wait_ready()
        if self._beam:
            self._tell(self._beam)

    def close(self) -> None:
        """End the process; done when it has ended."""
        self._child.close()
        self._socket.close()

    def __enter__(self) -> SimulatedDastard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
