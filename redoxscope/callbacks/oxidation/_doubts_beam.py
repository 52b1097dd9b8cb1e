"""Whether the beam was the same for all lines of an image, from the monitor or the blank area."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from ...analysis.oxidation import StackFit
from .._doubt import Doubt
from ._words import listed, several

__all__ = ["beam_doubts", "left_out_doubt"]

CHANGE = 0.05
"""Change of the beam within an image, in parts of it, from which on it is said: 0.05 OD."""
MONITORED_CHANGE = 0.5
"""The same where pixels are divided by the monitor: what is left is noise."""
SIGMA = 5.0
FEW = 5
"""Images from which on what all of them show in a line is not taken for the beam's doing."""


def left_out_doubt(
    off: NDArray[np.bool_], change: NDArray[np.float64], energies: NDArray[np.float64]
) -> Doubt:
    """Say which lines [nE, ny] are left out since their beam differed, by ``change``."""
    n, images = int(off.sum()), off.any(axis=1)
    worst = float(change[np.unravel_index(np.argmax(np.where(off, np.abs(change), 0)), off.shape)])
    return Doubt("beam", n, f"{_differ(off, worst, energies[images])}; left out of the map.")


def _differ(off: NDArray[np.bool_], worst: float, energies: NDArray[np.float64]) -> str:
    n = int(off.sum())
    percent = f"{100 * worst:+.0f}".replace("-", "−")
    return (
        f"The beam changed within {several(len(energies), 'image')} ({listed(energies)}): "
        f"{'1 line differs' if n == 1 else f'{n} lines differ'} "
        f"from the rest of the image by up to {percent} %"
    )


def beam_doubts(
    fit: StackFit, dark: NDArray[np.bool_], energies: NDArray[np.float64]
) -> Iterator[Doubt]:
    """Say where the beam was lost or changed while an image was taken.

    Parameters
    ----------
    fit : StackFit
        The stack, all lines in it.
    dark : numpy.ndarray of bool [nE, ny]
        Lines that were flown and hold no light.
    energies : numpy.ndarray [nE]
        eV.

    Yields
    ------
    Doubt
        Its value is the number of lines.
    """
    within = dark & np.any(fit.lines_present, axis=1, keepdims=True)
    if within.any():
        n, images = int(within.sum()), within.any(axis=1)
        yield Doubt(
            "beam",
            n,
            f"The beam was lost within {several(int(images.sum()), 'image')} "
            f"({listed(energies[images])}): {several(n, 'line')} {'is' if n == 1 else 'are'} dark.",
        )
    light, sigma = fit.beam_by_line()
    told = np.isfinite(light).sum(axis=1) > 2
    if not told.any():
        return
    light, sigma = light[told], sigma[told]
    level = np.nanmedian(light, axis=1)[:, None]
    share = light / level
    if told.sum() >= FEW:
        # Where the support is thicker, or lines have other blank pixels, all images say the same.
        lines = np.isfinite(share).any(axis=0)
        usual = np.ones(share.shape[1])
        usual[lines] = np.nanmedian(share[:, lines], axis=0)
        share = share / usual
    change = share - 1.0
    with np.errstate(invalid="ignore"):
        sure = np.abs(change) > SIGMA * sigma / level
        much = change < -MONITORED_CHANGE if fit.monitored else np.abs(change) > CHANGE
        off = np.asarray(sure & much)
    if not off.any():
        return
    n, images = int(off.sum()), off.any(axis=1)
    worst = float(change[np.unravel_index(np.argmax(np.where(off, np.abs(change), 0)), off.shape)])
    if fit.monitored:
        so = "the monitor corrects for it, but σ is larger there"
    else:
        wrong = abs(float(np.log(max(1.0 + worst, 1e-3))))
        so = f"without a monitor their optical density is wrong by up to {wrong:.2g}"
    yield Doubt("beam", n, f"{_differ(off, worst, energies[told][images])}; {so}.")
