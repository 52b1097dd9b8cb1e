"""The picture of a map: a pure function of a figure and a snapshot."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..analysis import PixelFlag
from ._snapshot import Snapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw", "pretty"]

GREY = "0.78"
REGION = "#d1495b"
HIGH = "k"
_SUPERSCRIPT = str.maketrans("0123456789+-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻")


def pretty(name: str) -> str:
    """Species name with its charge raised: ``Mn4+`` becomes ``Mn⁴⁺``."""
    found = re.fullmatch(r"([A-Z][a-z]?)(\d*[+-])", name)
    return found[1] + found[2].translate(_SUPERSCRIPT) if found else name


def draw(figure: Figure, snapshot: Snapshot) -> None:
    """Draw fraction, its sigma, thickness, and the spectrum of a region with its fit.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 10 x 7 inches suit it.
    snapshot : Snapshot
        What to draw. Masked pixels are grey; those above an optical density of 2 are hatched.
    """
    figure.clear()
    figure.set_layout_engine("constrained", h_pad=0.04, w_pad=0.06, hspace=0.03, wspace=0.03)
    r = snapshot.result
    rows = figure.add_gridspec(2, 1, height_ratios=[1.45, 1.0])
    maps = rows[0].subgridspec(1, 3)
    first = figure.add_subplot(maps[0])
    axes = [first, *(figure.add_subplot(maps[i], sharex=first, sharey=first) for i in (1, 2))]
    name = pretty(snapshot.names[0])
    shown = np.where(r.mask, r.fraction, np.nan)
    _map(
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
    _map(
        axes[1], snapshot, sigma, "plasma", 0.0, _upper(sigma), f"σ of {name} fraction",
        extend="max",
    )  # fmt: skip
    unit, title = ("µm", "Thickness") if snapshot.unit == "1/µm" else ("end members", "Thickness")
    thickness = np.where(np.isfinite(r.thickness), r.thickness, np.nan)
    _map(
        axes[2], snapshot, thickness, "cividis", 0.0, _upper(thickness, 99.5),
        f"{title} ({unit})", extend="max",
    )  # fmt: skip
    for ax, letter in zip(axes, "abc", strict=True):
        _letter(ax, letter)
        ax.set_xlabel(_axis("x", snapshot.x))
    axes[0].set_ylabel(_axis("y", snapshot.y))
    for ax in axes[1:]:
        ax.tick_params(labelleft=False)
    _marks(axes[0], snapshot, hatch=True)
    for ax in axes[1:]:
        _marks(ax, snapshot, hatch=False)
    _legend(figure, snapshot)
    lower = rows[1].subgridspec(1, 2, width_ratios=[2.4, 1.0])
    _spectrum(figure, lower[0], snapshot)
    _histogram(figure.add_subplot(lower[1]), snapshot, name)
    figure.suptitle(_heading(snapshot), fontsize=11)


def _origin(values: NDArray[np.float64]) -> float:
    """Offset to leave out of tick labels: stage positions far from zero are unreadable."""
    span = float(np.ptp(values)) or 1.0
    return float(values.min()) if abs(values).max() > 20 * span else 0.0


def _axis(name: str, values: NDArray[np.float64]) -> str:
    offset = _origin(values)
    if offset == 0:
        return f"{name} (µm)"
    return f"{name} {'+' if offset < 0 else '−'} {abs(offset):.1f} (µm)"


def _extent(snapshot: Snapshot) -> tuple[float, float, float, float]:
    """Edges of the image in µm from measured pixel centres, y upwards."""
    edges = []
    for values in (snapshot.x, snapshot.y):
        step = (values[-1] - values[0]) / max(len(values) - 1, 1) or 1.0
        offset = _origin(values)
        edges += [values[0] - step / 2 - offset, values[-1] + step / 2 - offset]
    return edges[0], edges[1], edges[2], edges[3]


def _upper(values: NDArray, percentile: float = 98.0) -> float:
    finite = values[np.isfinite(values)]
    return max(float(np.percentile(finite, percentile)), 1e-6) if finite.size else 1.0


def _beyond(values: NDArray) -> str:
    below = bool((values < 0).any())
    above = bool((values > 1).any())
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]


def _map(
    ax: Axes,
    snapshot: Snapshot,
    values: NDArray,
    colours: str,
    low: float,
    high: float,
    label: str,
    extend: str,
) -> None:
    from matplotlib import colormaps

    cmap = colormaps[colours].with_extremes(bad=GREY)
    left, right, first, last = _extent(snapshot)
    image = ax.imshow(
        values, origin="lower", extent=(left, right, first, last), cmap=cmap, vmin=low, vmax=high,
        interpolation="none",
    )  # fmt: skip
    if first > last:
        ax.invert_yaxis()
    bar = ax.figure.colorbar(
        image, ax=ax, location="top", shrink=0.94, pad=0.02, aspect=28, extend=extend
    )
    bar.set_label(label)
    bar.outline.set_linewidth(0.6)


def _letter(ax: Axes, letter: str) -> None:
    ax.text(
        0.0, 1.0, f" {letter} ", transform=ax.transAxes, weight="bold", va="top", ha="left",
        bbox={"facecolor": "w", "edgecolor": "none", "pad": 1.2, "alpha": 0.85},
    )  # fmt: skip


def _marks(ax: Axes, snapshot: Snapshot, hatch: bool) -> None:
    """Outline the region, and hatch what is above an optical density of 2."""
    r = snapshot.result
    offset_x, offset_y = _origin(snapshot.x), _origin(snapshot.y)
    x, y = snapshot.x - offset_x, snapshot.y - offset_y
    high = (r.flags & PixelFlag.HIGH_OD).astype(bool) & r.mask
    if min(high.shape) < 2:
        return
    if hatch and high.any():
        hatched = ax.contourf(x, y, high, levels=[0.5, 1.5], colors="none", hatches=["////"])
        hatched.set(edgecolor=(0.0, 0.0, 0.0, 0.45), linewidth=0.0)  # the colour below must show
        ax.contour(x, y, high, levels=[0.5], colors="w", linewidths=1.2)
        ax.contour(x, y, high, levels=[0.5], colors=HIGH, linewidths=0.6)
    if snapshot.region is not None and snapshot.region.any():
        ax.contour(x, y, snapshot.region, levels=[0.5], colors="w", linewidths=2.4)
        ax.contour(x, y, snapshot.region, levels=[0.5], colors=REGION, linewidths=1.2)


def _legend(figure: Figure, snapshot: Snapshot) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    r = snapshot.result
    handles: list[Any] = [Patch(facecolor=GREY, edgecolor="0.5", label="masked")]
    if ((r.flags & PixelFlag.HIGH_OD).astype(bool) & r.mask).any():
        handles.append(Patch(facecolor="w", edgecolor=HIGH, hatch="////", label="OD > 2"))
    if snapshot.region is not None and snapshot.region.any():
        handles.append(Line2D([], [], color=REGION, lw=1.4, label="region"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8,
        frameon=False, handlelength=1.4, columnspacing=1.6,
    )  # fmt: skip


def _spectrum(figure: Figure, place: Any, snapshot: Snapshot) -> None:
    grid = place.subgridspec(2, 1, height_ratios=[3, 1], hspace=0.02)
    ax = figure.add_subplot(grid[0])
    below = figure.add_subplot(grid[1], sharex=ax)
    ax.tick_params(labelbottom=False)
    ax.set_ylabel("optical density")
    below.set_ylabel("residual")
    below.set_xlabel("photon energy (eV)")
    _letter(ax, "d")
    for each in (ax, below):
        each.spines[["top", "right"]].set_visible(False)
    s = snapshot.spectrum
    if s is None:
        ax.text(
            0.5, 0.5, "no region measured yet", transform=ax.transAxes, ha="center", color="0.5"
        )
        return
    energy = s.energies
    order = np.argsort(energy)
    ax.errorbar(
        energy, s.od, s.sigma, fmt="o", ms=2.6, lw=0.8, color="0.25",
        label=f"region, {s.n_pixels} px",
    )  # fmt: skip
    ax.plot(energy[order], s.fit[order], color=REGION, lw=1.4, label="fit", zorder=3)
    ax.margins(x=0.01)
    name = pretty(snapshot.names[0])
    text = f"{name} fraction {s.fraction:.3f} ± {s.fraction_sigma:.3f} (stat.)"
    if np.isfinite(s.chi2):
        text += f"\nreduced χ² = {s.chi2:.3g}"
    ax.legend(title=text, fontsize=8, title_fontsize=8, frameon=False, loc="upper right")
    below.axhline(0, color=REGION, lw=1.0)
    below.errorbar(energy, s.od - s.fit, s.sigma, fmt="o", ms=2.2, lw=0.7, color="0.25")


def _histogram(ax: Axes, snapshot: Snapshot, name: str) -> None:
    r = snapshot.result
    values = r.fraction[r.mask]
    ax.spines[["top", "right"]].set_visible(False)
    ax.set_xlabel(f"{name} fraction")
    ax.set_ylabel("pixels")
    _letter(ax, "e")
    if not values.size:
        return
    low, high = np.percentile(values, [0.5, 99.5])
    low, high = min(low, 0.0), max(high, 1.0)
    ax.hist(values, bins=50, range=(low, high), color="0.45")
    ax.set_xlim(low, high)
    note = f"{r.mean:.3f} ± {r.std:.3f}\nn = {r.n_mask} px\nmedian σ {r.sigma_median:.3f}"
    ax.text(0.16, 0.97, note, transform=ax.transAxes, va="top", fontsize=8)


def _heading(snapshot: Snapshot) -> str:
    parts = [snapshot.title] if snapshot.title else []
    if snapshot.lines_total:
        done, total = snapshot.lines_done, snapshot.lines_total
        if done < total:
            parts.append(f"{done} of {total} lines")
        missed = snapshot.lines.get("MISSED", 0)
        if missed:
            parts.append(f"{missed} missed")
    if snapshot.message:
        parts.append(snapshot.message)
    return " · ".join(parts)
