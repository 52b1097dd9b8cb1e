"""Picture of a region's dose."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...inputs import unless_unmeasured
from .._draw_style import WARNING, printable
from ._snapshot import DoseSnapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_dose"]


@unless_unmeasured()
def draw_dose(figure: Figure, snapshot: DoseSnapshot) -> None:
    """Draw the dose of each pixel in this run, and say what the place may have.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 6 x 5.5 inches suit it.
    snapshot : DoseSnapshot
    """
    figure.clear()
    figure.set_layout_engine("constrained")
    ax = figure.add_subplot()
    known = bool(np.isfinite(snapshot.gray).any())
    values = snapshot.gray / 1e6 if known else snapshot.photons
    label = "dose in this run (MGy)" if known else "photons per pixel in this run"
    x, y = snapshot.x, snapshot.y
    half = [abs(v[-1] - v[0]) / max(len(v) - 1, 1) / 2 or 0.5 for v in (x, y)]
    extent = (x[0] - half[0], x[-1] + half[0], y[0] - half[1], y[-1] + half[1])
    drawn = ax.imshow(
        values, origin="lower", extent=extent, cmap="cividis", vmin=0, interpolation="none"
    )
    figure.colorbar(drawn, ax=ax, label=label)
    ax.set(xlabel="x (µm)", ylabel="y (µm)", title=printable(snapshot.title))
    if math.isfinite(snapshot.limit):
        had = snapshot.before + snapshot.most
        share = had / snapshot.limit
        mgy = [f"{value / 1e6:.3g}" for value in (had, snapshot.limit, snapshot.before)]
        said = f"{mgy[0]} of {mgy[1]} MGy, {mgy[2]} before"
        ax.text(
            0.02, 0.98, said, transform=ax.transAxes, va="top",
            color=WARNING if share > 0.9 else "k",
            bbox={"facecolor": "w", "alpha": 0.8, "linewidth": 0},
        )  # fmt: skip
    if snapshot.message:
        figure.supxlabel(printable(snapshot.message), fontsize=8, color=WARNING)
