"""The picture of a map: a pure function of a figure and a snapshot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import PixelFlag
from ...inputs import unless_unmeasured
from .._draw_style import GREY, letter, printable
from ._draw_frame import draw_frame
from ._draw_image import axis_label, edges, heading, image, upper
from ._snapshot import OxidationSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_oxidation", "pretty"]

AREA = "#d1495b"
HIGH = "k"
_SUPERSCRIPT = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


def pretty(name: str) -> str:
    """Species name with its charge raised: ``Mn4+`` becomes ``Mn⁴⁺``."""
    found = re.fullmatch(r"([A-Z][a-z]?)(\d*[+-])", name)
    return found[1] + found[2].translate(_SUPERSCRIPT) if found else printable(name)


@unless_unmeasured()
def draw_oxidation(figure: Figure, snapshot: OxidationSnapshot) -> None:
    """Draw fraction, its sigma, thickness, and the spectrum of an area with its fit.

    As long as there is no map to speak of, the image that lines come into is drawn instead:
    counts and optical density.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 10 x 7 inches suit it.
    snapshot : OxidationSnapshot
        What to draw. Masked pixels are grey; those above an optical density of 2 are hatched.
    """
    figure.clear()
    if not snapshot.has_map and snapshot.frame is not None:
        draw_frame(figure, snapshot)
        return
    figure.set_layout_engine("constrained", h_pad=0.08, w_pad=0.06, hspace=0.05, wspace=0.03)
    r = snapshot.result
    rows = figure.add_gridspec(2, 1, height_ratios=[1.45, 1.0])
    maps = rows[0].subgridspec(1, 3)
    first = figure.add_subplot(maps[0])
    axes = [first, *(figure.add_subplot(maps[i], sharex=first, sharey=first) for i in (1, 2))]
    name = pretty(snapshot.names[0]) if snapshot.names else "first species"
    shown = np.where(r.mask, r.fraction, np.nan)
    image(
        axes[0],
        snapshot,
        shown,
        "viridis",
        0.0,
        1.0,
        f"{name[:1].upper()}{name[1:]} fraction",
        extend=_beyond(shown),
    )
    sigma = np.where(r.mask, r.sigma, np.nan)
    image(
        axes[1], snapshot, sigma, "plasma", 0.0, upper(sigma), f"σ of {name} fraction",
        extend="max",
    )  # fmt: skip
    unit, title = ("µm", "Thickness") if snapshot.unit == "1/µm" else ("end members", "Thickness")
    thickness = np.where(np.isfinite(r.thickness), r.thickness, np.nan)
    image(
        axes[2], snapshot, thickness, "cividis", 0.0, upper(thickness, 99.5),
        f"{title} ({unit})", extend="max",
    )  # fmt: skip
    for ax, text in zip(axes, "abc", strict=True):
        letter(ax, text)
        ax.set_xlabel(axis_label("x", snapshot.x))
    axes[0].set_ylabel(axis_label("y", snapshot.y))
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)
    _marks(axes[0], snapshot, hatch=True)
    for ax in axes[1:]:
        _marks(ax, snapshot, hatch=False)
    _legend(figure, snapshot)
    lower = rows[1].subgridspec(1, 2, width_ratios=[2.4, 1.0])
    _spectrum(figure, lower[0], snapshot)
    _histogram(figure.add_subplot(lower[1]), snapshot, name)
    heading(figure, snapshot)


def _beyond(values: NDArray) -> str:
    below = bool((values < 0).any())
    above = bool((values > 1).any())
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]


def _marks(ax: Axes, snapshot: OxidationSnapshot, hatch: bool) -> None:
    """Outline the area, and hatch what is above an optical density of 2."""
    r = snapshot.result
    x, y = edges(snapshot)
    high = (r.flags & PixelFlag.HIGH_OD).astype(bool) & r.mask
    if hatch and high.any():
        # Each pixel as a square of its own, so that the hatching ends where the pixels do.
        inner_x, inner_y = _corners(x), _corners(y)
        squares = high.repeat(2, axis=0).repeat(2, axis=1)
        hatched = ax.contourf(
            inner_x, inner_y, squares, levels=[0.5, 1.5], colors="none", hatches=["////"]
        )
        hatched.set(edgecolor=(0.0, 0.0, 0.0, 0.45), linewidth=0.0)  # the colour below must show
        _outline(ax, x, y, high, HIGH, 0.6)
    if snapshot.area is not None and snapshot.area.any():
        _outline(ax, x, y, snapshot.area, AREA, 1.2)


def _corners(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Just within both edges of each pixel."""
    step = np.diff(values)
    return np.stack([values[:-1] + 0.01 * step, values[1:] - 0.01 * step], axis=1).ravel()


def _outline(
    ax: Axes, x: NDArray, y: NDArray, mask: NDArray[np.bool_], colour: str, width: float
) -> None:
    """Draw along the edges of the mask's pixels, those at the rim of the image included."""
    from matplotlib.collections import LineCollection

    padded = np.pad(mask, 1)
    rows, columns = np.nonzero(padded[1:, 1:-1] != padded[:-1, 1:-1])
    lines = [((x[c], y[r]), (x[c + 1], y[r])) for r, c in zip(rows, columns, strict=True)]
    rows, columns = np.nonzero(padded[1:-1, 1:] != padded[1:-1, :-1])
    lines += [((x[c], y[r]), (x[c], y[r + 1])) for r, c in zip(rows, columns, strict=True)]
    for each, thick in (("w", 2 * width), (colour, width)):
        # Not cut where the axes end: the line at the rim would be half as wide.
        ax.add_collection(
            LineCollection(lines, colors=each, linewidths=thick, capstyle="round", clip_on=False),
            autolim=False,
        )


def _legend(figure: Figure, snapshot: OxidationSnapshot) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    r = snapshot.result
    handles: list[Any] = [Patch(facecolor=GREY, edgecolor="0.5", label="masked")]
    if ((r.flags & PixelFlag.HIGH_OD).astype(bool) & r.mask).any():
        handles.append(Patch(facecolor="w", edgecolor=HIGH, hatch="////", label="OD > 2"))
    if snapshot.area is not None and snapshot.area.any():
        handles.append(Line2D([], [], color=AREA, lw=1.4, label="area"))
    figure.legend(
        handles=handles, loc="outside lower right", ncols=len(handles), fontsize=8,
        frameon=False, handlelength=1.4, columnspacing=1.6,
    )  # fmt: skip


def _spectrum(figure: Figure, place: Any, snapshot: OxidationSnapshot) -> None:
    grid = place.subgridspec(2, 1, height_ratios=[3, 1], hspace=0.02)
    ax = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=ax)
    ax.tick_params(labelbottom=False)
    relative = any(doubt.kind == "blank" for doubt in snapshot.doubts)  # I0 of the monitor alone
    ax.set_ylabel("optical density" + (" + const." if relative else ""))
    below.set_ylabel("residual")
    below.set_xlabel("photon energy (eV)")
    letter(ax, "d", outside=True)
    for each in (ax, below):
        each.spines[["top", "right"]].set_visible(False)
    s = snapshot.spectrum
    if s is None:
        ax.text(0.5, 0.5, "no area measured yet", transform=ax.transAxes, ha="center", color="0.5")
        return
    energy = s.energies
    order = np.argsort(energy)
    ax.errorbar(
        energy, s.od, s.sigma, fmt="o", ms=2.6, lw=0.8, color="0.25",
        label=f"area, {s.n_pixels} px",
    )  # fmt: skip
    ax.plot(energy[order], s.fit[order], color=AREA, lw=1.4, label="fit", zorder=3)
    ax.margins(x=0.01)
    name = pretty(snapshot.names[0])
    text = f"{name} fraction {s.fraction:.3f} ± {s.fraction_sigma:.3f} (stat.)"
    if np.isfinite(s.chi2):
        text += f", reduced χ² {s.chi2:.3g}"
    # Above the data: inside there is no corner that a spectrum leaves free for certain.
    ax.set_title(text, fontsize=8, loc="left", x=0.05)
    ax.legend(
        fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2,
        borderaxespad=0.2, handlelength=1.4,
    )  # fmt: skip
    below.axhline(0, color=AREA, lw=1.0)
    below.errorbar(energy, s.od - s.fit, s.sigma, fmt="o", ms=2.2, lw=0.7, color="0.25")


def _histogram(ax: Axes, snapshot: OxidationSnapshot, name: str) -> None:
    r = snapshot.result
    values = r.fraction[r.mask]
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(f"{name} fraction")
    ax.set_ylabel("pixels")
    letter(ax, "e", outside=True)
    if not values.size:
        return
    low, high = np.percentile(values, [0.5, 99.5])
    low, high = min(low, 0.0), max(high, 1.0)
    ax.hist(values, bins=50, range=(low, high), color="0.45")
    ax.set_xlim(low, high)
    note = f"{r.mean:.3f} ± {r.std:.3f}, {r.n_mask} px, median σ {r.sigma_median:.3f}"
    ax.set_title(note, fontsize=8, loc="left", x=0.1)
