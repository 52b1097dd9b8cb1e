"""Pictures of what calibrations found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["draw"]

MEASURED, FITTED, BEFORE = "#222222", "#d55e00", "#0072b2"


def draw(proposal: Any) -> Figure:
    """What was measured, the fit, and what is proposed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    {"energy": _energy, "focus": _focus, "aperture": _aperture}[proposal.kind](figure, proposal)
    figure.suptitle(repr(proposal).split("\n", 1)[0].rstrip(":"), fontsize=10)
    return figure


def _energy(figure: Figure, proposal: Any) -> None:
    shift = proposal.found
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    as_read, true = shift.energies, shift.energies + shift.shift
    left.errorbar(
        true, shift.values, shift.values_sigma, fmt="o", ms=3, color=MEASURED, label="moved"
    )
    left.plot(as_read, shift.values, ".", ms=3, color=BEFORE, alpha=0.5, label="as read")
    left.plot(true, shift.fitted, color=FITTED, label=" + ".join(shift.names))
    left.set(xlabel="energy (eV)", ylabel="optical density")
    left.legend(fontsize=8)
    right.semilogy(shift.tried, shift.misfit, color=MEASURED)
    right.axvline(shift.shift, color=FITTED, label=f"shift {shift}")
    right.set(xlabel="shift (eV)", ylabel="χ²")
    right.legend(fontsize=8)


def _focus(figure: Figure, proposal: Any) -> None:
    line, foci = proposal.found
    left, right = figure.subplots(1, 2)
    colours = _colours(len(foci))
    for focus, colour in zip(foci, colours, strict=True):
        best = focus.best
        top = float(best.fitted.max())
        left.errorbar(
            best.at - best.z, best.sharpness / top, best.sharpness_sigma / top, fmt="o", ms=3,
            color=colour, label=f"{focus.energy:.1f} eV: {best.z:.2f} ± {best.sigma:.2f} µm",
        )  # fmt: skip
        left.plot(best.at - best.z, best.fitted / top, color=colour)
    left.set(xlabel="zone plate z from best focus (µm)", ylabel="sharpness (of its largest)")
    left.legend(fontsize=8)
    a0, a1 = proposal.was["a0"], proposal.was["a1"]
    energies = np.linspace(line.energies.min() - 5, line.energies.max() + 5, 50)
    nominal = line.a0 - line.a1 * line.energies
    right.errorbar(line.energies, line.z - nominal, line.sigma, fmt="o", color=MEASURED,
                   label="best foci")  # fmt: skip
    spread = np.array([line.z_at(float(e))[1] for e in energies])
    right.fill_between(energies, -spread, spread, color=FITTED, alpha=0.3, label="proposed ± σ")
    right.axhline(0, color=FITTED)
    if a0 is not None and a1 is not None:
        before = (a0 - a1 * energies) - (line.a0 - line.a1 * energies)
        right.plot(energies, before, "--", color=BEFORE, label="as it was")
    right.set(xlabel="energy (eV)", ylabel="z from the proposed focus (µm)")
    right.legend(fontsize=8)


def _aperture(figure: Figure, proposal: Any) -> None:
    disc, counts, x, y = proposal.found
    for axis, image, title in zip(
        figure.subplots(1, 2), (counts, disc.fitted), ("measured", "fit"), strict=True
    ):
        shown = axis.pcolormesh(x, y, image, cmap="viridis", shading="nearest")
        axis.plot(disc.x, disc.y, "+", color="white", ms=12)
        axis.set(xlabel="aperture x (µm)", ylabel="aperture y (µm)", title=title, aspect="equal")
        figure.colorbar(shown, ax=axis, label="counts")


def _colours(count: int) -> Any:
    from matplotlib import colormaps

    return colormaps["viridis"](np.linspace(0, 0.85, count))
