"""The process behind `MapView`: ``python -m redoxscope.callbacks._view_main``."""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import sys
import threading
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ._draw import draw
from ._snapshot import Snapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE = (11.0, 7.6)


class Inbox:
    """The newest snapshot on a pipe; older ones that nobody looked at are dropped."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._newest: deque[Snapshot] = deque(maxlen=1)
        self._news = threading.Event()
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        # A pipe that ends in the middle of a snapshot is a parent that was killed.
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                self._newest.append(pickle.load(self._pipe))
                self._news.set()
        self.ended = True
        self._news.set()

    def take(self, timeout: float | None) -> Snapshot | None:
        """Newest snapshot, or None if there is none within ``timeout`` seconds."""
        self._news.wait(timeout)
        if not self.ended:
            self._news.clear()
        return self._newest.pop() if self._newest else None


def save(figure: Figure, path: Path) -> None:
    """Write a picture so that whoever looks sees the old one or the new, never a part."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    figure.savefig(part, dpi=110)
    os.replace(part, path)


def to_file(inbox: Inbox, folder: Path) -> None:
    """Draw to ``live.png`` until the pipe ends."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE)
    while True:
        snapshot = inbox.take(None)
        if snapshot is not None:
            draw(figure, snapshot)
            save(figure, folder / "live.png")
        elif inbox.ended:
            return


def to_window(inbox: Inbox) -> None:
    """Draw in a window until it is closed or the pipe ends."""
    import matplotlib.pyplot as plt

    figure = plt.figure("redoxscope", figsize=SIZE)
    closed: list[object] = []
    figure.canvas.mpl_connect("close_event", closed.append)
    plt.show(block=False)
    while not closed:
        snapshot = inbox.take(0.02)
        if snapshot is not None:
            draw(figure, snapshot)
            figure.canvas.draw_idle()
        elif inbox.ended:
            return
        figure.canvas.start_event_loop(0.05)


def window_possible() -> bool:
    """Whether a display and a toolkit for it are here; selects that toolkit."""
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    import matplotlib.pyplot as plt

    for backend in ("macosx", "QtAgg", "TkAgg", "GTK4Agg", "WXAgg"):
        try:
            plt.switch_backend(backend)
            plt.close(plt.figure())
        except Exception:  # toolkits fail in ways of their own (TclError, RuntimeError, ...)
            continue
        return True
    return False


def main(arguments: list[str] | None = None) -> None:
    """Show what comes on standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", action="store_true")
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args(arguments)
    if hasattr(os, "nice"):
        os.nice(10)  # the picture may wait, the scan may not
    inbox = Inbox(sys.stdin.buffer)
    if options.window and window_possible():
        to_window(inbox)
    elif options.folder is not None:
        to_file(inbox, options.folder)


if __name__ == "__main__":
    main()
