"""The picture of a stack that has no map, or none yet: the image that lines come into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .._draw_style import letter, note
from ._draw_image import axis_label, heading, image
from ._snapshot import OxidationSnapshot

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw_frame"]


def draw_frame(figure: Figure, snapshot: OxidationSnapshot) -> None:
    """Draw counts and optical density of the newest image.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Empty.
    snapshot : OxidationSnapshot
        One with a `Frame`.
    """
    frame = snapshot.frame
    assert frame is not None
    figure.set_layout_engine("constrained", h_pad=0.04, w_pad=0.06, hspace=0.03, wspace=0.03)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    number = f"image {frame.index + 1} of {len(snapshot.energies)}"
    low, high = _range(frame.counts)
    image(
        left, snapshot, frame.counts, "gray", low, high,
        f"counts per pixel at {frame.energy:g} eV ({number})", extend="both",
    )  # fmt: skip
    low, high = _range(frame.od)
    what = "relative to the brightest pixels: I0 is not known" if frame.relative else "−ln(I/I0)"
    image(
        right, snapshot, frame.od, "cividis", min(low, 0.0), high,
        f"optical density, {what}", extend="both",
    )  # fmt: skip
    if not np.isfinite(frame.counts).any():
        note(left, "no line of this image was taken")
    for ax, text in ((left, "a"), (right, "b")):
        letter(ax, text)
        ax.set_xlabel(axis_label("x", snapshot.x))
    left.set_ylabel(axis_label("y", snapshot.y))
    heading(figure, snapshot)


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [0.5, 99.5])
    return float(low), float(high) if high > low else float(low) + 1.0
