"""The picture of a titration: voltage, the fits, and D over the state of charge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..analysis.kinetics import Titration
from ..inputs import printable
from ._columns import Columns

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Abscissa", "draw_gitt"]

VOLTAGE, REFUSED = "#0072b2", "#c1121f"
SHADES = ("#440154", "#21908c", "#bb8a00")  # early, middle, late
MOST_POINTS = 20_000


@dataclass(frozen=True)
class Abscissa:
    """Where each pulse stands.

    Attributes
    ----------
    label : str
        What the values are.
    values : numpy.ndarray of float64 [pulses]
    """

    label: str
    values: NDArray[np.float64]


def draw_gitt(
    figure: Figure, data: Columns, found: Sequence[Titration], places: Abscissa, title: str
) -> None:
    """Draw voltage with one step enlarged, E against √t with its lines, and D.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 13 x 4.6 inches suit it.
    data : Columns
    found : sequence of Titration
    places : Abscissa
        For D.
    title : str
    """
    figure.clear()
    figure.set_layout_engine("constrained", w_pad=0.08)
    profile, fits, diffusion = figure.subplots(1, 3)
    shown = _three(found)
    _profile(profile, data, found, shown)
    _fits(fits, data, found, shown)
    _diffusion(diffusion, found, places)
    for ax, name in ((profile, "a"), (fits, "b"), (diffusion, "c")):
        ax.set_title(f"({name})", loc="left", weight="bold", fontsize=10)
        ax.spines[["top", "right"]].set_visible(False)
    refused = sum(bool(x.refused) for x in found)
    told = f", {refused} refused" if refused else ""
    name = printable(title).replace("$", r"\$")
    figure.suptitle(f"{name}: {len(found)} pulses{told}", fontsize=11)


def _three(found: Sequence[Titration]) -> list[int]:
    """First, middle and last of the pulses that have a D, else of those whose fit has a slope."""
    usable = [k for k, x in enumerate(found) if not x.refused]
    usable = usable or [k for k, x in enumerate(found) if x.points and x.slope]
    return sorted({usable[0], usable[len(usable) // 2], usable[-1]}) if usable else []


def _profile(ax: Axes, data: Columns, found: Sequence[Titration], shown: Sequence[int]) -> None:
    hours = (data.time - data.time[0]) / 3600
    ends = [e for x in found for e in (x.pulse.on.start - 1, x.pulse.on.start, x.pulse.on.stop - 1)]
    some = np.linspace(0, len(hours) - 1, min(len(hours), MOST_POINTS)).astype(int)
    some = np.unique([*some, *(max(e, 0) for e in ends)])
    ax.plot(hours[some], data.voltage[some], color=VOLTAGE, lw=0.8)
    ax.set_xlabel("time (h)")
    ax.set_ylabel("cell voltage (V)")
    low, high = ax.get_ylim()
    ax.set_ylim(low - 0.85 * (high - low), high)
    if shown:
        _step(ax.inset_axes((0.3, 0.13, 0.66, 0.33)), data, found[shown[len(shown) // 2]])


def _step(ax: Axes, data: Columns, x: Titration) -> None:
    """One step, with the names of the formula."""
    pulse = x.pulse
    first, last = pulse.rest_before, pulse.rest_after
    begin = max(first.start, pulse.on.start - 1) if first.stop else pulse.on.start
    stop = last.stop or pulse.on.stop
    before = slice(first.start, first.stop)
    t0 = pulse.start
    inside = slice(begin, stop)
    time = (data.time - t0) / 3600
    lead = before if before.stop else inside
    width = float(time[stop - 1] - time[pulse.on.start])
    near = time[lead] > -0.15 * width
    ax.plot(time[lead][near], data.voltage[lead][near], color=VOLTAGE, lw=1.0)
    ax.plot(time[inside], data.voltage[inside], color=VOLTAGE, lw=1.0)
    end = float(time[stop - 1])
    if np.isfinite(x.step):
        arrow = {"arrowstyle": "<->", "lw": 0.8, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (end, x.level + x.step), (end, x.level), arrowprops=arrow)
        ax.axhline(x.level, color="0.6", lw=0.6, ls=":")
        ax.annotate("ΔE$_s$ ", (end, x.level + x.step / 2), ha="right", va="center", fontsize=8)
    if np.isfinite(x.ir):
        ax.plot([0, 0], [x.level, x.level + x.ir], color=REFUSED, lw=1.6)
        ax.annotate("IR ", (0, x.level + x.ir / 2), ha="right", va="center", fontsize=8,
                    color=REFUSED)  # fmt: skip
    tau = pulse.duration / 3600
    ax.axvspan(0, tau, color="0.92", lw=0, zorder=0)
    ax.annotate("τ", (tau / 2, 0.02), xycoords=("data", "axes fraction"), ha="center", fontsize=8)
    ax.tick_params(labelsize=7)
    ax.set_xlabel("time from switching on (h)", fontsize=7, labelpad=1)
    ax.ticklabel_format(useOffset=False)
    ax.spines[["top", "right"]].set_visible(False)
    ax.margins(y=0.15)


def _fits(ax: Axes, data: Columns, found: Sequence[Titration], shown: Sequence[int]) -> None:
    if not shown:
        ax.text(0.5, 0.5, "no pulse has a fit with a slope", ha="center", va="center",
                transform=ax.transAxes, color="0.45", fontsize=9)  # fmt: skip
    for k, colour in zip(shown, SHADES, strict=False):
        x = found[k]
        t = data.time[x.pulse.on] - x.pulse.start
        near = (t <= 1.6 * x.window[1]) & (t >= 0)
        some = np.unique(np.linspace(0, near.sum() - 1, min(int(near.sum()), 60)).astype(int))
        root, volts = np.sqrt(t[near][some]), data.voltage[x.pulse.on][near][some]
        rise = x.slope * np.sqrt(x.window[1])
        ax.plot(root, (volts - x.intercept) / rise, ".", ms=4, color=colour, alpha=0.6)
        ends = np.sqrt(x.window)
        label = (
            f"pulse {k + 1}: R² = {x.r2:.3f}, {x.window[0]:.3g} to {x.window[1]:.3g} s, "
            f"{1e3 * x.slope:.2g} mV/√s"
        )
        ax.plot(ends, x.slope * ends / rise, color=colour, lw=1.5, label=label)
    if shown:
        ax.legend(fontsize=8, frameon=False)
    ax.set_xlabel("√t (√s)")
    ax.set_ylabel("(E − E of the line at √t = 0) / rise of the line")


def _diffusion(ax: Axes, found: Sequence[Titration], places: Abscissa) -> None:
    good = np.array([not x.refused for x in found])
    d = np.array([x.d for x in found])
    sigma = np.array([x.sigma for x in found])
    ax.set_xlabel(places.label, fontsize=9)
    ax.set_ylabel("D (m² s⁻¹)")
    if good.any():
        value, error = d[good], sigma[good] / d[good]
        bars = np.abs([value * (1 - np.exp(-error)), value * (np.exp(error) - 1)])
        ax.set_yscale("log")
        ax.errorbar(places.values[good], value, bars, fmt="o", ms=4, lw=0.8, color=VOLTAGE,
                    label="σ of ln D: noise, and the choice of the window")  # fmt: skip
        low, high = (value - bars[0]).min(), (value + bars[1]).max()
        ax.set_ylim(low / 2, high * 2)
        right = ax.secondary_yaxis("right", functions=(_to_cm2, _to_m2))
        right.set_ylabel("D (cm² s⁻¹)")
    else:
        ax.text(0.5, 0.5, "every pulse is refused", ha="center", va="center",
                transform=ax.transAxes, color="0.45", fontsize=9)  # fmt: skip
        ax.set_yticks([])
    if not good.all():
        ax.plot(places.values[~good], np.full((~good).sum(), 0.02), "x", ms=5, color=REFUSED,
                transform=ax.get_xaxis_transform(), label="refused")  # fmt: skip
    if good.any() or not good.all():
        ax.legend(fontsize=8, frameon=False)


def _to_cm2(d: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(d, float) * 1e4


def _to_m2(d: ArrayLike) -> NDArray[np.float64]:
    return np.asarray(d, float) * 1e-4
