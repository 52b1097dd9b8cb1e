"""Picture of a scan: an image of counts, or curves where it is a few rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...inputs import unless_unmeasured
from .._draw_style import note, plain, printable
from ._snapshot import ScanSnapshot
from ._words import words

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_scan"]

FEW = 3
"""Up to so many rows are curves."""


@unless_unmeasured()
def draw_scan(figure: Figure, snapshot: ScanSnapshot) -> None:
    """Draw the counts against the two axes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Is cleared.
    snapshot : ScanSnapshot
    """
    figure.clear()
    figure.set_layout_engine("constrained")
    ax = figure.subplots()
    fast = _label(snapshot.fast_name, snapshot.fast_unit)
    slow = _label(snapshot.slow_name, snapshot.slow_unit)
    counts, order = snapshot.counts, np.argsort(snapshot.slow, kind="stable")
    if not np.isfinite(counts).any():
        note(ax, "nothing measured yet")
    ax.set_xlabel(fast)
    if len(snapshot.slow) <= FEW or snapshot.slow_name == "place" or len(snapshot.fast) == 1:
        _curves(ax, snapshot, slow)
    else:
        image = ax.pcolormesh(
            snapshot.fast, snapshot.slow[order], np.ma.masked_invalid(counts[order]),
            shading="nearest", cmap="viridis", rasterized=True,
        )  # fmt: skip
        figure.colorbar(image, ax=ax, label=printable(f"{snapshot.detector} (counts)"))
        ax.set_ylabel(slow)
        if snapshot.slow_unit == snapshot.fast_unit and snapshot.slow_name[:-1] in (
            snapshot.fast_name[:-1],
        ):
            ax.set_aspect("equal")
    lines = [snapshot.title]
    if snapshot.done < snapshot.total:
        lines.append(f"{snapshot.done} of {snapshot.total}")
    heading = "\n".join([*lines, snapshot.message] if snapshot.message else lines)
    ax.set_title(printable(heading), fontsize=9.5, loc="left")


def _curves(ax, snapshot: ScanSnapshot, slow: str) -> None:  # type: ignore[no-untyped-def]
    plain(ax)
    x, rows, labels = snapshot.fast, snapshot.counts, snapshot.slow
    if len(snapshot.fast) == 1:
        x, rows, labels = snapshot.slow, snapshot.counts.T, snapshot.fast
        ax.set_xlabel(slow)
    order = np.argsort(x, kind="stable")
    for value, row in zip(labels, rows, strict=True):
        sigma = np.sqrt(np.maximum(row, 1.0))  # of counting
        ax.errorbar(
            x[order], row[order], sigma[order], fmt=".-", lw=1, ms=3, elinewidth=0.6,
            label=f"{words(snapshot.slow_name)} {value:g}",
        )  # fmt: skip
    ax.set_ylabel(printable(f"{snapshot.detector} (counts, ± 1 sigma of counting)"))
    if 1 < len(labels) <= 12:
        ax.legend(frameon=False, fontsize=8)


def _label(name: str, unit: str) -> str:
    shown = {"um": "µm", "degC": "°C"}.get(unit, unit)
    return printable(words(name) + (f" ({shown})" if shown else ""))
