"""The picture of a drift: a pure function of a figure and a snapshot."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ...inputs import unless_unmeasured
from .._draw_style import letter, note, plain
from ._drift import Aligned
from ._snapshot import OxidationSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_drift"]

COLOURS = "#0072b2", "#d55e00"


@unless_unmeasured()
def draw_drift(figure: Figure, snapshot: OxidationSnapshot) -> None:
    """Draw by how much the sample had moved at each image, along x and along y.

    Left in pixels, right in µm; with σ. Images that do not tell their own shift, and lie as those
    before and after, are open circles. Where the plan moved the region after the sample, that is
    the dashed line.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 8 x 5 inches suit it.
    snapshot : OxidationSnapshot
        What to draw; of one without a `drift` it is said that there is none.
    """
    from matplotlib.ticker import MaxNLocator

    figure.clear()
    figure.set_layout_engine("constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    drift = snapshot.drift
    for ax, axis, name, text in ((upper, 1, "x", "a"), (lower, 0, "y", "b")):
        letter(ax, text, outside=True)
        plain(ax)
        if drift is None:
            note(ax, "no images were registered")
        else:
            _along(ax, drift, axis, name)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    lower.set_xlabel("image, in the order in which they were taken")
    if drift is None:
        return
    then = "the images were moved back" if drift.undone else "the images are as they were taken"
    upper.set_title(f"movement of the sample, ± σ; {then}", fontsize=9, loc="left", x=0.05)
    handles, labels = upper.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower right", ncols=len(labels), fontsize=8, frameon=False
    )


def _along(ax: Axes, drift: Aligned, axis: int, name: str) -> None:
    pixel = drift.pixel[axis]
    moved = drift.movement[:, axis] / pixel
    sigma = drift.sigma[:, axis]
    number = np.arange(1, len(moved) + 1)
    known = np.isfinite(drift.sigma).all(axis=1) & np.isfinite(moved)
    other = np.isfinite(moved) & ~known
    colour = COLOURS[1 - axis]
    ax.axhline(0, color="0.8", lw=0.8, zorder=0)
    ax.errorbar(
        number[known], moved[known], sigma[known], fmt="o", ms=3.0, lw=0.9, color=colour,
        ecolor="0.45", label="sample",
    )  # fmt: skip
    if other.any():
        ax.plot(
            number[other], moved[other], "o", ms=4.0, mfc="none", color=colour,
            label="as those before and after",
        )  # fmt: skip
    if drift.followed.any():
        ax.step(
            number, drift.followed[:, axis] / pixel, where="mid", ls="--", lw=1.0, color="0.3",
            label="region, moved after it",
        )  # fmt: skip
    ax.set_ylabel(f"along {name} (pixels)")
    in_um = partial(np.multiply, pixel), partial(np.multiply, 1.0 / pixel)
    right = ax.secondary_yaxis("right", functions=in_um)
    right.set_ylabel(f"along {name} (µm)")
