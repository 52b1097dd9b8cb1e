"""Pictures of a calibration and of the oxygen channel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..documents import Window
from ._calibrations import Calibrated
from ._scans import BINS, INVERSE, Dip, Scan

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_calibration", "draw_inverse"]

GOOD, BAD = "#0072b2", "#c1121f"
STEP_EV = 1.0
SHOWN_EV = 6.0


def draw_calibration(figure: Figure, made: Calibrated) -> None:
    """Draw the summed spectrum, each pixel's, residuals of the lines and the elastic lines.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 12 x 9 inches suit it.
    made : Calibrated
    """
    figure.clear()
    figure.set_layout_engine("constrained", h_pad=0.05, w_pad=0.06)
    grid = figure.add_gridspec(3, 2, height_ratios=[1.25, 1.15, 1.0])
    top = max([x.energy_ev for p in made.calibration.pixels for x in p.lines], default=1000.0)
    edges = np.arange(220.0, top + 40.0 + STEP_EV, STEP_EV)
    spectra = _spectra(made, edges)
    ok = np.array([p.ok for p in made.calibration.pixels])
    total = figure.add_subplot(grid[0, :])
    _total(total, made, edges, spectra[ok].sum(0) if ok.any() else spectra.sum(0))
    _pixels(figure.add_subplot(grid[1, :], sharex=total), made, edges, spectra)
    _residuals(figure.add_subplot(grid[2, 0]), made)
    _elastic(figure.add_subplot(grid[2, 1]), made)
    c = made.calibration
    figure.suptitle(
        f"Calibration {made.name}: {len(c.usable)} of {len(c.pixels)} pixels usable, "
        + f"{len(made.photons):,} photons".replace(",", "\u2009"),
        fontsize=12,
    )


def _spectra(made: Calibrated, edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """Spectrum of each pixel by its own curve, good or not, [pixels, bins]."""
    rows = []
    for p in made.calibration.pixels:
        mine = made.photons[made.photons.pixel == p.channel]
        energy = p.energy(mine.filtered, mine.pretrigger) if p.calibrated else np.empty(0)
        rows.append(np.histogram(energy, edges)[0])
    return np.array(rows)


def _total(
    ax: Axes, made: Calibrated, edges: NDArray[np.float64], spectrum: NDArray[np.int64]
) -> None:
    ax.stairs(np.maximum(spectrum, 0.5), edges, color="k", lw=0.9)
    ax.set_yscale("log")
    ax.set_ylabel(f"photons / {STEP_EV:g} eV")
    high = float(spectrum.max(initial=1))
    ax.set_ylim(0.7, high * 12)
    shifts = made.calibration.line_shifts
    last = -math.inf
    for line in made.lines:
        if line.energy_ev > edges[-1]:
            continue
        used = line.name in shifts
        at = line.energy_ev + shifts.get(line.name, 0.0)
        ax.axvline(at, color=GOOD if used else "0.7", lw=0.8, ls="-" if used else ":", zorder=0)
        near = at - last < 36
        ax.annotate(
            line.name.replace("La", "Lα").replace("Lb", "Lβ"), (at, high * (2.0 if near else 6.0)),
            (2, 0), textcoords="offset points", fontsize=8, color=GOOD if used else "0.5",
            va="top",
        )  # fmt: skip
        last = -math.inf if near else at
    if made.log.mono_ev is not None:
        ax.axvline(made.log.mono_ev, color="#d55e00", lw=1.0, ls=(0, (4, 2)), zorder=0)
        ax.annotate(
            "elastic", (made.log.mono_ev, high * 6), (2, 0), textcoords="offset points",
            fontsize=8, color="#d55e00", va="top",
        )  # fmt: skip
    ax.set_title("usable pixels together; lines where the calibration has them", fontsize=9)
    ax.tick_params(labelbottom=False)


def _pixels(
    ax: Axes, made: Calibrated, edges: NDArray[np.float64], spectra: NDArray[np.int64]
) -> None:
    """Every pixel's spectrum as a row; refused ones are marked."""
    rows = np.sqrt(spectra / np.maximum(spectra.max(1, keepdims=True), 1))
    n = len(rows)
    ax.pcolormesh(edges, np.arange(n + 1) - 0.5, rows, cmap="magma", vmin=0, vmax=1,
                  rasterized=True)  # fmt: skip
    ax.set_xlabel("energy (eV)")
    ax.set_xlim(edges[0], edges[-1])
    ax.invert_yaxis()
    pixels = made.calibration.pixels
    for k, p in enumerate(pixels):
        if not p.ok:
            ax.plot([1.003], [k], "<", ms=4, color=BAD, clip_on=False,
                    transform=ax.get_yaxis_transform())  # fmt: skip
    every = max(1, math.ceil(n / 16))
    ax.set_yticks(range(0, n, every), [str(p.channel) for p in pixels[::every]], fontsize=8)
    ax.set_ylabel("channel")
    ax.set_title("each pixel, √ of photons over its largest; ◂ refused", fontsize=9)


def _residuals(ax: Axes, made: Calibrated) -> None:
    names: dict[str, float] = {}
    for p in made.calibration.pixels:
        for x in p.lines:
            names.setdefault(x.name, x.energy_ev)
    order = sorted(names, key=lambda name: names[name])
    rng = np.random.default_rng(0)
    for ok in (True, False):
        for left_out in (False, True):
            found = [
                (order.index(x.name), x.residual_ev)
                for p in made.calibration.pixels
                for x in p.lines
                if p.ok is ok and x.left_out is left_out and abs(x.residual_ev) < SHOWN_EV
            ]
            if found:
                at, residual = np.transpose(found)
                ax.plot(
                    at + rng.uniform(-0.22, 0.22, len(at)), residual, "x" if left_out else "o",
                    ms=3.5, mew=0.8, alpha=0.75, ls="none", color=GOOD if ok else BAD,
                )  # fmt: skip
    ax.axhline(0, color="0.5", lw=0.8)
    shifts = made.calibration.line_shifts
    labels = [f"{n.replace('La', 'Lα')}\n{round(shifts.get(n, 0.0), 1) + 0.0:+.1f}" for n in order]
    ax.set_xticks(range(len(order)), labels, fontsize=8)
    ax.set_ylabel("residual (eV)")
    ax.set_title("lines, and by how much (eV) they differ from the table", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)


def _elastic(ax: Axes, made: Calibrated) -> None:
    """Elastic line of each pixel, its bar the resolution."""
    pixels = made.calibration.pixels
    mono = made.log.mono_ev
    if mono is None:
        ax.text(0.5, 0.5, "no elastic line", ha="center", transform=ax.transAxes, color="0.4")
        return
    at = np.array([p.elastic_ev for p in pixels]) - mono
    half = np.nan_to_num(np.array([p.elastic_fwhm_ev for p in pixels])) / 2
    good = np.array([p.ok for p in pixels])
    for which, colour in ((good, GOOD), (~good, BAD)):
        known = np.flatnonzero(which & np.isfinite(at))
        ax.errorbar(known, at[known], half[known], fmt="o", ms=3.5, lw=0.9, color=colour)
    lost = np.flatnonzero(~np.isfinite(at))
    ax.plot(lost, np.zeros(len(lost)), "x", color=BAD)
    ax.set_ylim(-SHOWN_EV, SHOWN_EV)
    ax.axhline(0, color="0.5", lw=0.8)
    ax.axhspan(-1.5, 1.5, color="0.92", zorder=0)
    every = max(1, math.ceil(len(pixels) / 12))
    ax.set_xticks(
        range(0, len(pixels), every), [str(p.channel) for p in pixels[::every]], fontsize=8
    )
    ax.set_xlabel("channel")
    ax.set_ylabel(f"elastic line − {mono:g} eV (eV)")
    ax.set_title("elastic line; bars: its full width at half maximum", fontsize=9)
    ax.spines[["top", "right"]].set_visible(False)


def draw_inverse(figure: Figure, scan: Scan, dip: Dip) -> None:
    """Draw the oxygen K emission over the excitation against the PFY.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Cleared, and drawn on; about 8.5 x 6 inches suit it.
    scan : Scan
    dip : Dip
    """
    figure.clear()
    figure.set_layout_engine("constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[1, 1.3])
    energies = scan.counts.energies
    pfy = scan.counts.yields(scan.pfy)
    upper.errorbar(energies, pfy.value, pfy.sigma, fmt="o-", ms=2, lw=0.8, elinewidth=0.7,
                   color=GOOD)  # fmt: skip
    upper.set_ylabel(f"{scan.pfy} (photons / s)")
    counts, exposure, _, _ = scan.counts.summed()
    n = counts[:, INVERSE.slice(BINS)].sum(1).astype(float)
    # Points are too weak one by one: neighbours are put together, eight or so at a time.
    groups = np.array_split(np.argsort(energies), max(len(energies) // 8, 1))
    x = np.array([energies[g].mean() for g in groups])
    total = np.array([exposure[g].sum() for g in groups])
    found = np.array([n[g].sum() for g in groups])
    lower.errorbar(x, found / total, np.sqrt(np.maximum(found, 1)) / total, fmt="o", ms=4, lw=1,
                   color="#009e73", label="mean of 8 points")  # fmt: skip
    for mask, colour, word in ((dip.off, "0.6", "off the edge"), (dip.on, "#d55e00", "on")):
        rate, error = n[mask].sum() / exposure[mask].sum(), math.sqrt(n[mask].sum())
        error /= exposure[mask].sum()
        lower.axhline(rate, color=colour, lw=1, label=f"{word}: {rate:.2f} ± {error:.2f} / s")
        lower.axhspan(rate - error, rate + error, color=colour, alpha=0.18, lw=0)
    for ax in (upper, lower):
        ax.axvspan(*dip.on_ev, color="#d55e00", alpha=0.12, lw=0)
        ax.spines[["top", "right"]].set_visible(False)
    lower.legend(fontsize=8, frameon=False, ncols=3, loc="upper center")
    low, high = lower.get_ylim()
    lower.set_ylim(low, high + 0.15 * (high - low))
    emission = Window("PFY", INVERSE.low, INVERSE.high)
    lower.set_ylabel(f"O K emission, {emission} (photons / s)")
    lower.set_xlabel("excitation energy (eV)")
    line = f"the {scan.edge or 'absorption'} line"
    number = f"{100 * dip.value:.1f} ± {100 * dip.sigma:.1f} %"
    upper.set_title(
        f"Oxygen K emission dips by {number} on {line}: the inverse yield"
        if dip.seen
        else f"No dip of the oxygen K emission on {line}: {number}, {dip.significance:.1f} σ",
        fontsize=10,
    )
