"""The picture of a RIXS map: a pure function of a figure and a snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...analysis.rixs import SIGNIFICANT, find_maximum
from ...inputs import unless_unmeasured
from .._draw_style import (
    GREY,
    WARNING,
    letter,
    measured,
    note,
    plain,
    printable,
    window_colours,
    window_label,
)
from ._draw_panels import damage_panel, pixel_board
from ._snapshot import RixsSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_rixs"]

COLOURS = "magma"
MOST_YIELDS = 4


@unless_unmeasured()
def draw_rixs(figure: Figure, snapshot: RixsSnapshot) -> None:
    """Draw the map, the yields below it, the emission spectra beside it, pixels and passes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 12 x 8.5 inches suit it.
    snapshot : RixsSnapshot
        What to draw. Energies without data are grey. Emission ranges far from the excitation,
        such as that of an iPFY, stand in strips of their own, with a gap in the axis.
    """
    figure.clear()
    figure.set_layout_engine("constrained", h_pad=0.03, w_pad=0.05, hspace=0.02, wspace=0.02)
    ranges = snapshot.emission_ranges
    shown = list(snapshot.yields)[:MOST_YIELDS]
    lower = [3.0 / max(len(shown), 2)] * len(shown) or [2.6]
    heights = [0.10, *_strip_heights(ranges), *lower]
    grid = figure.add_gridspec(len(heights), 2, height_ratios=heights, width_ratios=[2.5, 1.0])
    below = 1 + len(ranges)
    maps = _maps(figure, [grid[i, 0] for i in range(1, below)], grid[0, 0], snapshot)
    _spectra(figure, [grid[i, 1] for i in range(1, below)], maps, snapshot)
    colours, letters = window_colours(snapshot.windows), iter("cdefgh")
    lowest = maps[-1]
    for row, name in enumerate(shown):
        lowest = figure.add_subplot(grid[below + row, 0], sharex=maps[-1])
        _yield(lowest, snapshot, name, colours[name])
        letter(lowest, next(letters))
        lowest.tick_params(labelbottom=False)
    lowest.tick_params(labelbottom=True)
    lowest.set_xlabel("excitation energy (eV)")
    if not shown:
        emission = figure.add_subplot(grid[below, 0])
        _large_spectra(emission, snapshot)
        letter(emission, next(letters))
    right = grid[below:, 1].subgridspec(2, 1, height_ratios=[1.0, 1.15])
    # Each in a grid of its own: a colour bar takes width from all that share one.
    board = figure.add_subplot(right[0].subgridspec(1, 1)[0])
    pixel_board(board, snapshot)
    letter(board, next(letters), outside=True)
    passes = figure.add_subplot(right[1].subgridspec(1, 1)[0])
    damage_panel(passes, snapshot)
    letter(passes, next(letters), outside=True)
    figure.suptitle(printable(_heading(snapshot)), fontsize=11)


def _strip_heights(ranges: list[tuple[float, float]]) -> list[float]:
    """Heights of the parts of the map from top to bottom: the widest gets most of the room."""
    spans = np.array([high - low for low, high in reversed(ranges)])
    shares = np.maximum(spans / spans.max(), 0.45)
    return [float(3.4 * share) for share in shares / shares.sum()]


def _edges(centers: NDArray) -> NDArray[np.float64]:
    """Edges of cells from their rising centres."""
    if len(centers) == 1:
        return np.array([centers[0] - 0.5, centers[0] + 0.5])
    middles = (centers[1:] + centers[:-1]) / 2
    first, last = 2 * centers[0] - middles[0], 2 * centers[-1] - middles[-1]
    return np.concatenate([[first], middles, [last]])


def _maps(figure: Figure, places: list[Any], bar_place: Any, snapshot: RixsSnapshot) -> list[Axes]:
    """Draw the parts of the map, top to bottom, and the colour bar above; the axes."""
    from matplotlib import colormaps
    from matplotlib.colors import PowerNorm

    order = np.argsort(snapshot.energies)
    x = _edges(snapshot.energies[order])
    step = snapshot.bins.step
    density = snapshot.shown[order] / step
    y = snapshot.bins.edges
    ranges = snapshot.emission_ranges[::-1]
    inside = np.zeros(density.shape[1], dtype=bool)
    for low, high in ranges:
        inside |= (snapshot.bins.centers > low) & (snapshot.bins.centers < high)
    top = _upper(density[:, inside])
    norm = PowerNorm(0.5, 0.0, top)  # equal steps of colour are equal steps in sigma
    cmap = colormaps[COLOURS].with_extremes(bad=GREY)
    axes: list[Axes] = []
    for place, (low, high) in zip(places, ranges, strict=True):
        ax = figure.add_subplot(place, sharex=axes[0] if axes else None)
        first, stop = np.searchsorted(y, [low - 1e-6, high + 1e-6])
        stop = min(stop, len(y) - 1)
        first = max(first - 1, 0)
        mesh = ax.pcolormesh(
            x, y[first : stop + 1], density[:, first:stop].T, cmap=cmap, norm=norm,
            rasterized=True,
        )  # fmt: skip
        ax.set_ylim(low, high)
        ax.set_xlim(x[0], x[-1])
        ax.set_facecolor(GREY)
        ax.tick_params(labelbottom=False)
        axes.append(ax)
    letter(axes[0], "a")
    _axis_gaps(axes, ends=(0, 1))
    axes[len(axes) // 2].set_ylabel("emission energy (eV)")
    for ax in axes:
        _overlays(ax, snapshot)
    colours = window_colours(snapshot.windows)
    for name, spectrum in snapshot.spectra.items():
        axes[0].plot(
            np.clip([spectrum.window.low, spectrum.window.high], x[0], x[-1]), [1.0, 1.0],
            transform=axes[0].get_xaxis_transform(), lw=6, color=colours[name],
            solid_capstyle="butt", clip_on=False, zorder=4,
        )  # fmt: skip
    if snapshot.under_way is not None:
        axes[0].plot(
            snapshot.energies[snapshot.under_way.index], 1.0, "v", ms=7, color=WARNING,
            transform=axes[0].get_xaxis_transform(), clip_on=False, zorder=6,
        )  # fmt: skip
    bar = figure.colorbar(
        mesh, cax=figure.add_subplot(bar_place), orientation="horizontal", extend="max"
    )
    flux = "at the mean flux" if snapshot.normalised else "not normalised: no I0"
    bar.set_label(f"photons / s / eV, {flux} (√ scale)")
    bar.ax.xaxis.set_ticks_position("top")
    bar.ax.xaxis.set_label_position("top")
    bar.outline.set_linewidth(0.6)
    if not np.isfinite(density).any():
        bar.set_ticks([])
    return axes


def _upper(values: NDArray) -> float:
    finite = values[np.isfinite(values)]
    return max(float(np.percentile(finite, 99.95)), 1e-3) if finite.size else 1.0


def _axis_gaps(axes: list[Axes], ends: tuple[int, ...]) -> None:
    """Mark where the emission axis jumps."""
    for upper, lower in zip(axes[:-1], axes[1:], strict=True):
        upper.spines["bottom"].set_linestyle((0, (2, 3)))
        lower.spines["top"].set_linestyle((0, (2, 3)))
        upper.tick_params(bottom=False, which="both")
        for ax, at in ((upper, 0.0), (lower, 1.0)):
            ax.plot(
                ends, [at] * len(ends), transform=ax.transAxes, clip_on=False, ls="none", color="k",
                marker=[(-1, -0.6), (1, 0.6)], ms=7, mew=0.9, zorder=6,
            )  # fmt: skip


def _overlays(ax: Axes, snapshot: RixsSnapshot) -> None:
    """Elastic line and windows, on one part of the map."""
    low, high = ax.get_ylim()
    left, right = ax.get_xlim()
    ends = max(low, left), min(high, right)
    if ends[1] > ends[0]:
        ax.plot(ends, ends, color="w", lw=1.0, ls=(0, (5, 3)), alpha=0.9)
        ax.annotate(
            "elastic", (ends[1], ends[1]), (-4, -9), textcoords="offset points", color="w",
            fontsize=8, ha="right", va="top",
        )  # fmt: skip
    colours = window_colours(snapshot.windows)
    for key, found in snapshot.yields.items():
        window = found.window
        if window.kind == "TFY" or window.high <= low or window.low >= high:
            continue
        if window.kind == "sPFY":
            for edge in (window.low, window.high):
                ax.axhline(edge, color="w", lw=0.8, ls=":")
        ax.plot(
            [1.0, 1.0], [window.low, window.high], transform=ax.get_yaxis_transform(), lw=6,
            color=colours[key], solid_capstyle="butt", clip_on=False, zorder=4,
        )  # fmt: skip


def _spectra(figure: Figure, places: list[Any], maps: list[Axes], snapshot: RixsSnapshot) -> None:
    """Emission spectra at the chosen excitations, beside the map and on its axis."""
    colours = window_colours(snapshot.windows)
    axes: list[Axes] = []
    for place, beside in zip(places, maps, strict=True):
        ax = figure.add_subplot(place, sharey=beside, sharex=axes[0] if axes else None)
        ax.tick_params(labelleft=False, bottom=False, labelbottom=False)
        ax.spines[["bottom", "right"]].set_visible(False)
        axes.append(ax)
    axes[0].tick_params(top=True, labeltop=True)
    axes[0].xaxis.set_label_position("top")
    axes[0].set_xlabel("photons / s / eV")
    letter(axes[0], "b")
    _axis_gaps(axes, ends=(0,))
    energy, step = snapshot.bins.centers, snapshot.bins.step
    drawn = False
    for key, spectrum in snapshot.spectra.items():
        known = np.isfinite(spectrum.value)
        drawn |= bool(known.any())
        for ax in axes:
            low, high = ax.get_ylim()
            here = known & (energy > low) & (energy < high)
            ax.errorbar(
                spectrum.value[here] / step, energy[here], xerr=spectrum.sigma[here] / step,
                fmt="-o", ms=2.2, lw=0.9, elinewidth=0.7, color=colours[key],
                label=f"XES at {spectrum.window.low:g}–{spectrum.window.high:g} eV",
            )  # fmt: skip
    for ax in axes:
        ax.margins(x=0.03)
    for ax in axes[1:]:
        ax.spines["top"].set_visible(False)
    if drawn:
        axes[0].legend(loc="upper right", fontsize=8, frameon=False, borderaxespad=0.2)
    else:
        axes[0].set_xticks([])
        note(axes[0], "no emission spectrum yet" if snapshot.spectra else "no XES window")


def _large_spectra(ax: Axes, snapshot: RixsSnapshot) -> None:
    """Emission spectra with room, where there are no yields: what a XES run is about."""
    plain(ax)
    ax.set_xlabel("emission energy (eV)")
    ax.set_ylabel("photons / s / eV")
    colours = window_colours(snapshot.windows)
    low, high = snapshot.emission_ranges[0][0], snapshot.emission_ranges[-1][1]
    centers, step = snapshot.bins.centers, snapshot.bins.step
    for name, spectrum in snapshot.spectra.items():
        here = np.isfinite(spectrum.value) & (centers > low) & (centers < high)
        if here.any():
            label = f"{window_label(spectrum.window)}, {int(spectrum.counts[here].sum())} photons"
            ax.errorbar(
                centers[here], spectrum.value[here] / step, spectrum.sigma[here] / step, fmt="-o",
                ms=2.6, lw=0.9, elinewidth=0.8, color=colours[name], label=label,
            )  # fmt: skip
    if ax.get_legend_handles_labels()[0]:
        ax.legend(loc="upper right", fontsize=8.5, frameon=False)
    else:
        ax.set_yticks([])
        note(ax, "no window for a yield, no emission spectrum")


def _yield(ax: Axes, snapshot: RixsSnapshot, name: str, colour: str) -> None:
    """One yield over the excitation energy with its error bars."""
    found = snapshot.yields[name]
    plain(ax)
    order = np.argsort(found.energies)
    energy, value, sigma = (a[order] for a in (found.energies, found.value, found.sigma))
    known = np.isfinite(value)
    inverse = found.window.kind == "iPFY"
    if inverse:
        value, sigma = 1e3 * value, 1e3 * sigma
    ax.set_ylabel("ms / photon" if inverse else "photons / s", fontsize=8.5)
    ax.tick_params(axis="y", labelsize=8.5)
    ax.yaxis.set_major_locator(_few())
    label = window_label(found.window)
    words = _words(snapshot, name)
    if known.any():
        ax.errorbar(energy, value, sigma, fmt="-o", ms=2.2, lw=0.8, elinewidth=0.7, color=colour)
        feature = snapshot.features.get(name)
        if feature is not None and np.isfinite(feature.profile).any():
            low, high = feature.excitation
            inside = (energy >= low) & (energy <= high)
            share = np.where(inside, value - feature.profile[order], np.nan)
            ax.plot(energy, share, color="0.35", lw=0.9, ls=(0, (4, 2)), zorder=1)
            ax.fill_between(energy, share, value, where=share < value, color=colour, alpha=0.2)
            ax.plot([], [], color="0.35", lw=0.9, ls=(0, (4, 2)), label="share of the PFY")
            ax.legend(loc="lower right", fontsize=8, frameon=False, borderaxespad=0.2)
        label += "   " + (words or _largest(energy, value, sigma))
        low, high = ax.get_ylim()
        ax.set_ylim(low, high + 0.2 * (high - low))  # room for the label
    else:
        ax.set_yticks([])
        note(ax, words if found.refused.any() else "no point measured yet")
    ax.set_title(label, loc="right", fontsize=8.5, color=colour, y=1.0, pad=-9)


def _largest(energy: NDArray, value: NDArray, sigma: NDArray) -> str:
    """Where a yield is largest; noise has no such place."""
    top = find_maximum(energy, value, sigma)
    if top.found:
        return f"max at {measured(top.energy_ev, top.sigma_ev)} eV ({top.significance:.0f} σ)"
    if top.significance < SIGNIFICANT:
        return f"no maximum ({top.significance:.1f} σ)"
    return f"no maximum: {top.reason}"


def _few() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4, steps=[1, 2, 5, 10])


def _words(snapshot: RixsSnapshot, name: str) -> str:
    """What is to be said of a yield besides its values."""
    found = snapshot.yields[name]
    if found.refused.any():
        measured_at = int((found.coverage > 0).sum())
        return f"refused at {int(found.refused.sum())} of {measured_at} points: {found.reason}"
    feature = snapshot.features.get(name)
    if feature is None:
        return ""
    if not np.isfinite(feature.significance):
        return f"feature: {feature.reason}"
    excess = measured(feature.excess, feature.excess_sigma)
    told = "feature at" if feature.found else "no feature:"
    return f"{told} {feature.significance:.1f} σ, {excess} photons beyond the PFY's share"


def _heading(snapshot: RixsSnapshot) -> str:
    parts = [snapshot.title] if snapshot.title else []
    if snapshot.points_done < snapshot.points_total:
        parts.append(f"{snapshot.points_done} of {snapshot.points_total} points")
    parts.append(f"{snapshot.passes} pass{'es' if snapshot.passes != 1 else ''}")
    now = snapshot.under_way
    if now is not None:
        parts.append(f"{snapshot.energies[now.index]:g} eV under way, pass {now.ipass + 1}")
    parts.append(f"{snapshot.photons:,} photons".replace(",", "\u2009"))
    if snapshot.uid:  # files do not know
        gone = "lost" if snapshot.finished else "missing so far"
        parts.append(f"{snapshot.late} late, {snapshot.lost} {gone}")
    lines = [" · ".join(parts)]
    if snapshot.message:
        lines.append(snapshot.message)
    return "\n".join(lines)
