"""The picture of the heating experiment: surface, bulk, oxygen, temperature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._heat_found import METALS, MOST, MapPair, Pair, Temperature

__all__ = ["draw_heat"]

BEFORE, AFTER = "#0072b2", "#d55e00"  # of Okabe and Ito's palette
_UNIT = {"TEY": "TEY / I0", "TFY": "TFY / I0", "PFY": "PFY (photons/s)", "sPFY": "sPFY (photons/s)"}


def draw_heat(
    figure: Any, pairs: Sequence[Pair], maps: MapPair | None, temperature: Temperature | None
) -> None:
    """Draw everything that was found; panels without data say so.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Empty, best 17 x 19 inches.
    pairs : sequence of Pair
    maps : MapPair, optional
        At O K.
    temperature : Temperature, optional
    """
    found = {(pair.edge, pair.mode): pair for pair in pairs}
    grid = figure.add_gridspec(5, 4, height_ratios=(1, 1, 1, 1.05, 0.62), hspace=0.42, wspace=0.3,
                               left=0.055, right=0.97, top=0.95, bottom=0.04)  # fmt: skip
    figure.suptitle("Charged Li-rich oxide before and after mild heating (simulated beamline)")
    rows = (
        ("surface, electrons", [(edge, "TEY") for edge in (*METALS, "O K")]),
        ("bulk, all fluorescence", [(edge, "TFY") for edge in (*METALS, "O K")]),
        ("bulk, fluorescence of the element", [(edge, "PFY") for edge in (*METALS, "O K")]),
    )
    for row, (title, keys) in enumerate(rows):
        for column, key in enumerate(keys):
            _spectrum(figure, grid[row, column], found.get(key), key, title)
    _maps(figure, [grid[3, column] for column in range(3)], maps)
    _spectrum(figure, grid[3, 3], found.get(("O K", "sPFY")), ("O K", "sPFY"), "oxidised oxygen")
    _temperature(figure.add_subplot(grid[4, :]), temperature)


def _empty(ax: Any, title: str) -> None:
    ax.set_title(title, fontsize=9, loc="left")
    ax.text(0.5, 0.5, "not measured", transform=ax.transAxes, ha="center", va="center", color="0.5")
    ax.set_xticks([])
    ax.set_yticks([])


def _spectrum(figure: Any, cell: Any, pair: Pair | None, key: tuple[str, str], what: str) -> None:
    edge, mode = key
    title = f"{edge} {mode}: {what}"
    if pair is None:
        _empty(figure.add_subplot(cell), title)
        return
    inner = cell.subgridspec(2, 1, height_ratios=(2.4, 1), hspace=0.06)
    top = figure.add_subplot(inner[0])
    low = figure.add_subplot(inner[1], sharex=top)
    for spectrum, colour, label in (
        (pair.before, BEFORE, "before"),
        (pair.after, AFTER, "after"),
    ):
        top.errorbar(spectrum.energy, spectrum.value, spectrum.sigma, color=colour, label=label,
                     lw=1.0, elinewidth=0.6, marker=".", ms=2.5)  # fmt: skip
    found = pair.found
    more = "> " if pair.significance >= MOST else ""
    seen = "changed" if pair.significant else "no change seen"
    change = f"{found.change:+.2f} ± {found.change_sigma:.2g} {found.unit}"
    top.set_title(title, fontsize=9, loc="left")
    top.text(0.02, 0.97, f"{seen}, {more}{pair.significance:.1f} σ\n{change}".replace("-", "−"),
             transform=top.transAxes, fontsize=7.5, va="top",
             color="#c1121f" if pair.significant else "0.25")  # fmt: skip
    top.set_ylabel(_UNIT[mode], fontsize=8)
    top.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
    top.yaxis.get_offset_text().set_fontsize(7)
    top.tick_params(labelbottom=False, labelsize=7)
    top.margins(y=0.28)
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = found.difference / found.sigma
    low.axhspan(-3, 3, color="0.92", lw=0)
    for ax in (top, low):
        ax.axvspan(*pair.window, color="#f0e442", alpha=0.25, lw=0)
    low.axhline(0, color="0.6", lw=0.6)
    low.plot(found.energy, scaled, color="0.15", lw=0.8, marker=".", ms=2.5)
    low.set_ylabel("after − before\n(σ)", fontsize=7)
    low.set_xlabel("photon energy (eV)", fontsize=8)
    low.tick_params(labelsize=7)
    reach = max(4.0, float(np.nanmax(np.abs(scaled), initial=0.0)) * 1.15)
    low.set_ylim(-reach, reach)
    if edge == METALS[0]:
        top.legend(fontsize=7, loc="upper right", frameon=False)


def _maps(figure: Any, cells: Sequence[Any], maps: MapPair | None) -> None:
    titles = ("O K RIXS before", "O K RIXS after", "after − before (3 × 3 cells)")
    axes = [figure.add_subplot(cell) for cell in cells]
    if maps is None:
        for ax, title in zip(axes, titles, strict=True):
            _empty(ax, title)
        return
    top = float(np.nanpercentile(np.concatenate([maps.before, maps.after]), 99.5))
    with np.errstate(invalid="ignore", divide="ignore"):
        scaled = maps.difference / maps.sigma
    reach = max(4.0, float(np.nanpercentile(np.abs(scaled), 99.9)))
    for ax, title, values, cmap, limits, unit in zip(
        axes, titles, (maps.before, maps.after, scaled), ("viridis", "viridis", "RdBu_r"),
        ((0, top), (0, top), (-reach, reach)), ("photons/s/bin", "photons/s/bin", "σ"),
        strict=True,
    ):  # fmt: skip
        mesh = ax.pcolormesh(maps.energies, maps.emission, values.T, cmap=cmap, shading="nearest",
                             vmin=limits[0], vmax=limits[1], rasterized=True)  # fmt: skip
        bar = figure.colorbar(mesh, ax=ax, pad=0.02)
        bar.set_label(unit, fontsize=7)
        bar.ax.tick_params(labelsize=7)
        ax.set_title(title, fontsize=9, loc="left")
        ax.set_xlabel("excitation (eV)", fontsize=8)
        ax.set_ylabel("emission (eV)", fontsize=8)
        ax.tick_params(labelsize=7)


def _temperature(ax: Any, temperature: Temperature | None) -> None:
    if temperature is None or not len(temperature.hours):
        _empty(ax, "temperature")
        return
    ax.plot(temperature.hours, temperature.celsius, color="#b0457f", lw=1.2)
    for phase, hours in temperature.phases.items():  # the last one is at the right edge
        ax.axvline(hours, color="0.6", lw=0.7, ls=":")
        ax.annotate(phase, (hours, 1.0), (-2, -9), xycoords=("data", "axes fraction"), ha="right",
                    textcoords="offset points", fontsize=7, color="0.35")  # fmt: skip
    text = "temperature of the sample"
    if "in_band" in temperature.soak:
        text += (
            f": {temperature.soak['in_band'] / 3600:.2f} h in band, "
            f"{temperature.soak['left_out']:.0f} s left out, "
            f"highest {np.nanmax(temperature.celsius):.2f} °C"
        )
    ax.set_title(text, fontsize=9, loc="left")
    ax.set_xlabel("time (h, of the heating stage)", fontsize=8)
    ax.set_ylabel("T (°C)", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.margins(x=0.01, y=0.12)
