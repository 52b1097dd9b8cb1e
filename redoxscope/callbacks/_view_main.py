"""The process behind `MapView`: ``python -m redoxscope.callbacks._view_main``."""

from __future__ import annotations

import argparse
import contextlib
import os
import pickle
import re
import shutil
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ._analysis import Update
from ._registry import analysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Inbox:
    """The newest snapshot of each map on a pipe; older ones that nobody looked at are dropped."""

    def __init__(self, pipe: BinaryIO) -> None:
        self._pipe = pipe
        self._lock = threading.Lock()
        self._newest: dict[tuple[str, str], Update] = {}
        self._news = threading.Event()
        self._end = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        # A pipe that ends in the middle of a snapshot is a parent that was killed.
        with contextlib.suppress(EOFError, pickle.UnpicklingError):
            while True:
                snapshot = pickle.load(self._pipe)
                name = snapshot.analysis, snapshot.part
                with self._lock:
                    self._newest.pop(name, None)
                    self._newest[name] = snapshot
                self._news.set()
        self._end.set()
        self._news.set()

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self._end.is_set()

    def rest(self, seconds: float) -> None:
        """Wait, but not longer than there is something to wait for."""
        self._end.wait(seconds)

    def take(self, timeout: float | None) -> list[Update]:
        """Newest snapshot of each map, the last one last; none if none comes within ``timeout`` s.

        Once nothing more will come, all that is left.
        """
        self._news.wait(timeout)
        if not self.ended:
            self._news.clear()
        with self._lock:
            found, self._newest = list(self._newest.values()), {}
        return found


def picture(figure: Figure, update: Update) -> None:
    """Draw a snapshot as its analysis does."""
    analysis(update.analysis).draw(figure, update.snapshot)


def save(figure: Figure, paths: list[Path]) -> None:
    """Write a picture so that whoever looks sees the old one or the new, never a part."""
    drawn = paths[0].with_name(f".{paths[0].stem}.drawn{paths[0].suffix}")
    figure.savefig(drawn, dpi=110)
    for path in paths[1:]:
        part = path.with_name(f".{path.stem}.part{path.suffix}")
        shutil.copyfile(drawn, part)
        os.replace(part, path)
    os.replace(drawn, paths[0])


def to_file(inbox: Inbox, folder: Path) -> None:
    """Draw to ``live.png`` until the pipe ends."""
    from matplotlib.figure import Figure

    figure = Figure()
    while True:
        snapshots = inbox.take(None)
        for snapshot in snapshots:
            begun = time.monotonic()
            figure.set_size_inches(*analysis(snapshot.analysis).size)
            picture(figure, snapshot)
            save(figure, [folder / name for name in file_names(snapshot)])
            inbox.rest(time.monotonic() - begun)  # at most half of a core
        if not snapshots and inbox.ended:
            return


def file_names(update: Update) -> list[str]:
    """Files of a snapshot: of one of several maps also one of its own."""
    if len(update.parts) > 1:
        return ["live.png", f"live_{file_name(update.part)}.png"]
    return ["live.png"]


def file_name(part: str) -> str:
    """A part's name as a part of a file name: ``A, 300 degC`` becomes ``A_300_degC``."""
    return re.sub(r"[^\w.-]+", "_", part).strip("_")


def to_window(inbox: Inbox) -> None:
    """Draw in a window until it is closed or the pipe ends."""
    import matplotlib.pyplot as plt

    figure = plt.figure("redoxscope")
    shown = ""
    closed: list[object] = []
    figure.canvas.mpl_connect("close_event", closed.append)
    plt.show(block=False)
    while not closed:
        begun = time.monotonic()
        snapshots = inbox.take(0.02)
        if snapshots:
            snapshot = snapshots[-1]
            if snapshot.analysis != shown:  # once; after that the size is the user's
                shown = snapshot.analysis
                figure.set_size_inches(*analysis(shown).size, forward=True)
            picture(figure, snapshot)
            figure.canvas.draw()
        elif inbox.ended:
            return
        # The window is alive meanwhile, and drawing takes at most half of a core.
        figure.canvas.start_event_loop(max(0.05, time.monotonic() - begun))


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
