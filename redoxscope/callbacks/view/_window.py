"""Windows, where there is a display."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from .._registry import analysis
from ._inbox import Inbox
from ._pictures import draw

__all__ = ["to_windows", "window_possible"]


def to_windows(inbox: Inbox) -> None:
    """Draw each analysis in a window until all are closed or the pipe ends."""
    import matplotlib.pyplot as plt

    figures: dict[str, Any] = {}
    closed: set[str] = set()
    while not figures or len(closed) < len(figures):
        begun = time.monotonic()
        updates = inbox.take(0.02)
        newest = {update.analysis: update for update in updates}  # of each its last part
        for name, update in newest.items():
            if name not in figures:
                record = analysis(name)
                figures[name] = plt.figure(f"redoxscope: {record.title}", figsize=record.size)
                figures[name].canvas.mpl_connect("close_event", lambda _, n=name: closed.add(n))
                plt.show(block=False)
            if name not in closed:
                draw(figures[name], update, figures[name].canvas.draw)
        if not updates and inbox.ended:
            return
        # The windows are alive meanwhile, and drawing takes at most half of a core.
        rest = max(0.05, time.monotonic() - begun)
        alive = next((f for name, f in figures.items() if name not in closed), None)
        if alive is None:
            inbox.rest(rest)
        else:
            alive.canvas.start_event_loop(rest)


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
