"""Images in the pictures of a stack: axes in µm, colours, heading."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .._draw_style import GREY, WARNING, printable
from ._snapshot import OxidationSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["axis_label", "edges", "heading", "image", "origin", "upper"]

LONG = 6.0
"""Sides in a ratio beyond this are not drawn to scale: a line of one pixel would not be seen."""
MOST_DOUBTS = 5


def origin(values: NDArray[np.float64]) -> float:
    """Offset to leave out of tick labels: stage positions far from zero are unreadable."""
    span = float(np.ptp(values)) or 1.0
    return float(values.min()) if abs(values).max() > 20 * span else 0.0


def axis_label(name: str, values: NDArray[np.float64]) -> str:
    """Label of an axis, with the offset left out."""
    offset = origin(values)
    if offset == 0:
        return f"{name} (µm)"
    return f"{name} {'+' if offset < 0 else '−'} {abs(offset):.1f} (µm)"


def edges(snapshot: OxidationSnapshot) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of the pixels in µm, [nx + 1] and [ny + 1], from measured centres, offset taken off."""
    found = []
    steps = [
        abs(values[-1] - values[0]) / (len(values) - 1) if len(values) > 1 else 0.0
        for values in (snapshot.x, snapshot.y)
    ]
    for values, other in ((snapshot.x, steps[1]), (snapshot.y, steps[0])):
        n = len(values)
        step = (values[-1] - values[0]) / (n - 1) if n > 1 else 0.0
        step = step or other or 1.0
        found.append(values[0] - origin(values) + step * (np.arange(n + 1) - 0.5))
    return found[0], found[1]


def image(
    ax: Axes,
    snapshot: OxidationSnapshot,
    values: NDArray,
    colours: str,
    low: float,
    high: float,
    label: str,
    extend: str = "neither",
) -> None:
    """Draw an image with its colour bar above it."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    cmap = colormaps[colours].with_extremes(bad=GREY)
    x, y = edges(snapshot)
    wide = abs(x[-1] - x[0]) / abs(y[-1] - y[0])
    shown = ax.imshow(
        values, origin="lower", extent=(x[0], x[-1], y[0], y[-1]), cmap=cmap, vmin=low, vmax=high,
        interpolation="none", aspect="equal" if 1 / LONG <= wide <= LONG else "auto",
    )  # fmt: skip
    if y[0] > y[-1]:
        ax.invert_yaxis()
    if x[0] > x[-1]:
        ax.invert_xaxis()
    bar = ax.figure.colorbar(
        shown, ax=ax, location="top", shrink=0.94, pad=0.02, aspect=28, extend=extend
    )
    bar.ax.xaxis.set_major_locator(MaxNLocator(5))
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)


def upper(values: NDArray, percentile: float = 98.0) -> float:
    """Upper end of a colour scale that leaves out the few highest values."""
    finite = values[np.isfinite(values)]
    return max(float(np.percentile(finite, percentile)), 1e-6) if finite.size else 1.0


def heading(figure: Figure, snapshot: OxidationSnapshot) -> None:
    """Say above what it is and how far it has come, and below what to doubt."""
    parts = [snapshot.title] if snapshot.title else []
    done, total = snapshot.lines_done, snapshot.lines_total
    if total and done < total:
        parts.append(f"{done} of {total} lines")
    lines = [" · ".join(parts), *([] if snapshot.until is None else [snapshot.until.words])]
    figure.suptitle("\n".join(map(printable, lines)), fontsize=11)
    said = [d.text for d in snapshot.doubts]
    rest = snapshot.message
    for text in said:
        rest = rest.replace(text, "")
    texts = [*([rest.strip()] if rest.strip() else []), *said]
    more = len(texts) - MOST_DOUBTS
    lines = []
    for text in texts[:MOST_DOUBTS]:
        lines += textwrap.wrap(text, 140) or [""]
    if more > 0:
        lines.append(f"and {more} more: see its message")
    if lines:
        figure.supxlabel(
            printable("\n".join(lines)), fontsize=7.5, color=WARNING, x=0.01, ha="left"
        )
