"""Fit of all pixels at once: a gain curve each, and one small shift per line for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ._assign import Target
from ._gain import ORDER, energy_of, fit_gain
from ._peaks import modes, width_at_half

__all__ = ["Fit", "common_shifts", "drop_one", "fit_pixel", "locate", "natural_widths"]

FLOOR_EV = 0.25
"""What a line's position is uncertain by whatever the counts: line shapes, gain curve."""
REACH_EV = 12.0
"""How far from where it is expected a line may be (eV)."""


@dataclass
class Fit:
    """State of one pixel while it is being fitted.

    Attributes
    ----------
    height : numpy.ndarray [n]
        Pulse heights, drift corrected.
    gain : numpy.ndarray [ORDER]
    fwhm : float
        Resolution, as far as it is known (eV).
    position, sigma, counts : numpy.ndarray [lines]
        Pulse height of each line (NaN where it is not found), its standard uncertainty (eV)
        and photons.
    use : numpy.ndarray of bool [lines]
        Lines that the fit goes through.
    around : numpy.ndarray [ORDER] or None
        A curve known before.
    """

    height: NDArray[np.float64]
    gain: NDArray[np.float64]
    fwhm: float = 5.0
    position: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    sigma: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    counts: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    use: NDArray[np.bool_] = field(default_factory=lambda: np.empty(0, bool))
    around: NDArray[np.float64] | None = None

    def residual(self, lines: NDArray[np.float64]) -> NDArray[np.float64]:
        """Energy at each line's position, less where the line should be (eV)."""
        return energy_of(self.gain, self.position) - lines


def locate(
    fit: Fit,
    lines: NDArray[np.float64],
    elastic: int | None,
    natural: NDArray[np.float64],
    which: NDArray[np.bool_],
) -> None:
    """Find the lines in a pixel, near where its gain curve has them.

    Parameters
    ----------
    fit : Fit
        Its ``position``, ``sigma``, ``counts``, ``use`` and ``fwhm`` are renewed.
    lines : numpy.ndarray [m]
        Energies (eV).
    elastic : int or None
        Which of them is the elastic line: the one without natural width.
    natural : numpy.ndarray [m]
        Natural widths (eV), for those that are known to be wide; see :func:`natural_widths`.
    which : numpy.ndarray of bool [m]
        Lines to look for.
    """
    energy = np.sort(energy_of(fit.gain, fit.height))
    width = np.hypot(fit.fwhm, natural)
    kernel = np.clip(0.4 * width, 0.5, 3.0)
    # A wide kernel first: the curve may still be off by more than the line is wide.
    coarse = np.full(len(lines), np.nan)
    coarse[which] = modes(energy, lines[which], np.maximum(2 * kernel, 3.0)[which])
    known = np.abs(coarse - lines) < REACH_EV
    found = np.full(len(lines), np.nan)
    found[known] = modes(energy, coarse[known], kernel[known])
    half = np.maximum(width, 2.0)

    def within(centre: NDArray[np.float64], reach: NDArray[np.float64]) -> NDArray[np.float64]:
        low = np.searchsorted(energy, np.nan_to_num(centre - reach, nan=np.inf))
        high = np.searchsorted(energy, np.nan_to_num(centre + reach, nan=np.inf))
        return (high - low).astype(float)

    near = within(found, half)
    # Tails lie on the low side, neighbours on either: the emptier side is the background.
    beside = 2 * np.minimum(
        within(found + 2.4 * half, half / 2), within(found - 2.4 * half, half / 2)
    )
    fit.counts = np.maximum(near - beside, 0)
    good = np.isfinite(found) & (fit.counts > 3.5 * np.sqrt(near + 1)) & (fit.counts >= 10)
    # 0.6: of a maximum after smoothing with a kernel as wide as the line (0.54), and some
    # background.
    fit.sigma = np.hypot(FLOOR_EV, 0.6 * width / np.sqrt(np.maximum(fit.counts, 1)))
    fit.use = good
    fit.position = np.where(good, _height_at(fit, found), np.nan)
    reference = elastic if elastic is not None and good[elastic] else None
    if reference is None and good.any():
        reference = int(np.argmax(np.where(good, fit.counts, 0)))
    if reference is not None:
        seen = width_at_half(energy, float(found[reference]), max(2 * fit.fwhm, 4.0))
        if np.isfinite(seen):
            fit.fwhm = float(np.clip(seen, 0.5, 15.0))


def natural_widths(fits: Sequence[Fit], lines: NDArray[np.float64]) -> NDArray[np.float64]:
    """Widths of the lines beyond the resolution (eV), medians over the pixels; 0 if unknown."""
    seen: list[list[float]] = [[] for _ in lines]
    for fit in fits:
        energy = energy_of(fit.gain, fit.height)
        for k in np.flatnonzero(fit.use & (fit.counts >= 25)):
            centre = float(energy_of(fit.gain, fit.position[k : k + 1])[0])
            width = width_at_half(energy, centre, max(2 * fit.fwhm, 6.0))
            if np.isfinite(width):
                seen[k].append(width**2 - fit.fwhm**2)
    squares = [float(np.median(s)) if s else 0.0 for s in seen]
    return np.sqrt(np.clip(squares, 0.0, 8.0**2))


def _height_at(fit: Fit, energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pulse height at which the curve has these energies (NaN stays NaN)."""
    top = float(np.quantile(fit.height, 0.999)) * 1.05
    grid = np.linspace(0.02 * top, top, 800)
    return np.interp(energy, np.maximum.accumulate(energy_of(fit.gain, grid)), grid)


def fit_pixel(fit: Fit, lines: NDArray[np.float64], use: NDArray[np.bool_] | None = None) -> bool:
    """Fit the gain curve through the lines found; False with fewer than three."""
    use = fit.use if use is None else use
    if use.sum() < 3:
        return False
    fit.gain = fit_gain(fit.position[use], lines[use], fit.sigma[use], fit.around)
    return True


def common_shifts(fits: Sequence[Fit], targets: Sequence[Target]) -> NDArray[np.float64]:
    """Shifts of the lines (eV) that make all pixels agree best.

    The gain curve of every pixel is free; what they all leave over at the same line belongs to
    the line, whose tabulated energy is not better known than by its uncertainty. One linear
    least-squares problem, the curves eliminated.

    Parameters
    ----------
    fits : sequence of Fit
    targets : sequence of Target

    Returns
    -------
    numpy.ndarray [lines]
    """
    energy = np.array([t.energy_ev for t in targets])
    prior = np.array([t.sigma_ev for t in targets])
    n = len(energy)
    normal, weights, right = np.zeros((n, n)), np.zeros(n), np.zeros(n)
    for fit in fits:
        k = np.flatnonzero(fit.use)
        if len(k) <= ORDER:
            continue
        x = fit.position[k] / fit.position[k].max()
        design = x[:, None] ** np.arange(1, ORDER + 1)
        w = 1 / fit.sigma[k] ** 2
        wa = w[:, None] * design
        q = np.diag(w) - wa @ np.linalg.solve(design.T @ wa, wa.T)
        normal[np.ix_(k, k)] += q
        right[k] -= q @ energy[k]
        weights[k] += w
    # Shifts that a curve can follow are seen only through small differences between pixels,
    # and there the errors of the positions decide: left out.
    scale = np.where(weights > 0, 1 / np.sqrt(np.where(weights > 0, weights, 1)), 0)
    values, vectors = np.linalg.eigh(scale[:, None] * normal * scale)
    seen = vectors[:, values > 0.5]
    back = np.sqrt(weights)[:, None] * seen
    normal = back * values[values > 0.5] @ back.T
    right = back @ (seen.T @ (scale * right))
    return np.asarray(np.linalg.solve(normal + np.diag(1 / prior**2), right))


def drop_one(fit: Fit, lines: NDArray[np.float64], elastic: int | None) -> int | None:
    """The line without which the others agree much better, if there is one.

    The elastic line is never it: its energy is known best.
    """
    use = fit.use
    if use.sum() < ORDER + 3:  # what is left must still be able to disagree
        return None
    gain = fit.gain
    whole = _pull(fit, lines, use)
    best: tuple[float, int] | None = None
    for k in np.flatnonzero(use):
        if k == elastic:
            continue
        fewer = use.copy()
        fewer[k] = False
        fit_pixel(fit, lines, fewer)
        pull = _pull(fit, lines, fewer)
        off = abs(float(fit.residual(lines)[k]))
        if off > max(3.0, 5 * float(fit.sigma[k])) and pull < 0.5 * whole:
            best = min(best or (np.inf, -1), (pull, int(k)))
    fit.gain = gain
    return None if best is None else best[1]


def _pull(fit: Fit, lines: NDArray[np.float64], use: NDArray[np.bool_]) -> float:
    """Root mean square of residual over uncertainty of the lines used."""
    return float(np.sqrt(np.mean((fit.residual(lines)[use] / fit.sigma[use]) ** 2)))
