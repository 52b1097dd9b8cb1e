"""Pictures of snapshots: drawn, named, saved."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .._analysis import Update
from .._draw_style import printable
from .._registry import analyses, analysis
from ._inbox import complain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["FileNames", "draw", "file_name", "save"]


def draw(figure: Figure, update: Update, show: Callable[[], object]) -> None:
    """Draw and show; what goes wrong there stands in the picture, or is said where there is none.

    Much of it goes wrong only when it is shown: matplotlib looks at texts and sizes then.
    """
    try:
        analysis(update.analysis).draw(figure, update.snapshot)
        show()
    except Exception as exc:  # of whoever wrote the analysis: the others are drawn
        text = f"{update.analysis} cannot be drawn: {type(exc).__name__}: {exc}"
        complain(text)
        figure.clear()
        figure.set_layout_engine("none")
        figure.text(0.5, 0.5, printable(text), ha="center", va="center", wrap=True)
        try:
            show()
        except OSError as full:  # a full disk, a folder that is gone: it may be back at the next
            complain(f"no picture of {update.analysis}: {full}")


def save(figure: Figure, paths: list[Path]) -> None:
    """Write a picture so that whoever looks sees the old one or the new, never a part."""
    drawn = paths[0].with_name(f".{paths[0].stem}.drawn{paths[0].suffix}")
    figure.savefig(drawn, dpi=110)
    for path in paths[1:]:
        part = path.with_name(f".{path.stem}.part{path.suffix}")
        shutil.copyfile(drawn, part)
        os.replace(part, path)
    os.replace(drawn, paths[0])


def file_name(part: str) -> str:
    """A part's name as a part of a file name: ``A, 300 degC`` becomes ``A_300_degC``."""
    return re.sub(r"[^\w.-]+", "_", part).strip("_")


class FileNames:
    """Names of a run's pictures: of its first analysis ``live.png``, of others with their name."""

    def __init__(self) -> None:
        self._run = ""
        self._seen: set[str] = set()

    def of(self, update: Update) -> list[str]:
        """Files of a snapshot: of one of several parts also one of its own."""
        if update.run != self._run:
            self._run, self._seen = update.run, set()
        self._seen.add(update.analysis)
        # Their order in the registry, not who is faster.
        known = {a.name: a for a in analyses()}
        first = next((n for n, a in known.items() if n in self._seen and not a.aside), None)
        stem = "live" if update.analysis == first else f"live_{update.analysis}"
        own = [f"{stem}_{file_name(update.part)}.png"] if len(update.parts) > 1 else []
        return [f"{stem}.png", *own]
