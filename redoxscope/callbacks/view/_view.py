"""A window on the live maps, in a process of its own."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from .. import wire
from .._analysis import Update
from .._update import update_to_wire

__all__ = ["MapView"]

logger = logging.getLogger(__name__)

MOST = 512
"""Most pixels a side that a screen is sent."""


class MapView:
    """Shows what a host finds: ``OxidationMap(on_update=MapView("out"))``, of any analysis.

    Drawing takes a tenth of a second and holds the interpreter, so another process does it:
    there a window for each analysis where there is a display, else ``live.png`` in a folder,
    replaced at each update in one step; of a run with several maps also ``live_PART.png`` for each,
    and of a second analysis of the same run ``live_ANALYSIS.png``. A snapshot that comes while the
    last is still being drawn replaces the one of the same map that waits. Closing the windows, or a
    crash over there, ends the view and nothing else; the view ends with this process, however that
    ends, because its pipe does.

    The other process knows the analyses that are installed (see
    ``docs/how-to/own-analysis.md``), not one that was only registered here.

    Parameters
    ----------
    folder : path, optional
        Where ``live.png`` goes if there is no display; without it nothing is shown then.
    window : bool
        False never opens a window.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None, *, window: bool = True):
        self.folder = None if folder is None else Path(folder).absolute()
        arguments = ["--window"] if window else []
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True)
            arguments += ["--folder", str(self.folder)]
        # Not multiprocessing: spawning would import the user's script again. A session of its
        # own, so that Ctrl-C at the terminal reaches the scan and not the window.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "redoxscope.callbacks.view", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._waiting: dict[tuple[str, str], Update] = {}
        self._closing = False
        self._unfit: set[str] = set()  # analyses whose snapshots cannot be sent
        self._changed = threading.Condition()
        self._sender = threading.Thread(target=self._send, name="map-view", daemon=True)
        self._sender.start()

    def __call__(self, update: Update) -> None:
        """Show what is new as soon as the view is free. Returns at once."""
        key = update.analysis, update.part
        with self._changed:
            self._waiting.pop(key, None)  # the newest is shown last
            self._waiting[key] = update
            self._changed.notify()

    @property
    def alive(self) -> bool:
        """Whether the view is still there."""
        return self._process.poll() is None

    def close(self, timeout: float = 60.0) -> None:
        """Show what is waiting, then end the view, within ``timeout`` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._sender.join(timeout)
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> MapView:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _send(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            with pipe:
                while True:
                    with self._changed:
                        self._changed.wait_for(lambda: self._closing or self._waiting)
                        waiting, self._waiting = self._waiting, {}
                    if not waiting:
                        return
                    for update in waiting.values():
                        self._send_one(pipe, update)
        except OSError:  # the window was closed
            logger.info("the map view is gone; the scan goes on without it")

    def _send_one(self, pipe: IO[bytes], update: Update) -> None:
        try:
            message = wire.encode(*update_to_wire(update, MOST))
        except Exception as error:  # of whoever wrote the analysis: the others are shown
            if update.analysis not in self._unfit:
                self._unfit.add(update.analysis)
                logger.error("%s cannot be shown: %s", update.analysis, error, exc_info=error)
            return
        pipe.write(message)
        pipe.flush()
