"""The command ``redoxscope watch``."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._common import echo

__all__ = ["watch"]


def watch(
    address: Annotated[
        str, typer.Argument(metavar="HOST:PORT", help="0MQ proxy, where it gives documents out.")
    ],
    folder: Annotated[
        Optional[Path],  # noqa: UP007, UP045  typer reads it
        typer.Option(help="For live.png, in place of a window."),
    ] = None,
) -> None:
    """Show the live maps of a session elsewhere, which publishes over a 0MQ proxy. Ctrl-C ends it.

    It listens only: nothing goes to the session or to the beamline.
    """
    from ..callbacks import Host, MapView
    from ..callbacks.remote import Listener
    from ..inputs import proxy_address

    proxy_address("HOST:PORT", address)
    if folder is None and not _display():
        raise ValueError("there is no display for a window here: give --folder FOLDER for live.png")
    with ExitStack() as steps:
        view = steps.enter_context(MapView(folder, window=folder is None))
        host = Host(on_update=view)
        host.tell = _say
        steps.callback(host.close)
        listener = Listener(
            address,
            host,
            photons=lambda run, batch: host.send("photons", batch, run=run),
            say=_say,
        )
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            before = signal.signal(number, lambda *_: listener.close())
            steps.callback(signal.signal, number, before)
        _say(f"listening at {listener.address}; Ctrl-C ends it")
        listener.run(until=lambda: not view.alive)
        if not view.alive:
            _say("the view was closed")


def _say(text: Any) -> None:
    from ..inputs import printable

    # From elsewhere: odd characters must neither end this nor tell the terminal what to do.
    echo(printable(str(text)))
    sys.stdout.flush()  # who reads it from a file or pipe reads it now


def _display() -> bool:
    return not sys.platform.startswith("linux") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
