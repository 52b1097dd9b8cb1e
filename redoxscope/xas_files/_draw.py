"""Picture of spectra in files: the normalised curves, and where their edges are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ..analysis.xas import Normalised
    from ._found import Found

__all__ = ["draw_files"]

MOST_NAMES = 14
AROUND = (-20.0, 60.0)
"""Energies (eV from the edge) that are drawn of a spectrum that reaches far."""


def draw_files(
    figure: Figure, found: Sequence[Found], *, aligned: bool, mean: Normalised | None = None
) -> None:
    """Draw normalised spectra and positions of their edges.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Is cleared.
    found : sequence of Found
    aligned : bool
        Whether energies were moved: the positions before are drawn, too.
    mean : Normalised, optional
        Average of them.
    """
    from matplotlib import colormaps

    figure.clear()
    left, right = figure.subplots(1, 2, width_ratios=(1.25, 1.0))
    colours = colormaps["viridis"](np.linspace(0.0, 0.88, max(len(found), 2)))
    _curves(left, found, colours, aligned, mean)
    _positions(right, found, colours, aligned)
    figure.subplots_adjust(left=0.06, right=0.985, bottom=0.1, top=0.95, wspace=0.33)


def _plain(text: str) -> str:
    return text.replace("$", r"\$")


def _curves(
    ax: Axes, found: Sequence[Found], colours: Any, aligned: bool, mean: Normalised | None
) -> None:
    kinds = set()
    edges = []
    for each, colour in zip(found, colours, strict=False):
        if each.normalised is None:
            continue
        spectrum = each.normalised.spectrum
        kinds.add(each.normalised.to)
        edges.append(each.normalised.e0)
        ax.fill_between(
            spectrum.energy,
            spectrum.value - spectrum.sigma,
            spectrum.value + spectrum.sigma,
            color=colour,
            alpha=0.25,
            lw=0,
        )
        ax.plot(spectrum.energy, spectrum.value, color=colour, lw=1.0, label=_plain(each.name))
    if mean is not None:
        spectrum = mean.spectrum
        ax.plot(spectrum.energy, spectrum.value, color="k", lw=1.0, ls=(0, (4, 2)), label="average")
    if edges and np.ptp(edges) < AROUND[1] and "step" in kinds:
        ax.set_xlim(min(edges) + AROUND[0], max(edges) + AROUND[1])
    unit = {"step": "edge step = 1", "maximum": "maximum = 1", "area": "area = 1"}
    told = " or ".join(unit.get(kind, "not normalised") for kind in sorted(kinds))
    ax.set_ylabel(f"absorption ({told or 'no edge found'})")
    ax.set_xlabel("photon energy (eV)" + (", aligned" if aligned else ""))
    if 0 < len(edges) <= MOST_NAMES:
        ax.legend(fontsize=7.5, frameon=False, loc="lower right")
    ax.spines[["top", "right"]].set_visible(False)


def _positions(ax: Axes, found: Sequence[Found], colours: Any, aligned: bool) -> None:
    place = np.arange(len(found))[::-1]
    for method, marker, filled in (("integral", "o", True), ("half_height", "s", False)):
        for y, each, colour in zip(place, found, colours, strict=False):
            position = each.positions.get(method)
            if position is None or not position.found:
                continue
            error = position.sigma_ev
            if method == "integral":
                error = float(np.hypot(error, np.nan_to_num(each.normalisation_ev)))
            ax.errorbar(
                position.energy_ev,
                y,
                xerr=np.nan_to_num(error),
                fmt=marker,
                ms=5,
                color=colour,
                mfc=colour if filled else "w",
                capsize=2,
            )
            if aligned and method == "integral":
                ax.plot(position.energy_ev - each.shift, y, "x", ms=5, color="0.55")
    ax.plot([], [], "o", color="0.3", label="integral (σ and choice of range)")
    ax.plot([], [], "s", color="0.3", mfc="w", label="half height (σ)")
    if aligned:
        ax.plot([], [], "x", color="0.55", label="integral, as measured")
    ax.legend(
        fontsize=7.5, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3,
        handletextpad=0.3, columnspacing=1.0,
    )  # fmt: skip
    ax.set_yticks(place, [_plain(each.name) for each in found], fontsize=8)
    ax.set_ylim(-0.7, len(found) - 0.3)
    ax.set_xlabel("energy of the edge (eV)")
    ax.ticklabel_format(axis="x", useOffset=False)
    ax.grid(axis="x", color="0.9")
    ax.spines[["top", "right"]].set_visible(False)
