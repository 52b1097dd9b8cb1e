"""Panels of the RIXS picture that stand for themselves: pixels and passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .._draw_style import GREY, WARNING, measured, note, plain, printable, window_colours
from ._pixels import PixelHealth, PixelState
from ._snapshot import RixsSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["damage_panel", "pixel_board"]

MARKS = {
    PixelState.LEFT_OUT: ("x", "0.35", "left out"),
    PixelState.SPARE: (".", "0.75", "not chosen"),
    PixelState.SILENT: ("o", "#56b4e9", "silent"),
    PixelState.ODD: ("^", "#e69f00", "odd rate"),
}


def board_shape(n: int) -> tuple[int, int]:
    """Rows and columns for ``n`` pixels: three to four times as wide as high."""
    columns = n if n <= 16 else int(np.ceil(np.sqrt(3.6 * n)))
    return int(np.ceil(n / columns)), columns


def pixel_board(ax: Axes, snapshot: RixsSnapshot) -> None:
    """Photons per pixel in order of channel number, and which pixels are not used or not well."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    ax.set_xticks([])
    ax.set_yticks([])
    health = snapshot.pixels
    if health is None or not len(health):
        ax.spines[:].set_visible(False)
        note(ax, "nothing known of single pixels")
        return
    rows, columns = board_shape(len(health))
    values = np.full(rows * columns, np.nan)
    values[: len(health)] = health.photons
    states = health.states
    values[: len(health)][np.isin(states, (PixelState.LEFT_OUT, PixelState.SPARE))] = np.nan
    good = values[np.isfinite(values)]
    top = max(float(np.percentile(good, 99)) if good.size else 1.0, 1.0)
    counted = (
        bool(health.photons.any()) or not snapshot.photons
    )  # else the run says only who counts
    colours = colormaps["viridis"] if counted else ListedColormap(["#8aa9c4"])
    image = ax.pcolormesh(
        np.arange(columns + 1) - 0.5, np.arange(rows + 1) - 0.5, values.reshape(rows, columns),
        cmap=colours.with_extremes(bad="w"), vmin=0, vmax=top, edgecolors="w",
        linewidth=0.7,
    )  # fmt: skip
    ax.invert_yaxis()
    ax.spines[:].set_visible(False)
    _marks(ax, states, columns)
    if counted:
        bar = ax.figure.colorbar(image, ax=ax, location="right", aspect=12, pad=0.02, extend="max")
        bar.set_label("photons", fontsize=8)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_linewidth(0.6)
    ax.set_title(printable(_pixel_words(health, snapshot)), fontsize=8.5, loc="right")
    ax.set_xlabel(
        f"channels {health.channel[0]} to {health.channel[-1]}, row by row", fontsize=7.5,
        color="0.35", labelpad=2,
    )  # fmt: skip


def _marks(ax: Axes, states: Any, columns: int) -> None:
    for state, (marker, colour, label) in MARKS.items():
        at = np.flatnonzero(states == state)
        if at.size:
            ax.plot(
                at % columns, at // columns, marker, ms=4.2, mew=1.1, color=colour,
                mfc="none" if marker == "x" else colour, label=f"{at.size} {label}", ls="none",
            )  # fmt: skip
    if ax.get_legend_handles_labels()[0]:
        ax.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.10), ncols=3, fontsize=7.5, frameon=False,
            handletextpad=0.1, columnspacing=1.2,
        )  # fmt: skip


def _pixel_words(health: PixelHealth, snapshot: RixsSnapshot) -> str:
    used = snapshot.pixels_used
    if used is None:
        used = int(health.usable.sum())
    return f"{used} of {len(health)} pixels used"


def damage_panel(ax: Axes, snapshot: RixsSnapshot) -> None:
    """Yields pass by pass, relative to those of all passes, and whether the passes agree."""
    from matplotlib.ticker import MaxNLocator

    plain(ax)
    verdict = snapshot.damage
    if verdict is None:
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_color(GREY)
        note(ax, "passes are compared\nwhen there are two" if snapshot.passes > 1 else "one pass")
        return
    colours = window_colours([found.window for found in snapshot.yields.values()])
    ax.axhline(1.0, color="0.7", lw=0.8)
    shift = np.linspace(-0.06, 0.06, max(len(verdict.trends), 2))
    for trend, x in zip(verdict.trends, shift, strict=False):
        label = trend.window.name
        if np.isfinite(trend.sigma):
            label += f"  {measured(100 * trend.slope, 100 * trend.sigma, sign=True)} % per pass"
        ax.errorbar(
            trend.passes + 1 + x, trend.value, trend.value_sigma, fmt="o", ms=3.4, lw=0.9,
            color=colours.get(trend.window.name, "0.3"), label=label,
        )  # fmt: skip
        if np.isfinite(trend.slope):
            middle = np.average(trend.passes, weights=1 / trend.value_sigma**2)
            line = 1 + trend.slope * (trend.passes - middle)
            ax.plot(trend.passes + 1 + x, line, lw=0.8, color=colours.get(trend.window.name, "0.3"))
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.45 * (high - low))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.set_xlim(0.5, max(int(verdict.trends[0].passes.max(initial=1)) + 1, 2) + 0.5)
    ax.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    ax.tick_params(labelsize=8.5)
    ax.set_xlabel("pass", fontsize=9)
    ax.set_ylabel("relative to all", fontsize=8.5)
    ax.legend(loc="upper left", fontsize=7.5, frameon=False, borderaxespad=0.1, handletextpad=0.2)
    worst = "" if np.isnan(verdict.worst) else f" ({verdict.worst:.1f} σ at most)"
    ax.set_title(
        ("the sample changes" if verdict.damaged else "passes agree") + worst, fontsize=8.5,
        loc="right", color=WARNING if verdict.damaged else "k",
        weight="bold" if verdict.damaged else "normal",
    )  # fmt: skip
