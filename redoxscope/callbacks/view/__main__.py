"""The process behind `MapView`: ``python -m redoxscope.callbacks.view``."""

from __future__ import annotations

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path

from .._registry import analysis
from ._inbox import Inbox, complain
from ._pictures import FileNames, draw, save
from ._window import to_windows, window_possible


def to_files(inbox: Inbox, folder: Path) -> None:
    """Draw to ``live.png`` and its like until the pipe ends."""
    from matplotlib.figure import Figure

    figures: dict[str, Figure] = {}  # one for each: layouts of one do not suit another
    names = FileNames()
    while True:
        updates = inbox.take(None)
        for update in updates:
            begun = time.monotonic()
            size = analysis(update.analysis).size
            figure = figures.setdefault(update.analysis, Figure(figsize=size))
            paths = [folder / name for name in names.of(update)]
            draw(figure, update, partial(save, figure, paths))
            inbox.rest(time.monotonic() - begun)  # at most half of a core
        if not updates and inbox.ended:
            return


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
        to_windows(inbox)
    elif options.folder is not None:
        to_files(inbox, options.folder)
    else:
        complain("there is neither a display nor a folder: nothing is shown")


if __name__ == "__main__":
    main()
