"""What the pictures have in common: colours, letters, words for windows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .. import inputs
from ..documents import Window

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "GREY",
    "WARNING",
    "letter",
    "measured",
    "note",
    "plain",
    "printable",
    "window_colours",
    "window_label",
]

GREY = "0.78"
WARNING = "#c1121f"

# From Okabe and Ito's palette, which colour-blind people can tell apart.
_BY_KIND = {
    "TFY": ("#4d4d4d",),
    "PFY": ("#0072b2", "#56b4e9", "#003f66"),
    "sPFY": ("#d55e00", "#e69f00", "#8c3d00"),
    "iPFY": ("#009e73", "#5fc9a5", "#00543d"),
    "XES": ("#b0457f", "#d991b8", "#6b1f49"),
}


def window_colours(windows: Iterable[Window]) -> dict[str, str]:
    """Colour of each window by its name; windows of one kind differ in shade."""
    seen: dict[str, int] = {}
    colours = {}
    for window in windows:
        shades = _BY_KIND[window.kind]
        colours[window.name] = shades[seen.get(window.kind, 0) % len(shades)]
        seen[window.kind] = seen.get(window.kind, 0) + 1
    return colours


def window_label(window: Window) -> str:
    """Name and range of a window, as a person writes it."""
    ordinary = window.name == window.kind or window.in_excitation
    name = window.kind if ordinary else f"{window.name} = {window.kind}"
    if window.low == float("-inf"):
        return name
    return f"{name} {window.low:g}–{window.high:g} eV"


def letter(ax: Axes, text: str, *, outside: bool = False) -> None:
    """Put a panel's letter into its upper left corner, or above it."""
    ax.annotate(
        f" {text} ", (0.0, 1.0), (0, 2 if outside else -1), xycoords="axes fraction",
        textcoords="offset points", weight="bold", va="bottom" if outside else "top", ha="left",
        bbox=None if outside
        else {"facecolor": "w", "edgecolor": "none", "pad": 1.2, "alpha": 0.85},
        zorder=5,
    )  # fmt: skip


def measured(value: float, sigma: float, *, sign: bool = False) -> str:
    """Value and sigma, this to two digits: ``7.31 ± 0.12``."""
    if not (math.isfinite(sigma) and sigma > 0):
        return f"{value:.4g}"
    digits = 1 - math.floor(math.log10(sigma))
    places = max(digits, 0)
    plus = "+" if sign else ""
    text = f"{round(value, digits):{plus}.{places}f} ± {round(sigma, digits):.{places}f}"
    return text.replace("-", "−")


def printable(text: str) -> str:
    """Text of a user's or of documents as matplotlib takes it: ``$`` as itself, no odd characters.

    Between two ``$`` it would read a formula, and what is none ends the picture.
    """
    return inputs.printable(text, keep="\n").replace("$", r"\$")


def note(ax: Axes, text: str) -> None:
    """Say in the middle of a panel why there is nothing in it."""
    ax.text(
        0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color="0.45", fontsize=9
    )


def plain(ax: Axes) -> None:
    """Leave out the frame's upper and right side."""
    ax.spines[["top", "right"]].set_visible(False)
