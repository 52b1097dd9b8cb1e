"""The command ``redoxscope queue``."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._common import HeatSpeed, Sample, Seed, Speed, echo

__all__ = ["queue"]

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def queue(
    beamline: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Beamline file (YAML)."),
    ] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="The simulated beamline in place of a file.")
    ] = False,
    data: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Data folder; default $REDOXSCOPE_DATA, else the user's."),
    ] = None,
    redis: Annotated[
        Optional[str],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="Redis that is running, HOST:PORT; without it one is started here."),
    ] = None,
    zmq: Annotated[
        str, typer.Option(help="Address for orders, 0MQ. It has no password.")
    ] = "tcp://127.0.0.1:60615",
    zmq_info: Annotated[
        str, typer.Option(help="Address for what the manager prints, 0MQ.")
    ] = "tcp://127.0.0.1:60625",
    sample: Sample = "lmr",
    speed: Speed = 1.0,
    heat_speed: HeatSpeed = None,
    seed: Seed = 1,
) -> None:
    """Start a bluesky queue server for a beamline, and its Redis. Ctrl-C ends all of it.

    It connects to the beamline and waits for plans; it moves nothing and starts no queue by itself.
    Sample, speed and seed are those of a simulated beamline.
    """
    from ..beamline import load_beamline
    from ..queue import QueueServer
    from ..storage import data_folder

    if (beamline is None) != simulated:
        raise typer.BadParameter("give either --beamline FILE or --simulated", param_hint="queue")
    session: dict[str, Any] = {"sample": sample, "speed": speed, "seed": seed}
    if heat_speed is not None:
        session["heat_speed"] = heat_speed
    if beamline is not None:
        load_beamline(beamline)  # what is wrong in it is said here, not by the worker
        session["beamline"] = str(beamline.resolve())
    else:
        session["tes"] = True
    folder = data_folder(data)
    if data is not None:
        session["data"] = str(folder.resolve())
    asked = threading.Event()
    before = {number: signal.signal(number, lambda *_: asked.set()) for number in SIGNALS}
    try:
        echo("Starting Redis and the manager …" if redis is None else "Starting the manager …")
        with QueueServer(
            session, folder / "queue", redis=redis, control=zmq, info=zmq_info
        ) as server:
            if not asked.is_set():
                echo("Connecting to the beamline …")
                server.open(asked)
            if not asked.is_set():
                echo(_how(server.control, server.redis))
            echo(_until_the_end(server, asked))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _until_the_end(server: Any, asked: threading.Event) -> str:
    """Wait until somebody wants the end, here or with ``qserver manager stop``; what to say then.

    Raises
    ------
    redoxscope.queue.QueueError
        The manager ended otherwise, or its Redis did.
    """
    from ..queue import QueueError

    while not asked.wait(0.2):
        status = server.exit_status
        if status == 0:
            return "The manager was stopped."
        if status is not None:
            raise QueueError(f"the manager ended (exit status {status}); the reason is above")
        if not server.redis_alive:
            raise QueueError(
                "Redis ended, without which the manager cannot go on; what was measured was "
                "aborted. Its words are in redis.log in the folder queue of the data folder"
            )
    return "Ending: a plan that runs is aborted …"


def _how(control: str, redis: str) -> str:
    """How to hand in a plan, for a terminal."""
    item = '{"name": "energy_stack", "args": ["stxm"], "kwargs": {"edge": "Mn L3", "pixels": 50}}'
    address = f" --zmq-control-addr {control}" if control != "tcp://127.0.0.1:60615" else ""
    return f"""
The queue server is ready at {control} (Redis {redis}). In another terminal:
  qserver{address} allowed plans
  qserver{address} queue add plan '{item}'
  qserver{address} queue start
  qserver{address} status
  qserver{address} re pause deferred        then: re resume, re stop, re abort
Ctrl-C here ends it: what is measured is aborted, the shutter closed.
"""
