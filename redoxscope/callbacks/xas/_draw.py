"""Picture of absorption spectra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...inputs import unless_unmeasured
from .._draw_style import GREY, WARNING, letter, measured, note, plain, printable
from ._snapshot import ModeSpectrum, XasSnapshot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_xas", "mode_colour"]

# From Okabe and Ito's palette, which colour-blind people can tell apart.
_COLOURS = {"TEY": "#0072b2", "TFY": "#d55e00", "transmission": "#009e73", "reference": "#4d4d4d"}
_OTHERS = ("#b0457f", "#e69f00", "#56b4e9")
WIDEST_WORDS = 110


def mode_colour(name: str, index: int = 0) -> str:
    """Colour of a mode."""
    return _COLOURS.get(name, _OTHERS[index % len(_OTHERS)])


@unless_unmeasured()
def draw_xas(figure: Figure, snapshot: XasSnapshot) -> None:
    """Draw each mode: its repeats, their mean with error bars, where its edge is.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Is cleared.
    snapshot : XasSnapshot
    """
    figure.clear()
    modes = list(snapshot.modes.items())
    axes = figure.subplots(max(len(modes), 1), 1, sharex=True, squeeze=False)[:, 0]
    if not modes:
        note(axes[0], "no point measured yet")
    for k, (ax, (name, mode)) in enumerate(zip(axes, modes, strict=False)):
        _mode(ax, name, mode, mode_colour(name, k))
        letter(ax, "abcdefgh"[k % 8])
    axes[-1].set_xlabel("photon energy (eV)")
    figure.suptitle(printable(_heading(snapshot)), x=0.07, ha="left", fontsize=9.5)
    lines = _heading(snapshot).count("\n") + 1
    figure.subplots_adjust(
        left=0.11, right=0.975, bottom=0.09, top=0.97 - 0.028 * lines, hspace=0.12
    )


def _mode(ax: Axes, name: str, mode: ModeSpectrum, colour: str) -> None:
    plain(ax)
    spectrum = mode.normalised
    energy = spectrum.energy
    background = mode.mean.value - mode.normalised.value * mode.step
    for k, repeat in enumerate(mode.repeats):
        if np.isfinite(repeat).any():
            out = f"repeat {k + 1}" in mode.outliers
            shown = (repeat - background) / mode.step if mode.to else repeat
            ax.plot(energy, shown, color=WARNING if out else GREY, lw=0.7, ls=":" if out else "-")
    sigma = np.where(np.isfinite(spectrum.sigma), spectrum.sigma, 0.0)
    ax.errorbar(
        energy, spectrum.value, sigma, fmt="-", lw=1.1, elinewidth=0.6, color=colour, zorder=3
    )
    of = {"step": "step 1", "maximum": "maximum 1", "area": "area 1"}.get(mode.to, "signal / I0")
    ax.set_ylabel(printable(f"{name} ({of})"))
    words = f"{mode.mean.n} averaged"
    main = mode.positions.get("integral")
    if main is not None and main.found:
        ax.axvline(main.energy_ev, color=colour, lw=0.8, ls=(0, (4, 2)))
        words += f" · edge {measured(main.energy_ev, main.sigma_ev)} eV"
    if mode.outliers:
        words += f" · left out: {', '.join(mode.outliers)}"
    ax.set_title(printable(words), loc="right", fontsize=8.5, color=colour, y=1.0, pad=-9)
    low, high = ax.get_ylim()
    ax.set_ylim(low, high + 0.12 * (high - low))


def _heading(snapshot: XasSnapshot) -> str:
    parts = [snapshot.title]
    if snapshot.points_done < snapshot.points_total:
        parts.append(f"{snapshot.points_done} of {snapshot.points_total} points")
    parts.append(f"{snapshot.repeats_done} of {snapshot.repeats_total} repeats")
    lines = [" · ".join(part for part in parts if part)]
    words = [snapshot.message] if snapshot.message else []
    for name, mode in snapshot.modes.items():
        words += [f"{name}: {text}" for text in mode.warnings]
    line = ""
    for word in " ".join(words).split():
        if len(line) + len(word) > WIDEST_WORDS:
            lines.append(line)
            line = ""
        line = f"{line} {word}".strip()
    if line:
        lines.append(line)
    return "\n".join(lines[:5])
