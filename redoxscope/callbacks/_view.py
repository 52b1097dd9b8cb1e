"""A window on the live map, in a process of its own."""

from __future__ import annotations

import logging
import os
import pickle
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

from ._analysis import Update
from ._registry import analysis

__all__ = ["MapView"]

logger = logging.getLogger(__name__)

MOST_PIXELS = 512
"""Most pixels a side that a picture has."""


class MapView:
    """Shows snapshots of any analysis: ``OxidationMap(on_update=MapView("out"))``.

    Drawing takes a tenth of a second and holds the interpreter, so another process does it:
    there a window where there is a display, else ``live.png`` in a folder, replaced at each
    update in one step; of a run with several maps also ``live_NAME.png`` for each. A snapshot that
    comes while the last is still being drawn replaces the one of the same map that waits. Closing
    the window, or a crash over there, ends the view and nothing else; the view ends with this
    process, however that ends, because its pipe does.

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
            [sys.executable, "-m", "redoxscope.callbacks._view_main", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._waiting: dict[tuple[str, str], Update] = {}
        self._closing = False
        self._changed = threading.Condition()
        self._sender = threading.Thread(target=self._send, name="map-view", daemon=True)
        self._sender.start()

    def __call__(self, update: Update) -> None:
        """Show a snapshot as soon as the view is free. Returns at once."""
        name = update.analysis, update.part
        with self._changed:
            self._waiting.pop(name, None)  # the newest is shown last
            self._waiting[name] = update
            self._changed.notify()

    @property
    def alive(self) -> bool:
        """Whether the view is still there."""
        return self._process.poll() is None

    def close(self, timeout: float = 10.0) -> None:
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
                        thin = analysis(update.analysis).thin(update.snapshot, MOST_PIXELS)
                        pickle.dump(
                            replace(update, snapshot=thin), pipe, protocol=pickle.HIGHEST_PROTOCOL
                        )
                        pipe.flush()
        except OSError:  # the window was closed
            logger.info("the map view is gone; the scan goes on without it")
